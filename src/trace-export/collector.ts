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

/** `http://user@host:port/path`, of which all but the host may be left out. */
const PARTS = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(?:([^/?#]*)@)?(\[[^\]/?#]*\]|[^:/?#[\]]*)(?::([^/?#]*))?([/?#].*)?$/i;
const MAX_PORT = 65_535;

/**
 * @param endpoint an URL, or `host:port`
 * @param protocol undefined: as the port says
 * @returns for what is no collector: what is wrong and what to write, to stand after the value
 */
export function collectorOf(endpoint: string, protocol: TraceProtocol | undefined): Collector | string {
  const [whole, scheme = "http", user, host = "", port = ""] = PARTS.exec(endpoint.trim()) ?? [];
  const like = (to = host) => `${/^https$/i.test(scheme) ? "https" : "http"}://${to}:4317`;
  if (whole === undefined) return `it is no URL; write one such as ${like("collector")}`;
  if (!/^https?$/i.test(scheme))
    return `a collector is spoken to by http or https, not by ${scheme}; write ${like(host || "collector")}`;
  if (user !== undefined)
    return "it has a name or password, which would be in logs; send a header instead (--tracing-headers)";
  if (host === "") return `it has no host; write one such as ${like("collector")}`;
  if (port !== "" && !isPort(port)) return `":${port}" is no port from 1 to ${MAX_PORT}; write ${like()}`;
  const text = `${scheme}://${endpoint.trim().replace(/^[a-z][a-z0-9+.-]*:\/\//i, "")}`;
  if (!URL.canParse(text)) return `it is no URL; write one such as ${like("collector")}`;
  if (protocol === undefined && JAEGER_PORTS.includes(port))
    return `port ${port} is one of Jaeger's own protocols, which it has given up; write its port for OTLP, 4317 or 4318`;
  const known = protocol ?? PORTS[port];
  if (known === undefined) {
    const what = port === "" ? "it has no port, which would say" : `port ${port} does not say`;
    return `${what} the protocol; write ${like()} (or 4318, 9411), or give --tracing-protocol (${TRACE_PROTOCOLS.join(", ")})`;
  }
  const url = new URL(text);
  if (known === "otlp-grpc" && url.pathname !== "/")
    return `OTLP over gRPC has no path; leave out ${url.pathname}, or give --tracing-protocol otlp-http`;
  if (url.pathname === "/") url.pathname = PATHS[known];
  return { protocol: known, url: url.href };
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_PORT;
}
