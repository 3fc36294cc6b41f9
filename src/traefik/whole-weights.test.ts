import fc from "fast-check";
import { expect, test } from "vitest";
import { wholeWeights } from "./whole-weights.ts";

test.each([
  [
    [80, 20],
    [80, 20],
  ],
  [
    [1_000_000_000, 1],
    [1_000_000_000, 1],
  ],
  [
    [1, 2.5],
    [10, 25],
  ],
  [
    [0.07, 0.1, 0.33],
    [7, 10, 33],
  ],
  [
    [0.0001, 1],
    [1, 10_000],
  ],
  [
    [1e300, 1],
    [1_000_000_000, 1],
  ],
  [
    [9e21, 3e21],
    [1_000_000_000, 333_333_333],
  ],
  [[Number.MIN_VALUE], [1_000_000_000]],
  [[], []],
])("%j are %j", (weights, whole) => expect(wholeWeights(weights)).toEqual(whole));

const anyWeight = fc.oneof(
  fc.double({ min: 0, minExcluded: true, noNaN: true, noDefaultInfinity: true }),
  fc.double({ min: 0.001, max: 1_000, noNaN: true }),
  fc.integer({ min: 1, max: 1_000_000 }),
);

test("whatever the weights are, they become whole numbers above 0 of the same ratio, as near as a billionth", () => {
  fc.assert(
    fc.property(fc.array(anyWeight, { minLength: 1, maxLength: 20 }), (weights) => {
      const whole = wholeWeights(weights);
      const largest = Math.max(...weights);
      for (const [index, weight] of whole.entries()) {
        expect(Number.isInteger(weight) && weight >= 1 && weight <= 1_000_000_000).toBe(true);
        const meant = (weights[index] as number) / largest;
        expect(Math.abs(weight / Math.max(...whole) - meant)).toBeLessThanOrEqual(1e-9);
      }
    }),
    { numRuns: 1_000 },
  );
});
