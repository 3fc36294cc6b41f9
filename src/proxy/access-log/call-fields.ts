/**
 * What a line of the access log says of a call, and with the same names what `tap` says. docs/access-log.md has this table.
 */
import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { FlowRecord } from "../flow/flow-record.ts";
import type { EndpointState, ServicePortState } from "../router/types.ts";
import type { LineBytes } from "./line-bytes.ts";
import { isoSecond } from "./line-time.ts";

export type CallRecord = ExchangeRecord | FlowRecord;

/**
 * Appends `before` and the value, or nothing where the call has none. Written and not returned, since this is done some
 * twenty times for each call.
 * @param endedAtMs since the epoch
 */
export type WriteField<R extends CallRecord> = (
  line: LineBytes,
  before: Uint8Array,
  record: R,
  endedAtMs: number,
) => void;

interface CallFieldBase {
  readonly name: string;
  /** One line, for the docs. */
  readonly says: string;
  readonly run?: FieldRun;
}

/**
 * Fields that stand together in a line, and that the next call has often the same: written once, and copied until one of
 * them differs.
 *
 *   place: the same for all calls of one caller to one service port at one endpoint
 *   call: protocol, method and host
 *   outcome: what came of it, but for its content and times
 */
export type FieldRun = "place" | "call" | "outcome";

export type CallField = CallFieldBase &
  ({ readonly ofAll: WriteField<CallRecord> } | { readonly ofHttp: WriteField<ExchangeRecord> });

export function isExchange(record: CallRecord): record is ExchangeRecord {
  return "method" in record;
}

export function kindOf(record: CallRecord): "http" | "tcp" | "udp" {
  return isExchange(record) ? "http" : record.transport;
}

