import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Random } from "../../model/clock.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { PowerOfTwo } from "./power-of-two.ts";
import { balancerSuite, count, type Endpoint, endpoints, seededRandom } from "./testkit/balancer-suite.ts";
import { UpstreamBalancer } from "./upstream-balancer.ts";

function powerOfTwo(random: Random): UpstreamBalancer<Endpoint> {
  return new UpstreamBalancer({ clock: new ManualClock(), random }, new PowerOfTwo(random));
}

balancerSuite("PowerOfTwo", (parts, random) => {
  const balancer = powerOfTwo(random);
  const list = endpoints(parts);
  return () => balancer.pick(list)?.id ?? -1;
});

describe("PowerOfTwo", () => {
  test("of two, the one with less to do", () => {
    const list = endpoints(2);
    (list[0] as Endpoint).outstanding = 1;
    const balancer = powerOfTwo(seededRandom(1));
    for (let call = 0; call < 5; call++) expect(balancer.pick(list)?.id).toBe(1);
  });

  test("a tie goes to the one picked longest ago", () => {
    const list = endpoints(2);
    const balancer = powerOfTwo(seededRandom(1));
    const order = Array.from({ length: 6 }, () => balancer.pick(list)?.id);
    expect(order).toEqual([0, 1, 0, 1, 0, 1]);
  });

  test("the busiest of many is never picked", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 20 }), fc.integer({ min: 1, max: 1e9 }), (size, seed) => {
        const list = endpoints(size);
        (list[size - 1] as Endpoint).outstanding = 1;
        const balancer = powerOfTwo(seededRandom(seed));
        for (let call = 0; call < 50; call++) expect(balancer.pick(list)?.id).not.toBe(size - 1);
      }),
    );
  });

  test("every pair is looked at equally often", () => {
    // Without ties: the lower index wins, so endpoint i is picked in pairs with the higher ones only.
    const list = endpoints(4);
    for (const endpoint of list) endpoint.outstanding = endpoint.id;
    const balancer = powerOfTwo(seededRandom(7));
    const counts = [0, 0, 0, 0];
    const calls = 60_000;
    for (let call = 0; call < calls; call++) count(counts, (balancer.pick(list) as Endpoint).id);
    const shares = counts.map((picks) => Math.round((picks / calls) * 60) / 10);
    expect(shares).toEqual([3, 2, 1, 0]);
  });
});
