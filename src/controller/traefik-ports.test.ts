import { expect, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { hasEntrypoint, isSharedPort, TraefikPorts } from "./traefik-ports.ts";

const limits = { http: 2, tcp: 2, udp: 1 };
const ports = (clock = new ManualClock()) => new TraefikPorts({ clock, limits });

test("Services of HTTP share the entry points, one for each of their ports", () => {
  const all = ports();
  expect([all.allot("a/a:80", "TCP", "http"), all.allot("a/a:81", "TCP", "http")]).toEqual([5000, 5001]);
  expect(all.allot("b/b:80", "TCP", "http")).toBe(5000);
  expect(all.allot("a/a:82", "TCP", "http")).toBeUndefined();
});

test("an entry point of TCP or UDP is one service port's, until there is none left", () => {
  const all = ports();
  expect([all.allot("a/a:80", "TCP", "tcp"), all.allot("b/b:80", "TCP", "tcp")]).toEqual([10_000, 10_001]);
  expect(all.allot("c/c:80", "TCP", "tcp")).toBeUndefined();
  expect([all.allot("a/a:53", "UDP", "udp"), all.allot("b/b:53", "UDP", "udp")]).toEqual([15_000, undefined]);
  all.release("a/a:80", "TCP");
  expect(all.allot("c/c:80", "TCP", "tcp")).toBe(10_000);
});

test("a port that a Service holds stays, in whatever order its ports come", () => {
  const all = ports();
  expect([all.claim("a/a:80", "TCP", 5001), all.claim("a/a:81", "TCP", 5001)]).toEqual([true, false]);
  expect([all.allot("a/a:81", "TCP", "http"), all.allot("a/a:80", "TCP", "http")]).toEqual([5000, 5001]);
});

test("a port of other proxies, or beyond the limits, is not kept", () => {
  const all = ports();
  expect(all.claim("a/a:80", "TCP", 12_345)).toBe(false);
  expect(all.claim("a/a:80", "TCP", 5002)).toBe(false);
  expect(all.allot("a/a:80", "TCP", "http")).toBe(5000);
});

test("another traffic type has another port, and gives the one before back", () => {
  const all = ports();
  all.allot("a/a:80", "TCP", "http");
  expect([all.allot("a/a:80", "TCP", "tcp"), all.size]).toEqual([10_000, 1]);
  expect([all.allot("a/a:80", "TCP", "http"), all.size]).toEqual([5000, 1]);
});

test("an entry point is one where the limits say so", () => {
  expect([4999, 5000, 5001, 5002].map((port) => hasEntrypoint(limits, "http", port))).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect([hasEntrypoint(limits, "tcp", 5000), hasEntrypoint(limits, "udp", 15_000)]).toEqual([false, true]);
  expect([isSharedPort(5000, "TCP"), isSharedPort(5000, "UDP"), isSharedPort(10_000, "TCP")]).toEqual([
    true,
    false,
    false,
  ]);
});
