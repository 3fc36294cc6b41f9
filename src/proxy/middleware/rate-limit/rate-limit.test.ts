import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Clock } from "../../../model/clock.ts";
import { MAX_CALLERS, RateLimit } from "./rate-limit.ts";

class HandClock implements Clock {
  ms = 0;
  now = () => this.ms;
  wall = () => this.ms;
  after = () => ({ cancel() {} });
}

function limited(average: number, burst: number) {
  const clock = new HandClock();
  return { clock, limit: new RateLimit({ average, burst }, clock) };
}

describe("one caller", () => {
  test("the burst goes at once, and what would wait too long is refused", () => {
    const { limit } = limited(10, 3);
    expect([limit.take("a"), limit.take("a"), limit.take("a")]).toEqual([0, 0, 0]);
    expect(limit.take("a")).toBe(-100);
  });

  test("a refusal takes no token, and says when one will be there", () => {
    const { clock, limit } = limited(10, 1);
    limit.take("a");
    clock.ms = 30;
    expect(limit.take("a")).toBeCloseTo(-70);
    expect(limit.take("a")).toBeCloseTo(-70);
    clock.ms = 100;
    expect(limit.take("a")).toBe(0);
  });

  test("a wait of half the time between tokens is granted, and its token is taken", () => {
    const { clock, limit } = limited(10, 1);
    expect(limit.maxWaitMs).toBe(50);
    limit.take("a");
    clock.ms = 50;
    expect(limit.take("a")).toBe(50);
    // The debt is half a token: the next one is there 150 ms later.
    expect(limit.take("a")).toBe(-150);
  });

  test("a full bucket does not grow", () => {
    const { clock, limit } = limited(1000, 2);
    limit.take("a");
    clock.ms = 1_000_000;
    expect([limit.take("a"), limit.take("a")]).toEqual([0, 0]);
    expect(limit.take("a")).toBeLessThan(0);
  });

  test("a token given back can be taken again, and fills no bucket beyond its size", () => {
    const { limit } = limited(1, 1);
    limit.take("a");
    limit.giveBack("a");
    limit.giveBack("a");
    limit.giveBack("never came");
    expect(limit.take("a")).toBe(0);
    expect(limit.take("a")).toBeLessThan(0);
  });
});

test("callers do not take from each other", () => {
  const { limit } = limited(1, 1);
  expect([limit.take("a"), limit.take("b"), limit.take("c")]).toEqual([0, 0, 0]);
  expect(limit.take("b")).toBeLessThan(0);
});

describe("changing the limit", () => {
  test("a caller keeps the tokens that it has", () => {
    const { limit } = limited(1, 5);
    for (let i = 0; i < 4; i++) limit.take("a");
    limit.change({ average: 10, burst: 100 });
    expect(limit.maxWaitMs).toBe(50);
    expect(limit.take("a")).toBe(0);
    expect(limit.take("a")).toBe(-100);
  });

  test("tokens beyond the new size are gone", () => {
    const { limit } = limited(1, 5);
    limit.take("a");
    limit.change({ average: 1, burst: 2 });
    expect([limit.take("a"), limit.take("a")]).toEqual([0, 0]);
    expect(limit.take("a")).toBeLessThan(0);
  });
});

describe("memory", () => {
  test("buckets that are full again vanish", () => {
    const { clock, limit } = limited(10, 2);
    for (let i = 0; i < 1000; i++) limit.take(`10.0.0.${i}`);
    expect(limit.size).toBe(1000);
    clock.ms = 100;
    for (let i = 0; i < 600; i++) limit.take("10.1.0.1");
    expect(limit.size).toBe(1);
  });

  test("the longest rested caller makes room, and no other", () => {
    const { limit } = limited(1, 1);
    for (let i = 0; i < MAX_CALLERS; i++) limit.take(String(i));
    limit.take("0");
    limit.take("one more");
    expect(limit.size).toBe(MAX_CALLERS);
    expect(limit.take("0")).toBeLessThan(0);
    expect(limit.take("2")).toBeLessThan(0);
    expect(limit.take("1")).toBe(0);
  });
});

/** The rule itself, without bounds on memory. */
class Model {
  readonly buckets = new Map<string, { tokens: number; at: number }>();
  readonly average: number;
  readonly burst: number;
  constructor(average: number, burst: number) {
    this.average = average;
    this.burst = burst;
  }
  take(caller: string, now: number): number {
    const bucket = this.buckets.get(caller) ?? { tokens: this.burst, at: now };
    bucket.tokens = Math.min(this.burst, bucket.tokens + ((now - bucket.at) * this.average) / 1000);
    bucket.at = now;
    this.buckets.set(caller, bucket);
    const wait = bucket.tokens >= 1 ? 0 : ((1 - bucket.tokens) * 1000) / this.average;
    if (wait > 500 / this.average) return -wait;
    bucket.tokens--;
    return wait;
  }
}

test("forgetting buckets changes no answer", () => {
  const step = fc.record({ caller: fc.integer({ min: 0, max: 5 }), eighths: fc.integer({ min: 0, max: 4000 }) });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 4 }),
      fc.array(step),
      (average, burst, steps) => {
        const { clock, limit } = limited(average, burst);
        const model = new Model(average, burst);
        for (const { caller, eighths } of steps) {
          clock.ms += eighths / 8;
          const wait = limit.take(String(caller));
          expect(wait).toBe(model.take(String(caller), clock.ms));
          expect(wait).toBeLessThanOrEqual(limit.maxWaitMs);
        }
      },
    ),
  );
});

test("no caller passes more than the burst and the average allow", () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 10 }), gaps, (average, burst, waits) => {
      const { clock, limit } = limited(average, burst);
      let passed = 0;
      for (const gap of waits) {
        clock.ms += gap;
        if (limit.take("a") >= 0) passed++;
      }
      // The half token is the one that a waiting request may owe.
      expect(passed).toBeLessThanOrEqual(burst + (clock.ms * average) / 1000 + 0.5 + 1e-6);
    }),
  );
});
