/** Traefik 3's dynamic configuration, as much of it as a mesh needs, and its text. */

export interface HttpRouter {
  readonly entryPoints: readonly string[];
  readonly rule: string;
  readonly priority?: number;
  /** In the order in which a request meets them. */
  readonly middlewares?: readonly string[];
  readonly service: string;
}

export interface WeightedServices {
  readonly weighted: { readonly services: readonly { readonly name: string; readonly weight: number }[] };
}

export interface HttpServers {
  readonly loadBalancer: {
    /** Absent: round robin. */
    readonly strategy?: "p2c" | "leasttime";
    readonly servers: readonly { readonly url: string }[];
    readonly passHostHeader: boolean;
    readonly serversTransport?: string;
  };
}

export type HttpMiddleware =
  | { readonly retry: { readonly attempts: number } }
  | { readonly rateLimit: { readonly average: number; readonly burst: number } }
  | { readonly circuitBreaker: { readonly expression: string } }
  | { readonly ipAllowList: { readonly sourceRange: readonly string[] } }
  | { readonly headers: { readonly customResponseHeaders: Readonly<Record<string, string>> } };

export interface HttpTransport {
  readonly maxIdleConnsPerHost: number;
  readonly serverName?: string;
  readonly insecureSkipVerify?: true;
  readonly forwardingTimeouts?: { readonly dialTimeout?: string; readonly responseHeaderTimeout?: string };
}

export interface TcpRouter {
  readonly entryPoints: readonly string[];
  readonly rule: string;
  readonly priority: number;
  readonly service: string;
}

export interface FlowServers {
  readonly loadBalancer: {
    readonly servers: readonly { readonly address: string }[];
    /** Of TCP. */
    readonly serversTransport?: string;
  };
}

export interface TcpTransport {
  readonly dialTimeout?: string;
  readonly terminationDelay: string;
}

export interface UdpRouter {
  readonly entryPoints: readonly string[];
  readonly service: string;
}

type ByName<T> = Readonly<Record<string, T>>;

export interface TraefikConfiguration {
  readonly http: {
    readonly routers: ByName<HttpRouter>;
    readonly services: ByName<HttpServers | WeightedServices>;
    readonly middlewares: ByName<HttpMiddleware>;
    readonly serversTransports?: ByName<HttpTransport>;
  };
  readonly tcp?: {
    readonly routers: ByName<TcpRouter>;
    readonly services: ByName<FlowServers | WeightedServices>;
    readonly serversTransports: ByName<TcpTransport>;
  };
  readonly udp?: {
    readonly routers: ByName<UdpRouter>;
    readonly services: ByName<FlowServers | WeightedServices>;
  };
}

/**
 * As JSON, with a newline at its end. Traefik reads it as YAML, and a file by way of a template engine that can read its
 * environment, so what a user wrote must be no template, and hold nothing that YAML refuses unescaped: one bad pattern
 * would take the whole configuration with it.
 */
export function traefikText(configuration: TraefikConfiguration): string {
  const text = JSON.stringify(configuration, null, 2)
    // YAML 1.2 §5.1: what is not printable is written escaped.
    .replaceAll(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, escaped)
    .replaceAll("{{", "\\u007b\\u007b");
  return `${text}\n`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
