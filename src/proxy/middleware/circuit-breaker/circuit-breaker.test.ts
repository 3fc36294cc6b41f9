import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BreakerExpression } from "../../../config/mesh-config.ts";
import type { Clock } from "../../../model/clock.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";

class HandClock implements Clock {
  ms = 0;
  now = () => this.ms;
  wall = () => this.ms;
  after = () => ({ cancel() {} });
}

const NETWORK_ERRORS: BreakerExpression = { metric: "networkErrorRatio", operator: ">", value: 0.3 };

function breaker(expression: BreakerExpression = NETWORK_ERRORS, random = () => 0.25) {
  const clock = new HandClock();
  return { clock, breaker: new CircuitBreaker(expression, clock, random) };
}

/** Trips at 0 ms. */
function tripped(random = () => 0.25) {
  const made = breaker(NETWORK_ERRORS, random);
  made.breaker.record(502, 1);
  expect(made.breaker.state).toBe("tripped");
  return made;
}

describe("states", () => {
  test("standby admits everything", () => {
    const { breaker: it } = breaker();
    expect(it.state).toBe("standby");
    expect(it.admit()).toBe(true);
  });

  test("tripped refuses everything for ten seconds", () => {
    const { clock, breaker: it } = tripped(() => 0);
    expect(it.admit()).toBe(false);
    clock.ms = 9_999;
    expect(it.admit()).toBe(false);
    expect(it.state).toBe("tripped");
    clock.ms = 10_000;
    expect(it.state).toBe("recovering");
  });

  test("recovering admits a share that grows from nothing to half", () => {
    const { clock, breaker: it } = tripped(() => 0.25);
    clock.ms = 10_000;
    expect(it.admit()).toBe(false);
    clock.ms = 14_999;
    expect(it.admit()).toBe(false);
    clock.ms = 15_001;
    expect(it.admit()).toBe(true);
  });

  test("recovering admits nothing at its first moment, whatever chance says", () => {
    const { clock, breaker: it } = tripped(() => 0);
    clock.ms = 10_000;
    expect(it.admit()).toBe(false);
  });

  test("half of the requests pass right before standby, all of them after", () => {
    const { clock, breaker: it } = tripped(() => 0.5);
    clock.ms = 19_999;
    expect(it.admit()).toBe(false);
    clock.ms = 20_000;
    expect(it.admit()).toBe(true);
    expect(it.state).toBe("standby");
  });

  test("a quiet service is back in standby after twenty seconds", () => {
    const { clock, breaker: it } = tripped();
    clock.ms = 20_000;
    expect(it.state).toBe("standby");
  });

  test("it trips again while recovering when the expression holds, for ten seconds from then", () => {
    const { clock, breaker: it } = tripped(() => 0);
    clock.ms = 15_000;
    expect(it.admit()).toBe(true);
    it.record(504, 1);
    expect(it.state).toBe("tripped");
    clock.ms = 24_999;
    expect(it.admit()).toBe(false);
    expect(it.state).toBe("tripped");
    clock.ms = 25_000;
    expect(it.state).toBe("recovering");
  });

  test("to trip forgets what was counted", () => {
    const { clock, breaker: it } = breaker({ metric: "latencyAtQuantileMs", quantile: 50, operator: ">", value: 50 });
    it.record(200, 1);
    for (let i = 0; i < 20; i++) it.record(200, 100);
    clock.ms = 100;
    it.record(200, 100);
    expect(it.state).toBe("tripped");
    clock.ms = 15_000;
    it.record(200, 1);
    expect(it.state).toBe("recovering");
  });

  test("answers to what was under way when it tripped do not prolong that", () => {
    const { clock, breaker: it } = tripped();
    clock.ms = 5_000;
    it.record(502, 1);
    clock.ms = 10_000;
    expect(it.state).toBe("recovering");
  });
});

describe("checks", () => {
  test("the first response is judged at once", () => {
    const { breaker: it } = breaker();
    it.record(502, 1);
    expect(it.state).toBe("tripped");
  });

  test("the next one is judged no sooner than 100 ms later", () => {
    const { clock, breaker: it } = breaker();
    it.record(200, 1);
    clock.ms = 99;
    for (let i = 0; i < 10; i++) it.record(502, 1);
    expect(it.state).toBe("standby");
    clock.ms = 100;
    it.record(502, 1);
    expect(it.state).toBe("tripped");
  });

  test("time alone trips nothing: it takes a response", () => {
    const { clock, breaker: it } = breaker();
    it.record(200, 1);
    it.record(502, 1);
    clock.ms = 1_000;
    expect(it.state).toBe("standby");
    expect(it.admit()).toBe(true);
  });
});

test("an answer counts for ten seconds", () => {
  const { clock, breaker: it } = breaker({
    all: [NETWORK_ERRORS, { metric: "latencyAtQuantileMs", quantile: 50, operator: ">", value: 5 }],
  });
  for (let i = 0; i < 10; i++) it.record(502, 1);
  clock.ms = 9_500;
  it.record(200, 100);
  expect(it.state).toBe("standby");
  // The errors are out of the window now; slow answers alone do not trip it.
  clock.ms = 10_000;
  for (let i = 0; i < 20; i++) it.record(200, 100);
  expect(it.state).toBe("standby");
});

test("errors of the last nine seconds still count", () => {
  const { clock, breaker: it } = breaker();
  it.record(200, 1);
  it.record(502, 1);
  clock.ms = 9_000;
  it.record(200, 1);
  expect(it.state).toBe("tripped");
});

test("while it recovers, the share admitted follows the line", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9_999 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (ms, chance) => {
      const { clock, breaker: it } = tripped(() => chance);
      clock.ms = 10_000 + ms;
      expect(it.admit()).toBe(chance < (0.5 * ms) / 10_000);
    }),
  );
});
