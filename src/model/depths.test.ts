import fc from "fast-check";
import { expect, test } from "vitest";
import { depthsOf } from "./depths.ts";

const graph = (next: Readonly<Record<string, readonly string[]>>) =>
  new Map(Object.entries(next).map(([point, all]) => [point, new Set(all)] as const));

test("a point is as deep as the longest way from it, and infinitely deep where it leads into a circle", () => {
  const depths = depthsOf(
    graph({ a: ["b", "c", "gone"], b: ["c"], c: [], d: ["e"], e: ["d"], f: ["e", "c"], g: ["g"] }),
  );
  expect(Object.fromEntries(depths)).toEqual({ a: 3, b: 2, c: 1, d: Infinity, e: Infinity, f: Infinity, g: Infinity });
});

test("a point is one deeper than the deepest that follows it, whatever the graph", () => {
  const points = ["a", "b", "c", "d", "e", "f"];
  const anyGraph = fc.record(Object.fromEntries(points.map((point) => [point, fc.subarray(points, { maxLength: 2 })])));
  fc.assert(
    fc.property(anyGraph, (next) => {
      const depths = depthsOf(graph(next));
      for (const [point, all] of Object.entries(next))
        expect(depths.get(point)).toBe(1 + Math.max(0, ...all.map((each) => depths.get(each) as number)));
    }),
  );
});

test("a way of any length is no matter", () => {
  const length = 100_000;
  const long = new Map(Array.from({ length }, (_, index) => [`p${index}`, new Set([`p${index + 1}`])] as const));
  expect(depthsOf(long).get("p0")).toBe(length);
});
