/** A call as a line for people: when, who → what (which served it), request, status, time, reason. */
import { z } from "zod";
import { wordOf } from "../proxy/access-log/escaped-text.ts";

const CallSchema = z.object({
  time: z.string(),
  kind: z.string(),
  sourceAddress: z.string(),
  source: z.string().optional(),
  service: z.string(),
  backend: z.string().optional(),
  endpoint: z.string().optional(),
  endpointPod: z.string().optional(),
  method: z.string().optional(),
  path: z.string().optional(),
  query: z.string().optional(),
  status: z.number().optional(),
  grpcStatus: z.number().optional(),
  reason: z.string().optional(),
  attempts: z.number().optional(),
  wouldDeny: z.boolean().optional(),
  bytesUp: z.number(),
  bytesDown: z.number(),
  durationMs: z.number(),
});
const LostSchema = z.object({ kind: z.literal("lost"), calls: z.number() });

type TappedCall = z.infer<typeof CallSchema>;

/** @returns undefined for what is neither a call nor says how many are missing */
export function readTapLine(line: string): { call: TappedCall } | { lost: number } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const lost = LostSchema.safeParse(value);
  if (lost.success) return { lost: lost.data.calls };
  const call = CallSchema.safeParse(value);
  return call.success ? { call: call.data } : undefined;
}

const [RED, YELLOW, GREEN, DIM] = [31, 33, 32, 2];
const WIDTHS = { time: 12, way: 44, request: 28, status: 6, duration: 10 };

export const TAP_HEADING = [
  "TIME".padEnd(WIDTHS.time),
  "FROM → TO (BACKEND)".padEnd(WIDTHS.way),
  "REQUEST".padEnd(WIDTHS.request),
  "STATUS".padEnd(WIDTHS.status),
  "TIME TAKEN".padStart(WIDTHS.duration),
  "REASON",
].join("  ");

/** @param colour with ANSI's colours */
export function formatCall(call: TappedCall, colour: boolean): string {
  const { source, sourceAddress, service, backend, endpoint, endpointPod, reason, attempts = 0, wouldDeny } = call;
  const paint = (code: number, text: string) => (colour && text !== "" ? `\u001b[${code}m${text}\u001b[0m` : text);
  const by = [backend, endpointPod ?? endpoint].filter((each) => each !== undefined).map(wordOf);
  const way = `${wordOf(source ?? sourceAddress)} → ${wordOf(service)}${by.length === 0 ? "" : ` (${by.join(" ")})`}`;
  const notes = [
    reason === undefined ? "" : paint(RED, wordOf(reason)),
    attempts > 1 ? paint(YELLOW, `${attempts} tries`) : "",
    wouldDeny === true ? paint(YELLOW, "would be denied") : "",
  ];
  return [
    paint(DIM, wordOf(call.time.slice(11, 23)).padEnd(WIDTHS.time)),
    way.padEnd(WIDTHS.way),
    requestOf(call).padEnd(WIDTHS.request),
    paint(colourOf(call), statusOf(call).padEnd(WIDTHS.status)),
    durationOf(call.durationMs).padStart(WIDTHS.duration),
    notes.filter((note) => note !== "").join(", "),
  ]
    .join("  ")
    .trimEnd();
}

function requestOf({ kind, method, path = "", query, bytesUp, bytesDown }: TappedCall): string {
  if (method === undefined) return `${wordOf(kind)} ↑${bytesUp} ↓${bytesDown} bytes`;
  return `${wordOf(method)} ${wordOf(query === undefined ? path : `${path}?${query}`)}`;
}

function statusOf({ status, grpcStatus }: TappedCall): string {
  return `${status ?? "-"}${grpcStatus === undefined ? "" : `/${grpcStatus}`}`;
}

function colourOf({ status = 0, grpcStatus = 0 }: TappedCall): number {
  if (status >= 500 || grpcStatus > 0) return RED;
  return status >= 400 ? YELLOW : GREEN;
}

function durationOf(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
