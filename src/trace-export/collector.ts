/** Where spans go, and in which protocol: read from what a user gives, without loading what sends them. */

export const TRACE_PROTOCOLS = ["otlp-grpc", "otlp-http", "otlp-json", "zipkin"] as const;
export type TraceProtocol = (typeof TRACE_PROTOCOLS)[number];

export interface Collector {
  readonly protocol: TraceProtocol;
  /** With the path that the protocol wants, where none was given. */
  readonly url: string;
}

const PORTS: Readonly<Record<string, TraceProtocol>> = { "4317": "otlp-grpc", "4318": "otlp-http", "9411": "zipkin" };
const PATHS: Readonly<Record<TraceProtocol, string>> = {
  "otlp-grpc": "/",
  "otlp-http": "/v1/traces",
  "otlp-json": "/v1/traces",
  zipkin: "/api/v2/spans",
};
/** Of Jaeger's agent and of the thrift that its collector used to take. */
const JAEGER_PORTS = ["5775", "6831", "6832", "14250", "14268"];

/**
 * @param endpoint an URL, or `host:port`
 * @param protocol undefined: as the port says
 * @returns a sentence that says what is wrong and what would be right, for what is no collector
 */
export function collectorOf(endpoint: string, protocol: TraceProtocol | undefined): Collector | string {
  const url = parse(endpoint);
  const isName = !endpoint.includes("/") && !endpoint.includes(":") && protocol === undefined;
  if (url === undefined || isName) return `"${endpoint}" is no URL such as http://otel-collector.observability:4317.`;
  if (url.username !== "" || url.password !== "") return "Who sends is told by a header, not in the URL.";
  if (protocol === undefined && JAEGER_PORTS.includes(url.port))
    return `Port ${url.port} is one of Jaeger's own protocols, which it has given up. Jaeger takes OTLP: port 4317 or 4318.`;
  const known = protocol ?? PORTS[url.port];
  if (known === undefined)
    return `Port ${url.port || "(none)"} does not say the protocol: it must be given (${TRACE_PROTOCOLS.join(", ")}).`;
  if (known === "otlp-grpc" && url.pathname !== "/")
    return `OTLP over gRPC has no path, and "${endpoint}" has: is otlp-http meant?`;
  if (url.pathname === "/") url.pathname = PATHS[known];
  return { protocol: known, url: url.href };
}

function parse(endpoint: string): URL | undefined {
  const text = /^[a-z+]+:\/\//i.test(endpoint) ? endpoint : `http://${endpoint}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) && url.hostname !== "" ? url : undefined;
}
