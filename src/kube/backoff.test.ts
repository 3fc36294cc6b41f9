import { expect, test } from "vitest";
import { Backoff } from "./backoff.ts";

const delays = (backoff: Backoff, count: number) => Array.from({ length: count }, () => backoff.next());

test("delays double up to the bound, and start anew after a reset", () => {
  const backoff = new Backoff(() => 0, 100, 1000);
  expect(delays(backoff, 6)).toEqual([100, 200, 400, 800, 1000, 1000]);
  backoff.reset();
  expect(backoff.next()).toBe(100);
});

test("chance takes off up to a half", () => {
  expect(new Backoff(() => 0.999999, 100, 1000).next()).toBeCloseTo(50, 2);
});
