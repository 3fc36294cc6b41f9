import fc from "fast-check";
import { expect, test } from "vitest";
import { RetryPolicy } from "./retry-policy.ts";

test("without conditions it covers what came to nothing, and no status", () => {
  const policy = new RetryPolicy({ attempts: 2 });
  const failures = ["ConnectRefused", "ConnectTimeout", "UpstreamTls", "UpstreamReset", "ResponseTimeout"] as const;
  expect(failures.map((failure) => policy.covers(failure, 0))).toEqual([true, true, true, true, true]);
  expect(policy.covers("UpstreamReset", 503)).toBe(false);
});

test("conditions that are said are the only ones", () => {
  const policy = new RetryPolicy({ attempts: 2, on: ["reset"], statuses: [[502, 504]] });
  expect(policy.covers("UpstreamReset", 0)).toBe(true);
  expect(policy.covers("ConnectRefused", 0)).toBe(false);
  expect(policy.covers("ResponseTimeout", 0)).toBe(false);
  expect([501, 502, 503, 504].map((status) => policy.covers("UpstreamReset", status))).toEqual([
    false,
    true,
    true,
    false,
  ]);
});

test("a change replaces the conditions, and what the budget has counted stays", () => {
  const policy = new RetryPolicy({ attempts: 2, statuses: [[500, 600]], budgetPercent: 1 });
  while (policy.budget.take(0));
  policy.change({ attempts: 3, statuses: [[429, 430]], budgetPercent: 1 });
  expect([policy.attempts, policy.covers("UpstreamReset", 503), policy.covers("UpstreamReset", 429)]).toEqual([
    3,
    false,
    true,
  ]);
  expect(policy.budget.take(0)).toBe(false);
});

test("any status is covered exactly by the ranges that hold it", () => {
  const anyRange = fc.tuple(fc.integer({ min: 400, max: 599 }), fc.integer({ min: 401, max: 600 }));
  fc.assert(
    fc.property(fc.array(anyRange), fc.integer({ min: 100, max: 999 }), (statuses, status) => {
      const covered = statuses.some(([from, to]) => status >= from && status < to);
      expect(new RetryPolicy({ attempts: 2, statuses }).covers("UpstreamReset", status)).toBe(covered);
    }),
  );
});
