import fc from "fast-check";
import { expect, test } from "vitest";
import { FREE_RETRIES, RetryBudget } from "./retry-budget.ts";

const WINDOW_MS = 10_000;
const BUCKET_MS = 1_000;

function taken(budget: RetryBudget, asked: number, now: number): number {
  let count = 0;
  for (let ask = 0; ask < asked; ask++) if (budget.take(now)) count++;
  return count;
}

test("without traffic there are a few", () => {
  expect(taken(new RetryBudget(), 1_000, 0)).toBe(FREE_RETRIES);
});

test("with traffic a share of it comes on top, and what is used up comes back with new traffic", () => {
  const budget = new RetryBudget();
  for (let request = 0; request < 1_000; request++) budget.note(500);
  expect(taken(budget, 1_000, 600)).toBe(FREE_RETRIES + 200);
  expect(taken(budget, 1_000, 9_900)).toBe(0);
  for (let request = 0; request < 50; request++) budget.note(9_900);
  expect(taken(budget, 1_000, 9_900)).toBe(10);
  expect(taken(budget, 1_000, 10_500)).toBe(FREE_RETRIES);
});

test("another share holds at once", () => {
  const budget = new RetryBudget();
  for (let request = 0; request < 1_000; request++) budget.note(0);
  budget.percent = 50;
  expect(taken(budget, 1_000, 0)).toBe(FREE_RETRIES + 500);
});

test("whatever is asked when, what is given is within the share and the few of the ten seconds before it", () => {
  const anyStep = fc.record({ afterMs: fc.nat(3_000), requests: fc.nat(200), retries: fc.nat(400) });
  const anyPercent = fc.integer({ min: 1, max: 100 });
  fc.assert(
    fc.property(anyPercent, fc.array(anyStep, { maxLength: 40 }), (percent, steps) => {
      const budget = new RetryBudget();
      budget.percent = percent;
      const log: { readonly at: number; readonly requests: number; readonly retries: number }[] = [];
      let now = 0;
      for (const { afterMs, requests, retries } of steps) {
        now += afterMs;
        for (let request = 0; request < requests; request++) budget.note(now);
        const given = taken(budget, retries, now);
        log.push({ at: now, requests, retries: given });
        if (given === 0) continue;
        const within = (ms: number, which: "requests" | "retries") =>
          log.filter(({ at }) => at > now - ms).reduce((sum, each) => sum + each[which], 0);
        expect(within(WINDOW_MS - BUCKET_MS, "retries")).toBeLessThanOrEqual(
          FREE_RETRIES + (within(WINDOW_MS, "requests") * percent) / 100,
        );
      }
    }),
  );
});
