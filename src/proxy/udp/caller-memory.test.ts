import { expect, test } from "vitest";
import type { EndpointState } from "../router/types.ts";
import { CallerMemory } from "./caller-memory.ts";

const endpoint = (key: string, removed = false) => ({ key, removed }) as EndpointState;

test("a refusal is news the first time, and again only for another reason", () => {
  const memory = new CallerMemory(10, 3_000);
  expect(memory.refused("a", "AccessDenied", 1, 0)).toBe(true);
  expect(memory.refused("a", "AccessDenied", 2, 1_000)).toBe(false);
  expect(memory.get("a")?.generation).toBe(2);
  expect(memory.refused("a", "NoEndpoint", 3, 2_000)).toBe(true);
  expect(memory.refused("b", "NoEndpoint", 3, 2_000)).toBe(true);
});

test("a refusal is forgotten after its time, however often it was repeated", () => {
  const memory = new CallerMemory(10, 3_000);
  memory.refused("a", "AccessDenied", 1, 0);
  memory.refused("b", "AccessDenied", 1, 500);
  memory.refused("a", "AccessDenied", 1, 2_999);
  memory.expire(2_999);
  expect(memory.size).toBe(2);
  memory.expire(3_000);
  expect([memory.get("a"), memory.get("b")?.failure]).toEqual([undefined, "AccessDenied"]);
});

test("the oldest is forgotten for one too many", () => {
  const memory = new CallerMemory(3, 3_000);
  for (const key of ["a", "b", "c", "d", "e"]) memory.refused(key, "AccessDenied", 1, 0);
  expect(memory.size).toBe(3);
  expect(["b", "c", "e"].map((key) => memory.get(key) !== undefined)).toEqual([false, true, true]);
});

test("endpoints that could not be reached add up, until they are gone or forgotten", () => {
  const memory = new CallerMemory(3, 3_000);
  const [one, two, three] = [endpoint("1"), endpoint("2", true), endpoint("3")];
  memory.unreachable("a", "ConnectRefused", one, 0);
  memory.unreachable("a", "ConnectRefused", two, 1_000);
  memory.refused("b", "AccessDenied", 1, 1_500);
  memory.unreachable("a", "ConnectRefused", three, 2_000);
  expect(memory.get("a")?.unreachable).toEqual([one, three]);
  // In the order of expiry: "b" goes first.
  memory.expire(4_500);
  expect(memory.size).toBe(1);
  memory.expire(5_000);
  expect(memory.size).toBe(0);
});
