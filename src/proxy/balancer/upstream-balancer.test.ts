import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Random } from "../../model/clock.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { PowerOfTwo } from "./power-of-two.ts";
import { count, type Endpoint, endpoints, newEndpoint, seededRandom } from "./testkit/balancer-suite.ts";
import { UpstreamBalancer } from "./upstream-balancer.ts";

const anySeed = fc.integer({ min: 1, max: 1e9 });

const SLOW = { slowStartMs: 100_000 };
const NOWHERE = { node: undefined, zone: undefined };

function balancerOf(random: Random, clock = new ManualClock()): UpstreamBalancer<Endpoint> {
  return new UpstreamBalancer({ clock, random }, new PowerOfTwo(random));
}

test("of nothing, nothing is picked", () => {
  expect(balancerOf(seededRandom(1)).pick([])).toBeUndefined();
});

test("what was tried is not picked while another is left, and then it is", () => {
  const anyCount = fc.integer({ min: 1, max: 12 });
  fc.assert(
    fc.property(anyCount, anySeed, fc.array(fc.nat(11)), (size, seed, triedIds) => {
      const list = endpoints(size);
      const tried = list.filter(({ id }) => triedIds.includes(id));
      const picked = balancerOf(seededRandom(seed)).pick(list, tried) as Endpoint;
      expect(list).toContain(picked);
      if (tried.length < size) expect(tried).not.toContain(picked);
    }),
  );
});

test("with some tried, the others share as ever", () => {
  const list = endpoints(5);
  const balancer = balancerOf(seededRandom(3));
  const counts = new Array<number>(5).fill(0);
  for (let call = 0; call < 300; call++) count(counts, (balancer.pick(list, [list[2] as Endpoint]) as Endpoint).id);
  expect(counts[2]).toBe(0);
  for (const id of [0, 1, 3, 4]) expect(Math.abs((counts[id] as number) - 75)).toBeLessThanOrEqual(25);
});

test("a removed endpoint is picked only when all are, an ejected one when nothing better is left untried", () => {
  const anyState = fc.constantFrom("fine", "ejected", "removed", "tried");
  fc.assert(
    fc.property(fc.array(anyState, { minLength: 1, maxLength: 10 }), anySeed, (states, seed) => {
      const list = endpoints(states.length);
      states.forEach((state, index) => {
        const endpoint = list[index] as Endpoint;
        endpoint.removed = state === "removed";
        endpoint.ejected = state === "ejected";
      });
      const tried = list.filter((_, index) => states[index] === "tried");
      const best = ["fine", "ejected", "tried", "removed"].find((state) => states.includes(state as "fine"));
      const balancer = balancerOf(seededRandom(seed));
      for (let call = 0; call < 10; call++) expect(states[(balancer.pick(list, tried) as Endpoint).id]).toBe(best);
    }),
  );
});

test("an ejected endpoint gets nothing until its time is over, then calls again", () => {
  const clock = new ManualClock();
  const balancer = balancerOf(seededRandom(5), clock);
  const list = endpoints(3);
  balancer.ejection.change(list, undefined);
  for (let failure = 0; failure < 5; failure++) balancer.ejection.failed(list[0] as Endpoint, "ConnectRefused");
  const picks = () => Array.from({ length: 30 }, () => balancer.pick(list)?.id);
  expect(picks()).not.toContain(0);
  clock.advance(9_999);
  expect(picks()).not.toContain(0);
  clock.advance(1);
  expect(picks()).toContain(0);
});

test("near endpoints get all calls while one of them is left, and a retry goes far rather than to one that failed", () => {
  const balancer = balancerOf(seededRandom(7));
  balancer.change(new PowerOfTwo(seededRandom(7)), { prefer: "zone" }, { node: "n", zone: "z" });
  const list = endpoints(4).map((each) => ({ ...each, config: each.id < 2 ? { zone: "z" } : { zone: "y" } }));
  const [a, b] = list as [Endpoint, Endpoint];
  balancer.ejection.change(list, undefined);
  const picks = (tried: Endpoint[] = []) => new Set(Array.from({ length: 40 }, () => balancer.pick(list, tried)?.id));
  expect(picks()).toEqual(new Set([0, 1]));
  expect(picks([a])).toEqual(new Set([1]));
  expect(picks([a, b])).toEqual(new Set([2, 3]));
  for (const each of [a, b]) for (let time = 0; time < 5; time++) balancer.failed(each, "ConnectRefused");
  expect(picks()).toEqual(new Set([2, 3]));
});

describe("an endpoint that is warming up", () => {
  /** Its share of the calls of each tenth of the time. */
  function shares(others: number, seed: number): number[] {
    const clock = new ManualClock();
    const balancer = balancerOf(seededRandom(seed), clock);
    balancer.change(new PowerOfTwo(seededRandom(seed)), SLOW, NOWHERE);
    const list = endpoints(others);
    const added = newEndpoint(others);
    balancer.warmUp(added);
    list.push(added);
    return Array.from({ length: 11 }, () => {
      let its = 0;
      for (let call = 0; call < 2_000; call++) if (balancer.pick(list) === added) its++;
      clock.advance(10_000);
      return its / 2_000;
    });
  }

  test("gets about a tenth of its share at first, more and more of it, and at the end all of it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), anySeed, (others, seed) => {
        const whole = 1 / (others + 1);
        shares(others, seed).forEach((share, tenth) => {
          const expected = whole * Math.min(1, Math.max(0.1, tenth / 10));
          // Who is picked less often wins more ties, so it is somewhat above.
          expect(share).toBeGreaterThan(expected * 0.6 - 0.01);
          expect(share).toBeLessThan(Math.min(expected * 2.2, whole * 1.2) + 0.02);
        });
      }),
      { numRuns: 20 },
    );
  });

  test("gets everything where there is no other", () => {
    const balancer = balancerOf(() => 0.99);
    balancer.change(new PowerOfTwo(() => 0.5), SLOW, NOWHERE);
    const only = newEndpoint(0);
    balancer.warmUp(only);
    expect(balancer.pick([only])).toBe(only);
  });

  test("is like any other without slow start", () => {
    const added = newEndpoint(0);
    balancerOf(seededRandom(1)).warmUp(added);
    expect(added.warmSince).toBe(-1);
  });
});
