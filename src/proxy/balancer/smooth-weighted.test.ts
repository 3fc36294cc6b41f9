import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SmoothWeighted, type WeightedPart } from "./smooth-weighted.ts";
import { balancerSuite, count } from "./testkit/balancer-suite.ts";

const parts = (...weights: number[]): WeightedPart[] => weights.map((weight, index) => ({ key: `b${index}`, weight }));

function choices(balancer: SmoothWeighted, count: number): number[] {
  return Array.from({ length: count }, () => balancer.next());
}

function counted(chosen: readonly number[], length: number): number[] {
  const counts = new Array<number>(length).fill(0);
  for (const index of chosen) count(counts, index);
  return counts;
}

balancerSuite("SmoothWeighted", (count) => {
  const balancer = new SmoothWeighted(parts(...new Array<number>(count).fill(3)));
  return () => balancer.next();
});

describe("shares", () => {
  test("80 and 20 are exact, and spread out", () => {
    const balancer = new SmoothWeighted(parts(80, 20));
    expect(choices(balancer, 10)).toEqual([0, 0, 1, 0, 0, 0, 0, 1, 0, 0]);
    expect(counted(choices(balancer, 2_000), 2)).toEqual([1_600, 400]);
  });

  test("no weight at all chooses nothing", () => {
    expect(new SmoothWeighted(parts(0, 0)).next()).toBe(-1);
  });

  test("each run as long as the weights' sum has each part its weight's times, wherever it starts", () => {
    const weights = fc.array(fc.nat(12), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(weights, fc.nat(50), (list, start) => {
        const total = list.reduce((sum, weight) => sum + weight, 0);
        fc.pre(total > 0);
        const balancer = new SmoothWeighted(parts(...list));
        choices(balancer, start);
        expect(counted(choices(balancer, total), list.length)).toEqual(list);
      }),
    );
  });

  test("fractions and huge numbers are weights too", () => {
    const weights = fc.array(fc.oneof(fc.constant(0), fc.double({ min: 1e-3, max: Number.MAX_VALUE, noNaN: true })), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(weights, (list) => {
        const largest = Math.max(...list);
        fc.pre(largest > 0);
        const total = list.reduce((sum, weight) => sum + weight / largest, 0);
        const balancer = new SmoothWeighted(parts(...list));
        counted(choices(balancer, 200), list.length).forEach((turns, index) => {
          const share = (200 * ((list[index] as number) / largest)) / total;
          expect(Math.abs(turns - share)).toBeLessThanOrEqual(list.length);
          if (list[index] === 0) expect(turns).toBe(0);
        });
      }),
    );
  });
});

describe("changes", () => {
  test("the same weights again change nothing", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 5 }), fc.array(fc.boolean()), (list, changes) => {
        const kept = new SmoothWeighted(parts(...list));
        const changed = new SmoothWeighted(parts(...list));
        for (const change of changes) {
          if (change) changed.change(parts(...list));
          expect(changed.next()).toBe(kept.next());
        }
      }),
    );
  });

  test("shares hold through a change at each step", () => {
    const balancer = new SmoothWeighted(parts(80, 20));
    const chosen: number[] = [];
    for (let step = 0; step < 1_000; step++) {
      // The same ratio, written otherwise.
      balancer.change(step % 2 === 0 ? parts(8, 2) : parts(800, 200));
      chosen.push(balancer.next());
    }
    expect(counted(chosen, 2)).toEqual([800, 200]);
  });

  test("after any changes, the new shares hold at once to within two turns each", () => {
    const anyWeights = fc.array(fc.nat(9), { minLength: 2, maxLength: 5 });
    const anyPast = fc.array(fc.tuple(anyWeights, fc.nat(7)), { maxLength: 40 });
    fc.assert(
      fc.property(anyPast, anyWeights, (past, weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        fc.pre(total > 0);
        const balancer = new SmoothWeighted([]);
        for (const [before, turns] of past) {
          balancer.change(parts(...before));
          choices(balancer, turns);
        }
        balancer.change(parts(...weights));
        counted(choices(balancer, total * 10), weights.length).forEach((turns, index) => {
          const weight = weights[index] as number;
          expect(Math.abs(turns - weight * 10)).toBeLessThanOrEqual(weight === 0 ? 0 : 2);
        });
      }),
    );
  });

  test("parts that come and go for ever leave nothing owed", () => {
    const balancer = new SmoothWeighted(parts(1, 1));
    for (let round = 0; round < 100; round++) {
      balancer.change(parts(1, 1, 1));
      // The third is owed a turn when it goes.
      choices(balancer, 2);
      balancer.change(parts(1, 1));
    }
    balancer.change(parts(1, 1, 1));
    expect(counted(choices(balancer, 30), 3).map((turns) => Math.abs(turns - 10) <= 1)).toEqual([true, true, true]);
  });

  test("a part keeps its standing when others move around it", () => {
    const balancer = new SmoothWeighted([
      { key: "a", weight: 1 },
      { key: "b", weight: 1 },
    ]);
    expect(balancer.next()).toBe(0);
    balancer.change([
      { key: "new", weight: 0 },
      { key: "a", weight: 10 },
      { key: "b", weight: 10 },
    ]);
    expect(balancer.next()).toBe(2);
  });

  test("two parts of one key are two parts", () => {
    const twice = [
      { key: "a", weight: 1 },
      { key: "a", weight: 3 },
    ];
    const balancer = new SmoothWeighted(twice);
    choices(balancer, 3);
    balancer.change(twice);
    expect(counted(choices(balancer, 40), 2)).toEqual([10, 30]);
  });
});
