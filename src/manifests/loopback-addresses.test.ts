import fc from "fast-check";
import { expect, test } from "vitest";
import { LoopbackAddresses } from "./loopback-addresses.ts";

test("each kind has a range of its own, from its first address on", () => {
  const addresses = new LoopbackAddresses();
  expect([addresses.podAddress("a/p"), addresses.serviceAddress("a/s"), addresses.meshAddress("a/s")]).toEqual([
    "127.1.0.1",
    "127.2.0.1",
    "127.3.0.1",
  ]);
});

test("no address ends in 0 or 255, and a range that is used up gives none", () => {
  const addresses = new LoopbackAddresses();
  const given = Array.from({ length: 256 * 254 }, (_, index) => addresses.podAddress(`a/${index}`));
  expect(new Set(given).size).toBe(given.length);
  expect(given.filter((address) => /\.(0|255)$/.test(address ?? ".0"))).toEqual([]);
  expect(addresses.podAddress("a/more")).toBeUndefined();
});

test("an address that a manifest names is that object's, and no other's", () => {
  const addresses = new LoopbackAddresses();
  expect(addresses.reservePod("a/p", "127.1.0.1")).toBe(true);
  expect(addresses.podAddress("a/q")).toBe("127.1.0.2");
  expect(addresses.reservePod("a/r", "127.1.0.1")).toBe(false);
});

test("what stays keeps its address whatever comes and goes, and no two share one", () => {
  const keys = fc.uniqueArray(fc.constantFrom(..."abcdefghij".split("").map((letter) => `n/${letter}`)));
  fc.assert(
    fc.property(fc.array(keys, { minLength: 1, maxLength: 12 }), (states) => {
      const addresses = new LoopbackAddresses();
      let before = new Map<string, string | undefined>();
      for (const state of states) {
        const now = new Map(state.map((key) => [key, addresses.podAddress(key)]));
        expect(new Set(now.values()).size).toBe(now.size);
        for (const [key, address] of now) if (before.has(key)) expect(address).toBe(before.get(key));
        addresses.keep(new Set(state), new Set());
        before = now;
      }
    }),
  );
});
