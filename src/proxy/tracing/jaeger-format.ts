/** `uber-trace-id`, as Jaeger's own libraries sent it, and Traefik Mesh with them. */
import { isHex, isId, type TraceContext, type TraceFormat } from "./trace-context.ts";

const SAMPLED = 1;
const DEBUG = 2;

export const jaegerFormat: TraceFormat = {
  names: ["uber-trace-id"],
  read: (request) => {
    const text = request.header("uber-trace-id");
    return text === undefined ? undefined : readUberTraceId(text);
  },
  write: ({ traceId, spanId, sampled, debug }, into) => {
    const flags = (sampled === true ? SAMPLED : 0) | (debug ? SAMPLED | DEBUG : 0);
    // The parent's span id has a place and no meaning.
    into.push("uber-trace-id", `${traceId}:${spanId}:0:${flags}`);
  },
};

/** Longest: four numbers with every zero written, and each colon as `%3A`. */
const MAX_LENGTH = 32 + 16 + 16 + 2 + 3 * 3;

/** Trace id, span id, parent's span id and flags, all without leading zeros; some libraries percent-encode the colons. */
function readUberTraceId(text: string): TraceContext | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const [trace = "", span = "", parent = "", flags = "", ...more] = text.replaceAll("%3A", ":").split(":");
  if (more.length > 0 || trace.length > 32 || span.length > 16 || parent.length > 16) return undefined;
  const isNumber = flags.length > 0 && flags.length <= 2 && isHex(flags, 0, flags.length);
  if (!isId(trace, 0, trace.length) || !isId(span, 0, span.length) || !isHex(parent, 0, parent.length))
    return undefined;
  if (!isNumber || parent === "") return undefined;
  const bits = Number.parseInt(flags, 16);
  const debug = (bits & DEBUG) !== 0;
  return {
    traceId: trace.padStart(32, "0"),
    spanId: span.padStart(16, "0"),
    sampled: debug || (bits & SAMPLED) !== 0,
    debug,
    randomId: false,
  };
}
