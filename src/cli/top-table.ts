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
  of(row: TopRow): string;
  /** Whether this figure is a bad sign. */
  isBad?(row: TopRow): boolean;
}

const rate = (value: number) => (value === 0 ? "-" : formatRate(value));

const COLUMNS: readonly Column[] = [
  { title: "REQ/S", of: ({ requests }) => rate(requests) },
  { title: "SUCCESS", of: ({ success }) => formatShare(success), isBad: ({ success = 1 }) => success < 1 },
  { title: "P50", of: ({ p50Ms }) => formatLatency(p50Ms) },
  { title: "P95", of: ({ p95Ms }) => formatLatency(p95Ms) },
  { title: "P99", of: ({ p99Ms }) => formatLatency(p99Ms) },
  { title: "UP B/S", of: ({ bytesUp }) => rate(bytesUp) },
  { title: "DOWN B/S", of: ({ bytesDown }) => rate(bytesDown) },
  { title: "FLOWS/S", of: ({ flows }) => rate(flows) },
  {
    title: "DENIED/S",
    // In mode audit nothing is denied, and it is the same that must be seen.
    of: ({ denied, audited }) => (audited > 0 && denied === 0 ? `(${rate(audited)})` : rate(denied)),
    isBad: ({ denied, audited }) => denied + audited > 0,
  },
];
const GAP = "  ";
const WIDTH = 8;
const MIN_NAME = 12;
/** Columns that names leave room for: to P99. Those after it are shown where they fit. */
const ESSENTIAL = 5;
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
    [cut(title, width), ...COLUMNS.map((column) => column.title.padStart(WIDTH))],
    Array.from({ length: COLUMNS.length + 1 }, () => BOLD),
  );
  const body = shown.map((row, index) =>
    line(
      [cut(names[index] as string, width), ...COLUMNS.map((column) => column.of(row).padStart(WIDTH))],
      [undefined, ...COLUMNS.map((column) => (column.isBad?.(row) === true ? RED : undefined))],
    ),
  );
  const left = rows.length - shown.length;
  return [heading, ...body, ...(left > 0 && lines > 1 ? [cut(`and ${left} more`, columns).trimEnd()] : [])];
}

function nameOf({ service, caller, backend }: TopRow): string {
  const called = service === "" ? "(others)" : wordOf(service);
  if (caller === undefined) return called;
  const from = caller === "" ? "(unknown)" : wordOf(caller);
  return `${from} → ${called}${backend === undefined ? "" : ` (${wordOf(backend)})`}`;
}

function cut(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text.padEnd(width);
}
