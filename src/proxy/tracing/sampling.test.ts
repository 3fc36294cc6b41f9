import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { isInRatio, TraceRate } from "./sampling.ts";
import { TraceIds } from "./trace-ids.ts";

/** Numbers that look random and are the same each time (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("a share of the traces", () => {
  const ids = new TraceIds(seeded(1));
  const traces = Array.from({ length: 20_000 }, () => {
    ids.next();
    return ids.traceId;
  });

  test.each([0, 0.01, 0.25, 0.5, 1])("is as large as was asked: %d", (ratio) => {
    const share = traces.filter((traceId) => isInRatio(traceId, ratio)).length / traces.length;
    expect(Math.abs(share - ratio)).toBeLessThan(0.01);
  });

  test("is part of every greater share", () => {
    const id = fc.integer({ min: 0, max: traces.length - 1 });
    fc.assert(
      fc.property(
        id,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (at, a, b) => {
          const traceId = traces[at] as string;
          if (isInRatio(traceId, Math.min(a, b))) expect(isInRatio(traceId, Math.max(a, b))).toBe(true);
        },
      ),
    );
  });

  test("is what OpenTelemetry's implementations of Go and Java take", () => {
    // They compare the last eight bytes without the last bit to ratio × 2⁶³.
    const isTaken = (traceId: string, ratio: number) =>
      BigInt(`0x${traceId.slice(16)}`) >> 1n < BigInt(Math.floor(ratio * 2 ** 63));
    for (const ratio of [0.001, 0.1, 0.37, 0.9])
      for (const traceId of traces.slice(0, 2000)) expect(isInRatio(traceId, ratio)).toBe(isTaken(traceId, ratio));
  });
});

describe("traces a second", () => {
  test("are no more than asked, over any second but the first", () => {
    const clock = new ManualClock();
    const rate = new TraceRate(10, clock.now());
    const taken = (tries: number) => Array.from({ length: tries }, () => rate.take(clock.now())).filter(Boolean).length;
    expect(taken(50)).toBe(10);
    clock.advance(100);
    expect(taken(50)).toBe(1);
    clock.advance(60_000);
    expect(taken(50)).toBe(10);
  });

  test("may be less than one", () => {
    const clock = new ManualClock();
    const rate = new TraceRate(0.1, clock.now());
    expect([rate.take(clock.now()), rate.take(clock.now())]).toEqual([true, false]);
    clock.advance(9_000);
    expect(rate.take(clock.now())).toBe(false);
    clock.advance(1_001);
    expect(rate.take(clock.now())).toBe(true);
  });

  test("are not bounded by 0", () => {
    const rate = new TraceRate(0, 0);
    expect(Array.from({ length: 1000 }, () => rate.take(0))).not.toContain(false);
  });
});

test("an id is in a share before it is written as after", () => {
  const ids = new TraceIds(seeded(2));
  for (let count = 0; count < 2000; count++) {
    ids.next();
    for (const ratio of [0, 0.01, 0.5, 1]) expect(ids.isInRatio(ratio)).toBe(isInRatio(ids.traceId, ratio));
  }
});

test("ids are unlike, and go on being so when more are made", () => {
  const ids = new TraceIds(seeded(3));
  const made = Array.from({ length: 1000 }, () => {
    ids.next();
    return [ids.traceId, ids.spanId];
  }).flat();
  expect(new Set(made).size).toBe(2000);
});

test("ids are never of zeros, whatever chance gives", () => {
  const ids = new TraceIds(() => 0);
  ids.next();
  for (const id of [ids.traceId, ids.spanId]) expect(id).toMatch(/[^0]/);
});
