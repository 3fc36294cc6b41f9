import fc from "fast-check";
import { expect, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { DEFAULT_RANGES, PortAllocator, REST_MS } from "./port-allocator.ts";

const small = (clock = new ManualClock(), count = 3) =>
  new PortAllocator({ clock, ranges: [{ first: 10, last: 9 + count }], restMs: 1000 });

test("the default ports are none that Linux takes for outgoing connections", () => {
  for (const { first, last } of DEFAULT_RANGES) expect(last < 32_768 || first > 60_999).toBe(true);
});

test("an owner keeps the port that it was allotted", () => {
  const ports = small();
  const port = ports.allot("a/a:80", "TCP");
  expect(ports.allot("b/b:80", "TCP")).not.toBe(port);
  expect(ports.allot("a/a:80", "TCP")).toBe(port);
});

test("TCP and UDP have ports of their own", () => {
  const ports = small();
  expect(ports.allot("a/a:53", "TCP")).toBe(10);
  expect(ports.allot("a/a:53", "UDP")).toBe(10);
});

test("a freed port rests before it is another's", () => {
  const clock = new ManualClock();
  const ports = small(clock);
  ports.allot("a", "TCP");
  ports.release("a", "TCP");
  expect([ports.allot("b", "TCP"), ports.allot("c", "TCP")]).toEqual([11, 12]);
  clock.advance(1000);
  expect(ports.allot("d", "TCP")).toBe(10);
});

test("when nothing else is left, the one that rested longest is used before its time", () => {
  const clock = new ManualClock();
  const ports = small(clock);
  for (const owner of ["a", "b", "c"]) ports.allot(owner, "TCP");
  ports.release("b", "TCP");
  clock.advance(1);
  ports.release("a", "TCP");
  expect(ports.allot("d", "TCP")).toBe(11);
  expect(ports.allot("e", "TCP")).toBe(10);
  expect(ports.allot("f", "TCP")).toBeUndefined();
});

test("what a shadow service holds is claimed, once, and only within the ranges", () => {
  const ports = small();
  expect(ports.claim("a", "TCP", 11)).toBe(true);
  expect(ports.claim("a", "TCP", 11)).toBe(true);
  expect(ports.claim("b", "TCP", 11)).toBe(false);
  expect(ports.claim("b", "TCP", 99)).toBe(false);
  expect(ports.allot("a", "TCP")).toBe(11);
});

test("a new leader begins behind the highest port, so that what was freed before it led rests too", () => {
  const ports = small(new ManualClock(), 5);
  ports.claim("a", "TCP", 12);
  expect(ports.allot("b", "TCP")).toBe(13);
});

test("a thousand services that come and go twice leave no port taken", () => {
  const clock = new ManualClock();
  const ports = new PortAllocator({ clock });
  for (let round = 0; round < 2; round++) {
    for (let each = 0; each < 1000; each++) expect(ports.allot(`s${each}`, "TCP")).toBeDefined();
    expect(ports.size).toBe(1000);
    for (let each = 0; each < 1000; each++) ports.release(`s${each}`, "TCP");
    clock.advance(REST_MS / 2);
  }
  expect(ports.size).toBe(0);
});

test("whatever is allotted and released, no port has two owners", () => {
  const step = fc.record({
    owner: fc.constantFrom("a", "b", "c", "d"),
    action: fc.constantFrom("allot", "release", "wait"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = new ManualClock();
      const ports = small(clock);
      const held = new Map<string, number>();
      for (const { owner, action } of steps) {
        if (action === "wait") clock.advance(400);
        else if (action === "release") {
          ports.release(owner, "TCP");
          held.delete(owner);
        } else {
          const port = ports.allot(owner, "TCP");
          if (port === undefined) expect(held.size).toBe(3);
          else held.set(owner, port);
        }
        expect(new Set(held.values()).size).toBe(held.size);
      }
    }),
  );
});
