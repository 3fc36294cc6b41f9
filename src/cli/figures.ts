/** Figures for people: three digits say enough. */
import { LONGEST_MS } from "../traffic/latency.ts";

const STEP = 1000;
const UNITS = ["", "k", "M", "G", "T"];

/** `0`, `0.5`, `12.3`, `1.2k`, `3.4M` */
export function formatRate(rate: number): string {
  let scaled = rate;
  let unit = 0;
  // What rounds to 1000 is said in the next unit.
  while (scaled >= STEP - 0.5 && unit < UNITS.length - 1) {
    scaled /= STEP;
    unit++;
  }
  return `${digits(scaled)}${UNITS[unit]}`;
}

/** `99.95%`: never 100 % where something failed. `-` where nothing is known. */
export function formatShare(share: number | undefined): string {
  if (share === undefined) return "-";
  const hundredths = share * 10_000;
  // In the direction that hides no failure, and no success either.
  const rounded = share > 0.5 ? Math.floor(hundredths + 1e-6) : Math.ceil(hundredths - 1e-6);
  return `${Number((rounded / 100).toFixed(2))}%`;
}

/** `0.4ms`, `12ms`, `1.25s`, `≥30s`; `-` where nothing is known. */
export function formatLatency(ms: number | undefined): string {
  if (ms === undefined) return "-";
  if (ms >= LONGEST_MS) return `≥${LONGEST_MS / 1000}s`;
  return ms < STEP - 0.5 ? `${digits(ms)}ms` : `${digits(ms / 1000)}s`;
}

/** `45s`, `12m`, `3h`, `5d` */
export function formatAge(seconds: number): string {
  if (seconds < 120) return `${Math.max(0, Math.floor(seconds))}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

function digits(value: number): string {
  if (value === 0) return "0";
  if (value < 0.01) return "<0.01";
  // A third digit so far behind the point would not fit a column.
  return String(Number(value.toPrecision(value < 0.1 ? 2 : 3)));
}
