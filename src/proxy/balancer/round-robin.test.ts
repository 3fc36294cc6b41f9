import fc from "fast-check";
import { expect, test } from "vitest";
import { RoundRobin } from "./round-robin.ts";
import { balancerSuite, count, type Endpoint, endpoints, seededRandom } from "./testkit/balancer-suite.ts";

balancerSuite("RoundRobin", (parts, random) => {
  const balancer = new RoundRobin<Endpoint>(random);
  const list = endpoints(parts);
  return () => (parts === 0 ? -1 : balancer.choose(list).id);
});

const anySize = fc.integer({ min: 1, max: 20 });
const anySeed = fc.integer({ min: 1, max: 1e9 });

test("any run of as many choices as there are endpoints has each of them once, whatever they have to do", () => {
  fc.assert(
    fc.property(anySize, anySeed, fc.nat(50), (size, seed, before) => {
      const balancer = new RoundRobin<Endpoint>(seededRandom(seed));
      const list = endpoints(size);
      for (const endpoint of list) endpoint.outstanding = endpoint.id * 7;
      for (let call = 0; call < before; call++) balancer.choose(list);
      const counts = new Array<number>(size).fill(0);
      for (let call = 0; call < size; call++) count(counts, balancer.choose(list).id);
      expect(counts).toEqual(new Array(size).fill(1));
    }),
  );
});

test("what is ejected or removed is passed over, so long as there is another", () => {
  const anyUsable = fc.array(fc.boolean(), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(anyUsable, anySeed, (usable, seed) => {
      const balancer = new RoundRobin<Endpoint>(seededRandom(seed));
      const list = endpoints(usable.length);
      usable.forEach((value, index) => {
        (list[index] as Endpoint).ejected = !value;
      });
      for (let call = 0; call < 30; call++) expect(balancer.choose(list).ejected).toBe(!usable.includes(true));
    }),
  );
});

test("proxies do not all begin at the same endpoint", () => {
  const list = endpoints(4);
  const first = new Set(
    Array.from({ length: 40 }, (_, seed) => new RoundRobin(seededRandom(seed * 7919 + 1)).choose(list)),
  );
  expect(first.size).toBeGreaterThan(1);
});
