import fc from "fast-check";
import { expect, test } from "vitest";
import { parseGoDuration } from "./go-duration.ts";

test("durations read as Go reads them", () => {
  expect(parseGoDuration("300ms")).toBe(300);
  expect(parseGoDuration("1h2m3.5s")).toBe(3_723_500);
  expect(parseGoDuration("1.5h")).toBe(5_400_000);
  expect(parseGoDuration(".5s")).toBe(500);
  expect(parseGoDuration("2.s")).toBe(2000);
  expect(parseGoDuration("250us")).toBe(0.25);
  expect(parseGoDuration("250µs")).toBe(0.25);
  expect(parseGoDuration("1000000ns")).toBeCloseTo(1);
  expect(parseGoDuration("-1s")).toBe(-1000);
  expect(parseGoDuration("+1s")).toBe(1000);
  expect(parseGoDuration("0")).toBe(0);
});

test("what is no duration is none", () => {
  for (const text of ["", "1", "s", "1x", "1s2", " 1s", "1s ", ".s", "1,5s", "-", "--1s", "1S", "Infinity", "1e3s"])
    expect(parseGoDuration(text), text).toBeUndefined();
});

test("a sum of whole parts is their sum, in any order", () => {
  const part = fc.tuple(fc.nat(999), fc.constantFrom(["ms", 1] as const, ["s", 1000] as const, ["m", 60_000] as const));
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
      const text = parts.map(([count, [unit]]) => `${count}${unit}`).join("");
      expect(parseGoDuration(text)).toBe(parts.reduce((sum, [count, [, ms]]) => sum + count * ms, 0));
    }),
  );
});
