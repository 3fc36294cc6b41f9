/** B3, as Zipkin's libraries send it: in one field, or in several. */
import { type HasFields, isId, type TraceContext, type TraceFormat } from "./trace-context.ts";

export const b3Format: TraceFormat = {
  names: ["b3"],
  read: (request) => {
    const text = request.header("b3");
    return text === undefined ? undefined : readB3(text);
  },
  write: (context, into) => into.push("b3", b3Of(context)),
};

export const b3MultiFormat: TraceFormat = {
  names: ["x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"],
  read: readMulti,
  write({ traceId, spanId, sampled, debug }, into) {
    into.push("x-b3-traceid", traceId, "x-b3-spanid", spanId);
    // Debug implies that it is sampled, and stands in its place.
    if (debug) into.push("x-b3-flags", "1");
    else into.push("x-b3-sampled", sampled === true ? "1" : "0");
  },
};

function b3Of({ traceId, spanId, sampled, debug }: TraceContext): string {
  return `${traceId}-${spanId}-${debug ? "d" : sampled === true ? "1" : "0"}`;
}

/** Trace id, span id, and perhaps the decision and the parent's span id, joined by dashes; or the decision alone. */
function readB3(text: string): TraceContext | undefined {
  if (text.length === 1) return decisionOnly(text);
  const dash = text.indexOf("-");
  const traceId = paddedTraceId(text.slice(0, dash));
  if (dash < 0 || traceId === undefined || !isId(text, dash + 1, 16)) return undefined;
  const spanId = text.slice(dash + 1, dash + 17);
  const rest = text.slice(dash + 17);
  if (rest === "") return { traceId, spanId, sampled: undefined, debug: false, randomId: false };
  const decision = decisionOnly(rest.slice(1, 2));
  if (rest[0] !== "-" || decision === undefined) return undefined;
  const hasParent = rest.length === 19 && rest[2] === "-" && isId(rest, 3, 16);
  return rest.length === 2 || hasParent ? { ...decision, traceId, spanId } : undefined;
}

function decisionOnly(text: string): TraceContext | undefined {
  if (text !== "0" && text !== "1" && text !== "d") return undefined;
  return { traceId: "", spanId: "", sampled: text !== "0", debug: text === "d", randomId: false };
}

function readMulti(request: HasFields): TraceContext | undefined {
  const id = request.header("x-b3-traceid");
  const said = request.header("x-b3-sampled");
  if (id === undefined && said === undefined) return undefined;
  const debug = request.header("x-b3-flags") === "1";
  const sampled = debug ? true : decisionOf(said);
  if (id === undefined) {
    return sampled === undefined ? undefined : { traceId: "", spanId: "", sampled, debug, randomId: false };
  }
  const traceId = paddedTraceId(id);
  const spanId = request.header("x-b3-spanid") ?? "";
  if (traceId === undefined || spanId.length !== 16 || !isId(spanId, 0, 16)) return undefined;
  return { traceId, spanId, sampled, debug, randomId: false };
}

/** The words are those of old libraries. */
function decisionOf(text: string | undefined): boolean | undefined {
  if (text === "1" || text === "true") return true;
  return text === "0" || text === "false" ? false : undefined;
}

/** Half as long is as good: the other half is zero. */
function paddedTraceId(text: string): string | undefined {
  if (text.length !== 16 && text.length !== 32) return undefined;
  return isId(text, 0, text.length) ? text.padStart(32, "0") : undefined;
}
