import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LONGEST_MS, latencyMs } from "./latency.ts";
import { DURATION_BOUNDS_MS } from "./traffic-report.ts";

const bucketOf = (ms: number) => {
  const index = DURATION_BOUNDS_MS.findIndex((bound) => ms <= bound);
  return index < 0 ? DURATION_BOUNDS_MS.length : index;
};

function histogramOf(times: readonly number[]) {
  const durations = Array.from({ length: DURATION_BOUNDS_MS.length + 1 }, () => 0);
  for (const ms of times) durations[bucketOf(ms)] = (durations[bucketOf(ms)] as number) + 1;
  return { durations };
}

const times = fc.array(fc.double({ min: 0, max: 40_000, noNaN: true }), { minLength: 1, maxLength: 200 });
const share = fc.double({ min: 0, max: 1, noNaN: true });

describe("a latency out of a histogram", () => {
  test("is in the bucket of the true one, or at its edge", () => {
    fc.assert(
      fc.property(times, share, (taken, part) => {
        const sorted = [...taken].sort((a, b) => a - b);
        const truth = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] as number;
        const bucket = bucketOf(truth);
        const estimate = latencyMs(histogramOf(taken), part) as number;
        expect(estimate).toBeGreaterThanOrEqual(DURATION_BOUNDS_MS[bucket - 1] ?? 0);
        expect(estimate).toBeLessThanOrEqual(DURATION_BOUNDS_MS[bucket] ?? LONGEST_MS);
      }),
    );
  });

  test("grows with the share", () => {
    fc.assert(
      fc.property(times, share, share, (taken, a, b) => {
        const histogram = histogramOf(taken);
        const [less, more] = [Math.min(a, b), Math.max(a, b)].map((part) => latencyMs(histogram, part) as number);
        expect(less).toBeLessThanOrEqual(more as number);
      }),
    );
  });

  test("is the same of twice the exchanges", () => {
    fc.assert(
      fc.property(times, share, (taken, part) => {
        const twice = latencyMs(histogramOf([...taken, ...taken]), part) as number;
        expect(twice).toBeCloseTo(latencyMs(histogramOf(taken), part) as number, 6);
      }),
    );
  });

  test("is interpolated within a bucket", () => {
    expect(latencyMs(histogramOf([6, 7, 8, 9]), 0.5)).toBe(7.5);
    expect(latencyMs(histogramOf([0.2]), 1)).toBe(0.5);
    expect(latencyMs(histogramOf([31_000]), 0.5)).toBe(LONGEST_MS);
  });

  test("is not known without exchanges", () => {
    expect(latencyMs(histogramOf([]), 0.5)).toBeUndefined();
  });
});
