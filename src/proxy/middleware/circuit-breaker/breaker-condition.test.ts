import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BreakerExpression } from "../../../config/mesh-config.ts";
import { BreakerMetrics, compileCondition } from "./breaker-condition.ts";

const NETWORK_ERRORS: BreakerExpression = { metric: "networkErrorRatio", operator: ">", value: 0.3 };

describe("expressions", () => {
  const answers = (statuses: number[], latencyMs = 1) => statuses.map((status) => ({ status, latencyMs }));
  const latency = (operator: ">" | "<", value: number, quantile = 50): BreakerExpression => ({
    metric: "latencyAtQuantileMs",
    quantile,
    operator,
    value,
  });
  const errorRatio = (operator: ">" | ">=" | "<" | "<=" | "==" | "!=", value: number): BreakerExpression => ({
    metric: "responseCodeRatio",
    codes: [500, 600, 0, 600],
    operator,
    value,
  });
  const cases: [string, BreakerExpression, { status: number; latencyMs: number }[], boolean][] = [
    ["502 and 504 are network errors", NETWORK_ERRORS, answers([200, 200, 502, 504]), true],
    ["500 and 503 are not", NETWORK_ERRORS, answers([500, 503, 500, 503]), false],
    ["a share equal to the constant is not above it", errorRatio(">", 0.5), answers([200, 500]), false],
    ["but it is at least that", errorRatio(">=", 0.5), answers([200, 500]), true],
    ["at most", errorRatio("<=", 0.5), answers([200, 500]), true],
    ["below", errorRatio("<", 0.5), answers([200, 500]), false],
    ["equal", errorRatio("==", 0.5), answers([200, 500]), true],
    ["not equal", errorRatio("!=", 0.5), answers([200, 500]), false],
    ["the range's end is not in it", errorRatio(">", 0), answers([200, 600]), false],
    [
      "nothing to divide by is 0",
      { metric: "responseCodeRatio", codes: [500, 600, 700, 800], operator: ">", value: 0 },
      answers([500, 500]),
      false,
    ],
    [
      "a part outside of the whole can be more than it",
      { metric: "responseCodeRatio", codes: [500, 600, 200, 300], operator: ">", value: 1 },
      answers([200, 500, 500]),
      true,
    ],
    ["a median above the constant", latency(">", 100), answers([200, 200, 200], 101.5), true],
    ["a median at the constant", latency(">", 10), answers([200, 200, 200], 10), false],
    [
      "one slow answer does not move the median",
      latency(">", 100),
      [...answers([200, 200]), ...answers([200], 900)],
      false,
    ],
    ["but the 95th percentile", latency(">", 100, 95), [...answers([200, 200]), ...answers([200], 900)], true],
    ["all of them", { all: [errorRatio(">", 0.1), latency(">", 100)] }, answers([500, 500]), false],
    ["any of them", { any: [latency(">", 100), errorRatio(">", 0.1)] }, answers([500, 500]), true],
    ["any within all", { all: [{ any: [latency("<", 5)] }, errorRatio(">", 0.1)] }, answers([500]), true],
    ["no condition never holds", { any: [{ any: [] }, { all: [] }] }, answers([500, 502]), false],
  ];
  test.each(cases)("%s", (_name, expression, responses, expected) => {
    const metrics = new BreakerMetrics();
    const condition = compileCondition(expression, metrics);
    for (const { status, latencyMs } of responses) metrics.record(0, status, latencyMs);
    expect(condition.holds(0)).toBe(expected);
  });
});

test("shares forget what is ten seconds old, after a pause of any length", () => {
  const steps = fc.array(fc.tuple(fc.nat(4_000), fc.constantFrom(200, 502, 504, 500)), { maxLength: 60 });
  fc.assert(
    fc.property(steps, fc.nat(30_000), (recorded, rest) => {
      const metrics = new BreakerMetrics();
      const share = metrics.share(undefined);
      const seen: { second: number; status: number }[] = [];
      let now = 0;
      for (const [pause, status] of recorded) {
        now += pause;
        metrics.record(now, status, 1);
        seen.push({ second: Math.floor(now / 1000), status });
      }
      now += rest;
      const alive = seen.filter(({ second }) => second > Math.floor(now / 1000) - 10);
      const errors = alive.filter(({ status }) => status === 502 || status === 504);
      expect(share.value(now)).toBe(alive.length === 0 ? 0 : errors.length / alive.length);
    }),
  );
});

test("a reset forgets all of it", () => {
  const metrics = new BreakerMetrics();
  const condition = compileCondition(
    { any: [NETWORK_ERRORS, { metric: "latencyAtQuantileMs", quantile: 50, operator: ">", value: 5 }] },
    metrics,
  );
  metrics.record(0, 502, 100);
  expect(condition.holds(0)).toBe(true);
  metrics.reset();
  expect(condition.holds(0)).toBe(false);
});
