import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Candidate, PowerOfTwo } from "./power-of-two.ts";
import { balancerSuite, count, seededRandom } from "./testkit/balancer-suite.ts";

interface Endpoint extends Candidate {
  readonly id: number;
  outstanding: number;
  removed: boolean;
}

function endpoints(count: number): Endpoint[] {
  return Array.from({ length: count }, (_, id) => ({ id, outstanding: 0, lastPick: 0, removed: false }));
}

balancerSuite("PowerOfTwo", (parts, random) => {
  const balancer = new PowerOfTwo(random);
  const list = endpoints(parts);
  return () => balancer.pick(list)?.id ?? -1;
});

describe("PowerOfTwo", () => {
  test("of two, the one with less to do", () => {
    const list = endpoints(2);
    (list[0] as Endpoint).outstanding = 1;
    const balancer = new PowerOfTwo(seededRandom(1));
    for (let call = 0; call < 5; call++) expect(balancer.pick(list)?.id).toBe(1);
  });

  test("a tie goes to the one picked longest ago", () => {
    const list = endpoints(2);
    const balancer = new PowerOfTwo(seededRandom(1));
    const order = Array.from({ length: 6 }, () => balancer.pick(list)?.id);
    expect(order).toEqual([0, 1, 0, 1, 0, 1]);
  });

  test("the busiest of many is never picked", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 20 }), fc.integer({ min: 1, max: 1e9 }), (size, seed) => {
        const list = endpoints(size);
        (list[size - 1] as Endpoint).outstanding = 1;
        const balancer = new PowerOfTwo(seededRandom(seed));
        for (let call = 0; call < 50; call++) expect(balancer.pick(list)?.id).not.toBe(size - 1);
      }),
    );
  });

  test("every pair is looked at equally often", () => {
    // Without ties: the lower index wins, so endpoint i is picked in pairs with the higher ones only.
    const list = endpoints(4);
    for (const endpoint of list) endpoint.outstanding = endpoint.id;
    const balancer = new PowerOfTwo(seededRandom(7));
    const counts = [0, 0, 0, 0];
    const calls = 60_000;
    for (let call = 0; call < calls; call++) count(counts, (balancer.pick(list) as Endpoint).id);
    const shares = counts.map((picks) => Math.round((picks / calls) * 60) / 10);
    expect(shares).toEqual([3, 2, 1, 0]);
  });

  test("what was tried is not picked while another is left, and then it is", () => {
    const anyCount = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(anyCount, fc.integer({ min: 1, max: 1e9 }), fc.array(fc.nat(11)), (size, seed, triedIds) => {
        const list = endpoints(size);
        const tried = list.filter(({ id }) => triedIds.includes(id));
        const picked = new PowerOfTwo(seededRandom(seed)).pick(list, tried) as Endpoint;
        expect(list).toContain(picked);
        if (tried.length < size) expect(tried).not.toContain(picked);
      }),
    );
  });

  test("with some tried, the others share as ever", () => {
    const list = endpoints(5);
    const balancer = new PowerOfTwo(seededRandom(3));
    const counts = new Array<number>(5).fill(0);
    for (let call = 0; call < 300; call++) count(counts, (balancer.pick(list, [list[2] as Endpoint]) as Endpoint).id);
    expect(counts[2]).toBe(0);
    for (const id of [0, 1, 3, 4]) expect(Math.abs((counts[id] as number) - 75)).toBeLessThanOrEqual(25);
  });

  test("a removed endpoint is picked only when all are", () => {
    const anyRemoved = fc.array(fc.boolean(), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(anyRemoved, fc.integer({ min: 1, max: 1e9 }), (removed, seed) => {
        const list = endpoints(removed.length);
        removed.forEach((value, index) => {
          (list[index] as Endpoint).removed = value;
        });
        const balancer = new PowerOfTwo(seededRandom(seed));
        for (let call = 0; call < 10; call++) expect(balancer.pick(list)?.removed).toBe(removed.every(Boolean));
      }),
    );
  });
});
