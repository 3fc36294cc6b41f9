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

test("what stays or comes back has the address that it had, and no two share one", () => {
  const keys = fc.uniqueArray(fc.constantFrom(..."abcdefghij".split("").map((letter) => `n/${letter}`)));
  fc.assert(
    fc.property(fc.array(keys, { minLength: 1, maxLength: 12 }), (states) => {
      const addresses = new LoopbackAddresses();
      const had = new Map<string, string | undefined>();
      for (const state of states) {
        const now = new Map(state.map((key) => [key, addresses.meshAddress(key)]));
        for (const [key, address] of now) had.set(key, had.get(key) ?? address);
        expect(now).toEqual(new Map(state.map((key) => [key, had.get(key)])));
        expect(new Set(had.values()).size).toBe(had.size);
        addresses.keep(new Set(), new Set(state));
      }
    }),
  );
});

test("of a range that is used up, the address that has been free for longest goes to another", () => {
  const addresses = new LoopbackAddresses();
  const all = Array.from({ length: 256 * 254 }, (_, index) => `a/${index}`);
  for (const key of all) addresses.podAddress(key);
  const [first = "", second = "", third = "", ...rest] = all;
  const keep = (...keys: string[]) => addresses.keep(new Set([...keys, ...rest]), new Set());
  keep(first, third);
  keep(third);
  keep();
  expect(addresses.podAddress("a/new")).toBe("127.1.0.2");
  expect([first, third].map((key) => addresses.podAddress(key))).toEqual(["127.1.0.1", "127.1.0.3"]);
  expect(addresses.podAddress(second)).toBeUndefined();
});

test("what comes back to an address that a manifest has named since gets another one", () => {
  const addresses = new LoopbackAddresses();
  expect(addresses.podAddress("a/p")).toBe("127.1.0.1");
  addresses.keep(new Set(), new Set());
  expect(addresses.reservePod("a/q", "127.1.0.1")).toBe(true);
  expect(addresses.podAddress("a/p")).toBe("127.1.0.2");
  addresses.keep(new Set(["a/p"]), new Set());
  expect([addresses.podAddress("a/p"), addresses.podAddress("a/q")]).toEqual(["127.1.0.2", "127.1.0.1"]);
});
