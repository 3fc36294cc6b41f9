/** `tulle top` as lines of text, no longer and no more than fit. */
import { wordOf } from "../proxy/access-log/escaped-text.ts";
import { formatLatency, formatRate, formatShare } from "./figures.ts";
import type { TopRow } from "./top-rows.ts";

export interface TableSize {
  readonly columns: number;
  /** Heading included. */
  readonly lines: number;
}

interface Column {
  readonly title: string;
  /** Where not all fit, those with the least are shown. */
  readonly rank: number;
  of(row: TopRow): string;
  /** Whether this figure is a bad sign. */
  isBad?(row: TopRow): boolean;
}

const rate = (value: number) => (value === 0 ? "-" : formatRate(value));

const COLUMNS: readonly Column[] = [
  { title: "REQ/S", rank: 0, of: ({ requests }) => rate(requests) },
  {
    title: "SUCCESS",
    rank: 1,
    of: ({ success }) => formatShare(success),
    isBad: ({ success = 1 }) => success < 1,
  },
  { title: "P50", rank: 4, of: ({ p50Ms }) => formatLatency(p50Ms) },
  { title: "P95", rank: 5, of: ({ p95Ms }) => formatLatency(p95Ms) },
  { title: "P99", rank: 2, of: ({ p99Ms }) => formatLatency(p99Ms) },
  { title: "UP B/S", rank: 7, of: ({ bytesUp }) => rate(bytesUp) },
  { title: "DOWN B/S", rank: 6, of: ({ bytesDown }) => rate(bytesDown) },
  { title: "FLOWS/S", rank: 8, of: ({ flows }) => rate(flows) },
  {
    title: "DENIED/S",
    rank: 3,
    // In mode audit nothing is denied, and it is the same that must be seen.
    of: ({ denied, audited }) => (audited > 0 && denied === 0 ? `(${rate(audited)})` : rate(denied)),
    isBad: ({ denied, audited }) => denied + audited > 0,
  },
];
const GAP = "  ";
const WIDTH = 8;
const MIN_NAME = 12;
/** Columns that names leave room for. */
const ESSENTIAL = 3;
const [RED, BOLD] = [31, 1];

/** @param rows in their order */
export function topTable(rows: readonly TopRow[], { columns, lines }: TableSize, colour: boolean): string[] {
  const isByCaller = rows.some(({ caller }) => caller !== undefined);
  const title = isByCaller ? "CALLER → SERVICE (BACKEND)" : "SERVICE";
  const shown = rows.length < lines ? rows : rows.slice(0, Math.max(0, lines - 2));
  const names = shown.map(nameOf);
  const figures = ESSENTIAL * (WIDTH + GAP.length);
  const widest = Math.max(title.length, ...names.map(({ length }) => length));
  const width = Math.min(columns, Math.max(MIN_NAME, Math.min(widest, columns - figures)));
  const fitting = Math.max(0, Math.floor((columns - width) / (WIDTH + GAP.length)));
  const columnsShown = COLUMNS.filter(({ rank }) => rank < fitting);
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const line = (cells: readonly string[], paints: readonly (number | undefined)[]) => {
    let room = columns;
    const painted = cells.flatMap((cell, index) => {
      const text = index === 0 ? cell : GAP + cell;
      // A column that does not fit is left out, rather than to break the line.
      if (text.length > room) return [];
      room -= text.length;
      const code = paints[index];
      return code === undefined ? text : paint(code, text);
    });
    return colour ? painted.join("") : painted.join("").trimEnd();
  };
  const heading = line(
    [cut(title, width), ...columnsShown.map((column) => column.title.padStart(WIDTH))],
    Array.from({ length: columnsShown.length + 1 }, () => BOLD),
  );
  const body = shown.map((row, index) =>
    line(
      [cut(names[index] as string, width), ...columnsShown.map((column) => column.of(row).padStart(WIDTH))],
      [undefined, ...columnsShown.map((column) => (column.isBad?.(row) === true ? RED : undefined))],
    ),
  );
  const left = rows.length - shown.length;
  const last = left > 0 ? `and ${left} more` : rows.length === 0 ? "(nothing has passed)" : "";
  return [heading, ...body, ...(last !== "" && lines > 1 ? [cut(last, columns).trimEnd()] : [])];
}

function nameOf({ service, caller, backend }: TopRow): string {
  const called = service === "" ? "(others)" : wordOf(service);
  if (caller === undefined) return called;
  const from = caller === "" ? "(unknown)" : wordOf(caller);
  return `${from} → ${called}${backend === undefined ? "" : ` (${wordOf(backend)})`}`;
}

/** In the middle: names of a mesh differ at their ends. */
function cut(text: string, width: number): string {
  if (text.length <= width) return text.padEnd(width);
  const end = Math.max(0, Math.ceil((width - 1) / 2));
  return `${text.slice(0, Math.max(0, width - 1 - end))}…${end === 0 ? "" : text.slice(-end)}`;
}
