import fc from "fast-check";
import { expect, test } from "vitest";
import { formatAge, formatLatency, formatRate, formatShare } from "./figures.ts";

test.each([
  [0, "0"],
  [0.001, "<0.01"],
  [0.5, "0.5"],
  [12.34, "12.3"],
  [999.4, "999"],
  [999.6, "1k"],
  [1_234, "1.23k"],
  [3_400_000, "3.4M"],
])("a rate of %d is written %s", (rate, text) => {
  expect(formatRate(rate)).toBe(text);
});

test.each([
  [undefined, "-"],
  [0, "0%"],
  [1, "100%"],
  [0.999_99, "99.99%"],
  [0.000_001, "0.01%"],
  [0.95, "95%"],
])("a share of %s is written %s", (share, text) => {
  expect(formatShare(share)).toBe(text);
});

test("a share says all or nothing only where it is so", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 100_000 }), (some, others) => {
      expect(["0%", "100%"]).not.toContain(formatShare(some / (some + others)));
    }),
  );
});

test.each([
  [undefined, "-"],
  [0.42, "0.42ms"],
  [12.5, "12.5ms"],
  [999.7, "1s"],
  [1_250, "1.25s"],
  [30_000, "≥30s"],
])("a latency of %s ms is written %s", (ms, text) => {
  expect(formatLatency(ms)).toBe(text);
});

test("every figure fits its column", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e14, noNaN: true }), (value) => {
      expect(formatRate(value).length).toBeLessThanOrEqual(6);
      expect(formatLatency(value).length).toBeLessThanOrEqual(7);
    }),
  );
});

test.each([
  [59.9, "59s"],
  [130, "2m"],
  [7_300, "2h"],
  [200_000, "2d"],
  [-3, "0s"],
])("an age of %d s is written %s", (seconds, text) => {
  expect(formatAge(seconds)).toBe(text);
});
