/**
 * What a line of the access log says of a call, and with the same names what `tap` says. docs/access-log.md has this table.
 */
import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { FlowRecord } from "../flow/flow-record.ts";
import type { EndpointState, ServicePortState } from "../router/types.ts";
import { isoTime } from "./line-time.ts";

export type CallRecord = ExchangeRecord | FlowRecord;

export interface CallField {
  readonly name: string;
  /** One line, for the docs. */
  readonly says: string;
  /** The same for all calls of one caller to one service port at one endpoint. */
  readonly standing?: true;
  /** @param endedAtMs since the epoch. @returns undefined where the call has none: the field is left out then */
  value(record: CallRecord, endedAtMs: number): string | number | boolean | undefined;
}

export function isExchange(record: CallRecord): record is ExchangeRecord {
  return "method" in record;
}

const ofHttp =
  <T>(value: (record: ExchangeRecord) => T) =>
  (record: CallRecord): T | undefined =>
    isExchange(record) ? value(record) : undefined;

/** In the order in which they are written. */
export const CALL_FIELDS: readonly CallField[] = [
  {
    name: "time",
    says: "when it began, RFC 3339 in UTC",
    value: ({ durationMs }, endedAtMs) => isoTime(endedAtMs - durationMs),
  },
  {
    name: "kind",
    says: "`http`, `tcp` or `udp`",
    standing: true,
    value: (record) => (isExchange(record) ? "http" : record.transport),
  },
  {
    name: "sourceAddress",
    says: "address of the caller's socket",
    standing: true,
    value: ({ caller }) => caller.address,
  },
  {
    name: "source",
    standing: true,
    says: "the Pod that called, `namespace/pod`; none where no Pod owns the address alone",
    value: ({ caller: { workload } }) => (workload === undefined ? undefined : `${workload.namespace}/${workload.pod}`),
  },
  {
    name: "sourceServiceAccount",
    says: "its `namespace/serviceAccount`",
    standing: true,
    value: ({ caller }) => caller.identity,
  },
  {
    name: "service",
    says: "what was called, `namespace/service:port`",
    standing: true,
    value: ({ entry }) => entry.key,
  },
  {
    name: "backend",
    says: "which served it where a TrafficSplit or a route chose another, `namespace/service:port`",
    standing: true,
    value: backendOf,
  },
  {
    name: "endpoint",
    says: "the endpoint of the last try, `address:port`",
    standing: true,
    value: ({ endpoint }) => endpoint?.key,
  },
  { name: "endpointPod", says: "its Pod, `namespace/pod`", standing: true, value: ({ endpoint }) => podOf(endpoint) },
  { name: "protocol", says: "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2`, as the caller speaks it", value: ofHttp(protocolOf) },
  { name: "method", says: "of the request", value: ofHttp(({ method }) => method) },
  { name: "host", says: "as the caller sent it", value: ofHttp(({ host }) => host || undefined) },
  { name: "path", says: "as received, without the query", value: ofHttp(({ target }) => pathOf(target)) },
  { name: "query", says: "what follows the `?`", value: ofHttp(({ target }) => queryOf(target)) },
  {
    name: "status",
    says: "as the caller got it; none where it got no answer",
    value: ofHttp((x) => x.status || undefined),
  },
  {
    name: "grpcStatus",
    says: "of gRPC, a number",
    value: ofHttp((x) => (x.grpcStatus < 0 ? undefined : x.grpcStatus)),
  },
  {
    name: "reason",
    says: "why it was not served as asked, a code of [failures](failures.md)",
    value: ({ failure }) => failure || undefined,
  },
  { name: "attempts", says: "tries made; above 1 there was a retry", value: ofHttp(({ attempts }) => attempts) },
  {
    name: "decidedBy",
    says: "the object that decided, such as `TrafficSplit shop/canary`; none where it is the Service itself",
    value: ({ origin }) => (origin === undefined ? undefined : `${origin.kind} ${origin.namespace}/${origin.name}`),
  },
  {
    name: "wouldDeny",
    says: "`true` where access control would have refused it, and is in mode audit",
    value: ({ wouldDeny }) => wouldDeny || undefined,
  },
  {
    name: "traceId",
    says: "of its trace, where that is [recorded](tracing.md)",
    value: ofHttp(({ traceId }) => traceId || undefined),
  },
  { name: "bytesUp", says: "content from the caller, without its framing", value: ({ bytesUp }) => bytesUp },
  { name: "bytesDown", says: "content to the caller, without its framing", value: ({ bytesDown }) => bytesDown },
  { name: "durationMs", says: "until it was over", value: ({ durationMs }) => microseconds(durationMs) },
  {
    name: "firstByteMs",
    says: "until the head of the endpoint's answer came",
    value: ofHttp(({ firstByteMs }) => (firstByteMs < 0 ? undefined : microseconds(firstByteMs))),
  },
];

/** Field lines of the request, an object; only where some were chosen. */
export const HEADERS_FIELD = "headers";

export function pathOf(target: string): string {
  const question = target.indexOf("?");
  return question < 0 ? target : target.slice(0, question);
}

/** Who served it, where that is not what was called. */
function backendOf({ entry, path }: CallRecord): string | undefined {
  const last: ServicePortState | undefined = path.at(-1);
  return last === undefined || last === entry ? undefined : last.key;
}

function podOf(endpoint: EndpointState | undefined): string | undefined {
  return endpoint?.config.pod;
}

function protocolOf({ protocol }: ExchangeRecord): string {
  return protocol;
}

function queryOf(target: string): string | undefined {
  const question = target.indexOf("?");
  return question < 0 ? undefined : target.slice(question + 1);
}

function microseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
