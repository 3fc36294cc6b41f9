/** W3C Trace Context: `traceparent`. `tracestate` is others' and goes on as it came, with the trace that it belongs to. */
import { isHex, isId, type TraceContext, type TraceFormat } from "./trace-context.ts";

/** `00-` trace id `-` span id `-` flags */
const LENGTH = 55;
const DASH = 45;
const SAMPLED = 1;
const RANDOM_ID = 2;

export const w3cFormat: TraceFormat = {
  names: ["traceparent"],
  read: (request) => {
    const text = request.header("traceparent");
    return text === undefined ? undefined : readTraceparent(text);
  },
  write: (context, into) => into.push("traceparent", traceparent(context)),
};

function traceparent({ traceId, spanId, sampled, randomId }: TraceContext): string {
  const flags = (sampled === true ? SAMPLED : 0) | (randomId ? RANDOM_ID : 0);
  return `00-${traceId}-${spanId}-0${flags}`;
}

export function readTraceparent(text: string): TraceContext | undefined {
  if (text.length < LENGTH || !isHex(text, 0, 2) || text.startsWith("ff")) return undefined;
  // A later version may say more after these four, and no version may change them (§3.2.4).
  if (text.length > LENGTH && (text.startsWith("00") || text.charCodeAt(LENGTH) !== DASH)) return undefined;
  if (text.charCodeAt(2) !== DASH || text.charCodeAt(35) !== DASH || text.charCodeAt(52) !== DASH) return undefined;
  if (!isId(text, 3, 32) || !isId(text, 36, 16) || !isHex(text, 53, 2)) return undefined;
  const flags = Number.parseInt(text.slice(53, LENGTH), 16);
  return {
    traceId: text.slice(3, 35),
    spanId: text.slice(36, 52),
    sampled: (flags & SAMPLED) !== 0,
    debug: false,
    randomId: (flags & RANDOM_ID) !== 0,
  };
}
