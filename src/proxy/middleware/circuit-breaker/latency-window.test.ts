import fc from "fast-check";
import { expect, test } from "vitest";
import { LatencyWindow } from "./latency-window.ts";

test("nothing recorded is 0 ms", () => {
  expect(new LatencyWindow().quantileMs(0, 50)).toBe(0);
});

test("a quantile is at most 0.8 % above the true one, and never below it", () => {
  const latencies = fc.array(fc.double({ min: 0, max: 2_000_000, noNaN: true }), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(latencies, fc.integer({ min: 0, max: 100 }), (recorded, quantile) => {
      const window = new LatencyWindow();
      for (const latencyMs of recorded) window.record(0, latencyMs);
      const sorted = [...recorded].sort((a, b) => a - b);
      const rank = Math.max(1, Math.floor((quantile / 100) * sorted.length + 0.5));
      const exact = Math.floor(sorted[rank - 1] as number);
      const answer = window.quantileMs(0, quantile);
      expect(answer).toBeGreaterThanOrEqual(exact);
      expect(answer).toBeLessThanOrEqual(exact + 1 + exact * 0.008);
    }),
  );
});

test("whole milliseconds up to 32 are exact", () => {
  for (let ms = 0; ms < 32; ms++) {
    const window = new LatencyWindow();
    window.record(0, ms + 0.99);
    expect(window.quantileMs(0, 50)).toBe(ms);
  }
});

test("what is longer than the scale counts as its end, and less than nothing as nothing", () => {
  const window = new LatencyWindow();
  window.record(0, Number.POSITIVE_INFINITY);
  expect(window.quantileMs(0, 100)).toBe(2_097_151);
  window.record(0, -5);
  expect(window.quantileMs(0, 0)).toBe(0);
});

test("a latency is forgotten after six windows of ten seconds", () => {
  const window = new LatencyWindow();
  window.record(5_000, 700);
  window.record(15_000, 20);
  expect(window.quantileMs(59_999, 100)).toBeGreaterThanOrEqual(700);
  expect(window.quantileMs(60_000, 100)).toBe(20);
  expect(window.quantileMs(70_000, 100)).toBe(0);
});

test("a pause of any length leaves nothing behind", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(100_000), fc.nat(5_000)), { maxLength: 50 }), (steps) => {
      const window = new LatencyWindow();
      let now = 0;
      const model: { period: number; ms: number }[] = [];
      for (const [pause, ms] of steps) {
        now += pause;
        window.record(now, ms);
        model.push({ period: Math.floor(now / 10_000), ms });
      }
      const alive = model.filter(({ period }) => period > Math.floor(now / 10_000) - 6).map(({ ms }) => ms);
      const exact = Math.max(0, ...alive);
      const answer = window.quantileMs(now, 100);
      expect(answer).toBeGreaterThanOrEqual(exact);
      expect(answer).toBeLessThanOrEqual(exact + 1 + exact * 0.008);
    }),
  );
});
