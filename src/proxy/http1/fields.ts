/**
 * The field names that a proxy must know. Recognising one costs a switch on its length and a comparison without
 * allocation; all others pass as they came.
 */

const OTHER = 0;
export const HOST_FIELD = 1;
export const CONNECTION = 2;
export const CONTENT_LENGTH = 3;
export const TRANSFER_ENCODING = 4;
export const TE = 5;
export const UPGRADE = 6;
export const EXPECT = 7;
export const KEEP_ALIVE = 8;
const TRAILER_FIELD = 9;
export const PROXY_CONNECTION = 10;
export const X_FORWARDED_FOR = 11;
export const X_FORWARDED_HOST = 12;
export const X_FORWARDED_PROTO = 13;
export const X_FORWARDED_PORT = 14;
export const X_FORWARDED_SERVER = 15;
export const X_REAL_IP = 16;
export const HTTP2_SETTINGS = 17;
/** Any that a trace is told in. */
export const TRACE_CONTEXT = 18;

/** Of every form that can be read, whether this proxy is to or not. */
const TRACE_NAMES = [
  "traceparent",
  "tracestate",
  "b3",
  "x-b3-traceid",
  "x-b3-spanid",
  "x-b3-parentspanid",
  "x-b3-sampled",
  "x-b3-flags",
  "uber-trace-id",
];

const NAMES: readonly (readonly [string, number])[] = [
  ["host", HOST_FIELD],
  ["connection", CONNECTION],
  ["content-length", CONTENT_LENGTH],
  ["transfer-encoding", TRANSFER_ENCODING],
  ["te", TE],
  ["upgrade", UPGRADE],
  ["expect", EXPECT],
  ["keep-alive", KEEP_ALIVE],
  ["trailer", TRAILER_FIELD],
  ["proxy-connection", PROXY_CONNECTION],
  ["x-forwarded-for", X_FORWARDED_FOR],
  ["x-forwarded-host", X_FORWARDED_HOST],
  ["x-forwarded-proto", X_FORWARDED_PROTO],
  ["x-forwarded-port", X_FORWARDED_PORT],
  ["x-forwarded-server", X_FORWARDED_SERVER],
  ["x-real-ip", X_REAL_IP],
  ["http2-settings", HTTP2_SETTINGS],
  ...TRACE_NAMES.map((name): [string, number] => [name, TRACE_CONTEXT]),
];

interface Candidate {
  readonly name: string;
  readonly id: number;
}

const byLength: (readonly Candidate[])[] = [];
for (let length = 0; length <= 32; length++)
  byLength.push(NAMES.filter(([name]) => name.length === length).map(([name, id]) => ({ name, id })));
const NONE: readonly Candidate[] = [];

const TRACE_FIELDS: ReadonlySet<string> = new Set(TRACE_NAMES);

/** Whether a trace is told in fields of this name, which is in lower case. */
export function isTraceField(name: string): boolean {
  return TRACE_FIELDS.has(name);
}

/** `name` is in lower case. */
export function equalsIgnoreCase(bytes: Uint8Array, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i] as number;
    const lower = byte >= 65 && byte <= 90 ? byte + 32 : byte;
    if (lower !== name.charCodeAt(i)) return false;
  }
  return true;
}

/** Which of the known fields the bytes from `start` to `end` name, or OTHER. */
export function fieldId(bytes: Uint8Array, start: number, end: number): number {
  const candidates = byLength[end - start] ?? NONE;
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i] as Candidate;
    if (equalsIgnoreCase(bytes, start, end, candidate.name)) return candidate.id;
  }
  return OTHER;
}

/**
 * What a Connection field may not nominate: removing these would change where the message ends or where it goes
 * (RFC 9110 §7.6.1), or who the next hop thinks is calling.
 */
export function mayNotBeNominated(name: string): boolean {
  switch (name) {
    case "host":
    case "content-length":
    case "transfer-encoding":
    case "expect":
    case "x-forwarded-for":
    case "x-forwarded-host":
    case "x-forwarded-proto":
    case "x-forwarded-port":
    case "x-forwarded-server":
    case "x-real-ip":
    case "authorization":
    case "cookie":
      return true;
    default:
      return false;
  }
}

const FORBIDDEN_TRAILERS = [
  "age",
  "authorization",
  "cache-control",
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "expect",
  "expires",
  "host",
  "http2-settings",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "keep-alive",
  "location",
  "max-forwards",
  "pragma",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "retry-after",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "vary",
  "warning",
  "www-authenticate",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-forwarded-server",
  "x-real-ip",
];

const FORBIDDEN_TRAILER_NAMES: ReadonlySet<string> = new Set(FORBIDDEN_TRAILERS);

/** As `isForbiddenTrailer`, of a name in lower case. */
export function isForbiddenTrailerName(name: string): boolean {
  return FORBIDDEN_TRAILER_NAMES.has(name);
}

/** RFC 9110 §6.5.1: framing, routing, authentication, request modifiers, response control, content format. */
export function isForbiddenTrailer(bytes: Uint8Array, start: number, end: number): boolean {
  for (const name of FORBIDDEN_TRAILERS) if (equalsIgnoreCase(bytes, start, end, name)) return true;
  return false;
}
