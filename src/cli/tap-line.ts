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
const WIDTHS = { time: 12, status: 6, duration: 10 };
/** Columns of text grow with what they hold, so far: what is longer still stands out. */
const WAY = { least: 44, most: 96 };
const REQUEST = { least: 20, most: 48 };
/** Below it a call takes two lines, rather than to be broken anywhere. */
const ONE_LINE_COLUMNS = 120;
const GAP = "  ";
/** All that is not the way, with short reasons. */
const REST_COLUMNS = ONE_LINE_COLUMNS - WAY.least;

export interface TapTableOptions {
  /** Of the terminal, each time anew. */
  readonly columns: () => number;
  /** Whether with ANSI's colours. */
  readonly colour: boolean;
}

/** Calls one below the other, as wide as the terminal allows. */
export class TapTable {
  readonly #columns: () => number;
  readonly #colour: boolean;
  /** As wide as there is room from the beginning, so that the first lines stand over the later ones. */
  #way: number;
  #request = REQUEST.least;

  constructor({ columns, colour }: TapTableOptions) {
    this.#columns = columns;
    this.#colour = colour;
    this.#way = Math.max(WAY.least, Math.min(WAY.most, columns() - REST_COLUMNS));
  }

  heading(): string {
    return this.#arrange({
      time: "TIME",
      way: "FROM → TO (BACKEND)",
      request: "REQUEST",
      status: "STATUS",
      statusColour: undefined,
      duration: "TIME TAKEN",
      notes: "REASON",
    });
  }

  line(call: TappedCall): string {
    const way = wayOf(call);
    const request = requestOf(call);
    this.#way = Math.min(WAY.most, Math.max(this.#way, way.length));
    this.#request = Math.min(REQUEST.most, Math.max(this.#request, request.length));
    const { reason, attempts = 0, wouldDeny } = call;
    const notes = [
      reason === undefined ? "" : this.#paint(RED, wordOf(reason)),
      attempts > 1 ? this.#paint(YELLOW, `${attempts} tries`) : "",
      wouldDeny === true ? this.#paint(YELLOW, "would be denied") : "",
    ];
    return this.#arrange({
      time: wordOf(call.time.slice(11, 23)),
      way,
      request,
      status: statusOf(call),
      statusColour: colourOf(call),
      duration: durationOf(call.durationMs),
      notes: notes.filter((note) => note !== "").join(", "),
    });
  }

  #arrange({ time, way, request, status, statusColour, duration, notes }: Cells): string {
    const began = this.#paint(DIM, time.padEnd(WIDTHS.time));
    const answer = this.#paint(statusColour, status.padEnd(WIDTHS.status));
    const taken = duration.padStart(WIDTHS.duration);
    if (this.#columns() < ONE_LINE_COLUMNS) {
      const first = [began, answer, taken, request, notes].join(GAP).trimEnd();
      return `${first}\n${" ".repeat(WIDTHS.time)}${GAP}${way}`;
    }
    const cells = [began, way.padEnd(this.#way), request.padEnd(this.#request), answer, taken, notes];
    return cells.join(GAP).trimEnd();
  }

  #paint(code: number | undefined, text: string): string {
    return this.#colour && code !== undefined && text !== "" ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

interface Cells {
  readonly time: string;
  readonly way: string;
  readonly request: string;
  readonly status: string;
  readonly statusColour: number | undefined;
  readonly duration: string;
  readonly notes: string;
}

function wayOf({ source, sourceAddress, service, backend, endpoint, endpointPod }: TappedCall): string {
  // The namespace only where it is another than the Service's.
  const namespace = service.slice(0, service.indexOf("/") + 1);
  const within = (key: string) => (key.startsWith(namespace) ? key.slice(namespace.length) : key);
  const by = [backend, endpointPod ?? endpoint]
    .filter((each) => each !== undefined)
    .map((each) => wordOf(within(each)));
  return `${wordOf(source ?? sourceAddress)} → ${wordOf(service)}${by.length === 0 ? "" : ` (${by.join(" ")})`}`;
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
