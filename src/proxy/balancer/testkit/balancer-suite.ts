import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Random } from "../../../model/clock.ts";
import type { Member } from "../upstream-balancer.ts";

export interface Endpoint extends Member {
  readonly id: number;
  outstanding: number;
  removed: boolean;
}

export function endpoints(count: number): Endpoint[] {
  return Array.from({ length: count }, (_, id) => newEndpoint(id));
}

export function newEndpoint(id: number): Endpoint {
  const ejection = { ejected: false, failures: 0, ejections: 0, ejectedUntil: 0 };
  return {
    id,
    config: {},
    outstanding: 0,
    lastPick: 0,
    removed: false,
    warmSince: -1,
    latencyMs: 0,
    latencyAt: 0,
    ...ejection,
  };
}

/** Chooses one of so many equal parts; −1 where there is none. */
export type Choose = () => number;

/** A seeded source of chance (xorshift32), the same in each run. */
export function seededRandom(seed: number): Random {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Adds one to the count of a part. */
export function count(counts: number[], index: number): void {
  counts[index] = (counts[index] as number) + 1;
}

/** What holds for whatever chooses among equal parts. */
export function balancerSuite(name: string, make: (parts: number, random: Random) => Choose): void {
  const anyParts = fc.integer({ min: 1, max: 40 });
  const anySeed = fc.integer({ min: 1, max: 2 ** 31 - 1 });

  describe(`${name}, as any balancer`, () => {
    test("chooses nothing from nothing", () => {
      expect(make(0, seededRandom(1))()).toBe(-1);
    });

    test("chooses the only one there is", () => {
      const choose = make(1, seededRandom(1));
      expect([choose(), choose(), choose()]).toEqual([0, 0, 0]);
    });

    test("takes turns between two", () => {
      const choose = make(2, seededRandom(1));
      expect([choose(), choose(), choose(), choose()].sort()).toEqual([0, 0, 1, 1]);
    });

    test("chooses members only, whatever chance says", () => {
      const anyRandom = fc.oneof(
        anySeed.map(seededRandom),
        fc.constantFrom(0, 1 - 2 ** -53, 0.5).map((value) => () => value),
      );
      fc.assert(
        fc.property(anyParts, anyRandom, (parts, random) => {
          const choose = make(parts, random);
          for (let call = 0; call < 20; call++) {
            const chosen = choose();
            expect(Number.isInteger(chosen) && chosen >= 0 && chosen < parts).toBe(true);
          }
        }),
      );
    });

    test("leaves none out, and gives each about its share", () => {
      fc.assert(
        fc.property(anyParts, anySeed, (parts, seed) => {
          const choose = make(parts, seededRandom(seed));
          const counts = new Array<number>(parts).fill(0);
          for (let call = 0; call < parts * 100; call++) count(counts, choose());
          for (const chosen of counts) expect(Math.abs(chosen - 100)).toBeLessThanOrEqual(40);
        }),
        { numRuns: 30 },
      );
    });
  });
}
