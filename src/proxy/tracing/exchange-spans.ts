/**
 * Spans of an exchange, with attributes by OpenTelemetry's semantic conventions for HTTP and gRPC, and `tulle.…` for what
 * only a mesh knows. What a caller may make as long as it likes is cut: spans wait in memory. No query is in them, because
 * secrets are.
 */
import { FAILURES, type Failure } from "../../model/failures.ts";
import type { EndpointState, ServicePortState } from "../router/types.ts";
import { ownText } from "./own-text.ts";
import type { Span, SpanAttributes } from "./span.ts";
import type { OwnSpan, TracedExchange, TryTrace } from "./traced-exchange.ts";

const MAX_PATH = 1024;
const MAX_TEXT = 256;
/** Any other is a value of the caller's making. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]);
/** Of gRPC, those that are the server's fault: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const GRPC_SERVER_FAULTS = new Set([2, 4, 12, 13, 14, 15]);

export function serverSpan(exchange: TracedExchange, own: OwnSpan, durationMs: number): Span {
  const { entry, failure, status, grpcStatus } = exchange;
  const fault = failure === "" ? undefined : FAILURES[failure].fault;
  const failed = status >= 500 || fault === "upstream" || fault === "mesh" || GRPC_SERVER_FAULTS.has(grpcStatus);
  const attributes: SpanAttributes = {};
  addRequest(exchange, attributes);
  attributes["url.scheme"] = "http";
  const { service, namespace, port } = entry.config;
  attributes["server.address"] = own.host === "" ? `${service}.${namespace}` : ownText(hostName(own.host), MAX_TEXT);
  attributes["server.port"] = port;
  attributes["client.address"] = exchange.caller.address;
  attributes["network.protocol.version"] = exchange.protocol.slice("HTTP/".length);
  if (own.userAgent !== "") attributes["user_agent.original"] = ownText(own.userAgent, MAX_TEXT);
  attributes["http.request.body.size"] = exchange.bytesUp;
  attributes["http.response.body.size"] = exchange.bytesDown;
  addAnswer(status, grpcStatus, failed ? failure : "", attributes);
  attributes["tulle.service_port"] = entry.key;
  attributes["tulle.attempts"] = exchange.attempts;
  if (failure !== "") attributes["tulle.failure"] = failure;
  if (exchange.wouldDeny) attributes["tulle.would_deny"] = true;
  addCaller(exchange, attributes);
  addRoute(exchange, attributes);
  return {
    traceId: own.traceId,
    spanId: own.spanId,
    parentId: own.parentId,
    kind: "server",
    name: `${spanMethod(exchange.method)} ${entry.key}`,
    startMs: own.startedWall,
    endMs: own.startedWall + durationMs,
    failed,
    attributes,
  };
}

export function clientSpan(exchange: TracedExchange, own: OwnSpan, done: TryTrace): Span {
  const { endpoint, failure, status, grpcStatus, version } = done;
  const { key } = endpoint.owner;
  const attributes: SpanAttributes = {};
  addRequest(exchange, attributes);
  const scheme = done.scheme === "https" ? "https" : "http";
  attributes["url.full"] = `${scheme}://${hostOf(endpoint)}:${endpoint.dialPort}${attributes["url.path"]}`;
  attributes["server.address"] = endpoint.address;
  attributes["server.port"] = endpoint.dialPort;
  if (version !== "") attributes["network.protocol.version"] = version;
  if (done.ordinal > 1) attributes["http.request.resend_count"] = done.ordinal - 1;
  addAnswer(status, grpcStatus, failure, attributes);
  attributes["tulle.service_port"] = key;
  attributes["tulle.attempt"] = done.ordinal;
  const { pod, identity } = endpoint.config;
  if (pod !== undefined) attributes["tulle.endpoint.pod"] = pod;
  if (identity !== undefined) attributes["tulle.endpoint.identity"] = identity;
  if (failure !== "") attributes["tulle.failure"] = failure;
  return {
    traceId: own.traceId,
    spanId: done.spanId,
    parentId: own.spanId,
    kind: "client",
    name: `${spanMethod(exchange.method)} ${key}`,
    startMs: own.startedWall + done.startedMs,
    endMs: own.startedWall + done.endedMs,
    failed: failure !== "" || status >= 400 || grpcStatus > 0,
    attributes,
  };
}

function addRequest({ method, target }: TracedExchange, attributes: SpanAttributes): void {
  if (METHODS.has(method)) attributes["http.request.method"] = method;
  else {
    attributes["http.request.method"] = "_OTHER";
    attributes["http.request.method_original"] = ownText(method, MAX_TEXT);
  }
  attributes["url.path"] = pathOf(target);
}

function addAnswer(status: number, grpcStatus: number, failure: Failure | "", attributes: SpanAttributes): void {
  if (status > 0) attributes["http.response.status_code"] = status;
  if (grpcStatus >= 0) {
    attributes["rpc.system"] = "grpc";
    attributes["rpc.grpc.status_code"] = grpcStatus;
  }
  if (failure !== "") attributes["error.type"] = failure;
  else if (status >= 500) attributes["error.type"] = String(status);
}

function addCaller({ caller }: TracedExchange, attributes: SpanAttributes): void {
  const { workload, identity } = caller;
  if (workload !== undefined) attributes["tulle.caller.pod"] = `${workload.namespace}/${workload.pod}`;
  if (identity !== undefined) attributes["tulle.caller.identity"] = identity;
}

/** What led the call where it went. */
function addRoute({ origin, path }: TracedExchange, attributes: SpanAttributes): void {
  if (origin !== undefined) attributes["tulle.decided_by"] = `${origin.kind} ${origin.namespace}/${origin.name}`;
  if (path.length > 1) attributes["tulle.backend"] = (path.at(-1) as ServicePortState).key;
  if (path.length > 2) attributes["tulle.path"] = path.map(({ key }) => key).join(" > ");
}

const spanMethod = (method: string): string => (METHODS.has(method) ? method : "HTTP");

/** The path of a target that may be in absolute form. */
function pathOf(target: string): string {
  const question = target.indexOf("?");
  const path = question < 0 ? target : target.slice(0, question);
  const scheme = path.startsWith("/") ? -1 : path.indexOf("://");
  if (scheme < 0) return ownText(path, MAX_PATH);
  const slash = path.indexOf("/", scheme + 3);
  return slash < 0 ? "/" : ownText(path.slice(slash), MAX_PATH);
}

function hostName(authority: string): string {
  const colon = authority.lastIndexOf(":");
  return colon > authority.lastIndexOf("]") ? authority.slice(0, colon) : authority;
}

const hostOf = ({ address }: EndpointState): string => (address.includes(":") ? `[${address}]` : address);
