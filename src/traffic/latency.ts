import { DURATION_BOUNDS_MS, type TrafficCounts } from "./traffic-report.ts";

/** What takes longer is known only to be over it. */
export const LONGEST_MS = DURATION_BOUNDS_MS.at(-1) as number;

/**
 * How long the given share of the exchanges took at most, estimated as if those of a bucket were spread evenly over it:
 * the estimate and the truth are in the same bucket.
 * @param share from 0 to 1: 0.99
 * @returns at most LONGEST_MS; undefined where there was no exchange
 */
export function latencyMs({ durations }: Pick<TrafficCounts, "durations">, share: number): number | undefined {
  const total = durations.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return undefined;
  const rank = share * total;
  let before = 0;
  for (const [index, count] of durations.entries()) {
    if (count > 0 && before + count >= rank) return within(index, (rank - before) / count);
    before += count;
  }
  return LONGEST_MS;
}

function within(bucket: number, part: number): number {
  const from = bucket === 0 ? 0 : (DURATION_BOUNDS_MS[bucket - 1] as number);
  const to = DURATION_BOUNDS_MS[bucket] ?? LONGEST_MS;
  return from + (to - from) * Math.min(1, Math.max(0, part));
}