/** In the order in which they are written. */
export const CALL_FIELDS: readonly CallField[] = [
  {
    name: "time",
    says: "when it began, RFC 3339 in UTC",
    ofAll: (line, before, { durationMs }, endedAtMs) => time(line, before, endedAtMs - durationMs),
  },
  {
    name: "kind",
    says: "`http`, `tcp` or `udp`",
    run: "place",
    ofAll: (line, before, record) => text(line, before, kindOf(record)),
  },
  {
    name: "sourceAddress",
    says: "address of the caller's socket",
    run: "place",
    ofAll: (line, before, { caller }) => text(line, before, caller.address),
  },
  {
    name: "source",
    run: "place",
    says: "the Pod that called, `namespace/pod`; none where no Pod owns the address alone",
    ofAll: (line, before, { caller: { workload } }) =>
      text(line, before, workload === undefined ? undefined : `${workload.namespace}/${workload.pod}`),
  },
  {
    name: "sourceServiceAccount",
    says: "its `namespace/serviceAccount`",
    run: "place",
    ofAll: (line, before, { caller }) => text(line, before, caller.identity),
  },
  {
    name: "service",
    says: "what was called, `namespace/service:port`",
    run: "place",
    ofAll: (line, before, { entry }) => text(line, before, entry.key),
  },
  {
    name: "backend",
    says: "which served it where a TrafficSplit or a route chose another, `namespace/service:port`",
    run: "place",
    ofAll: (line, before, record) => text(line, before, backendOf(record)),
  },
  {
    name: "endpoint",
    says: "the endpoint of the last try, `address:port`",
    run: "place",
    ofAll: (line, before, { endpoint }) => text(line, before, endpoint?.key),
  },
  {
    name: "endpointPod",
    says: "its Pod, `namespace/pod`",
    run: "place",
    ofAll: (line, before, { endpoint }) => text(line, before, podOf(endpoint)),
  },
  {
    name: "protocol",
    run: "call",
    says: "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2`, as the caller speaks it",
    ofHttp: (line, before, { protocol }) => text(line, before, protocol),
  },
  {
    name: "method",
    run: "call",
    says: "of the request",
    ofHttp: (line, before, { method }) => text(line, before, method),
  },
  {
    name: "host",
    run: "call",
    says: "as the caller sent it",
    ofHttp: (line, before, { host }) => text(line, before, host || undefined),
  },
  {
    name: "path",
    says: "as received, without the query",
    ofHttp: (line, before, { target }) => text(line, before, pathOf(target)),
  },
  {
    name: "query",
    says: "what follows the `?`",
    ofHttp: (line, before, { target }) => text(line, before, queryOf(target)),
  },
  {
    name: "status",
    run: "outcome",
    says: "as the caller got it; none where it got no answer",
    ofHttp: (line, before, { status }) => number(line, before, status || NONE),
  },
  {
    name: "grpcStatus",
    run: "outcome",
    says: "of gRPC, a number",
    ofHttp: (line, before, { grpcStatus }) => number(line, before, grpcStatus),
  },
  {
    name: "reason",
    run: "outcome",
    says: "why it was not served as asked, a code of [failures](failures.md)",
    ofAll: (line, before, { failure }) => text(line, before, failure || undefined),
  },
  {
    name: "attempts",
    run: "outcome",
    says: "tries made; above 1 there was a retry",
    ofHttp: (line, before, { attempts }) => number(line, before, attempts),
  },
  {
    name: "decidedBy",
    run: "outcome",
    says: "the object that decided, such as `TrafficSplit shop/canary`; none where it is the Service itself",
    ofAll: (line, before, { origin }) =>
      text(line, before, origin === undefined ? undefined : `${origin.kind} ${origin.namespace}/${origin.name}`),
  },
  {
    name: "wouldDeny",
    run: "outcome",
    says: "`true` where access control would have refused it, and is in mode audit",
    ofAll: (line, before, { wouldDeny }) => {
      if (!wouldDeny) return;
      line.bytes(before);
      line.ascii("true");
    },
  },
  {
    name: "traceId",
    run: "outcome",
    says: "of its trace, where that is [recorded](tracing.md)",
    ofHttp: (line, before, { traceId }) => text(line, before, traceId || undefined),
  },
  {
    name: "bytesUp",
    run: "outcome",
    says: "content from the caller, without its framing",
    ofAll: (line, before, { bytesUp }) => number(line, before, bytesUp),
  },
  {
    name: "bytesDown",
    says: "content to the caller, without its framing",
    ofAll: (line, before, { bytesDown }) => number(line, before, bytesDown),
  },
  {
    name: "durationMs",
    says: "until it was over",
    ofAll: (line, before, { durationMs }) => milliseconds(line, before, durationMs),
  },
  {
    name: "firstByteMs",
    says: "until the head of the endpoint's answer came",
    ofHttp: (line, before, { firstByteMs }) => milliseconds(line, before, firstByteMs),
  },
];

/** Of a number that a call has not: all that there are are 0 or more. */
const NONE = -1;

function text(line: LineBytes, before: Uint8Array, value: string | undefined): void {
  if (value === undefined) return;
  line.bytes(before);
  line.jsonText(value);
}

function number(line: LineBytes, before: Uint8Array, value: number): void {
  if (value < 0) return;
  line.bytes(before);
  line.number(value);
}

/** To the microsecond. */
function milliseconds(line: LineBytes, before: Uint8Array, ms: number): void {
  if (ms < 0) return;
  line.bytes(before);
  line.thousandths(Math.round(ms * 1_000));
}

function time(line: LineBytes, before: Uint8Array, ms: number): void {
  line.bytes(before);
  line.ascii(QUOTE);
  line.ascii(isoSecond(ms));
  line.threeDigits(Math.floor(ms) % 1_000);
  line.ascii(END_OF_TIME);
}

const QUOTE = '"';
const END_OF_TIME = 'Z"';

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

function queryOf(target: string): string | undefined {
  const question = target.indexOf("?");
  return question < 0 ? undefined : target.slice(question + 1);
}
