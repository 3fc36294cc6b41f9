import fc from "fast-check";
import { expect, test } from "vitest";
import { parseStatusRanges } from "./status-ranges.ts";

test("statuses, classes and ranges are read, whatever the space between them", () => {
  expect(parseStatusRanges(" 404, 5xx,200-204,")).toEqual([
    [404, 404],
    [500, 599],
    [200, 204],
  ]);
});

test.each(["", ",", "99", "600", "0", "6xx", "xx", "5XX", "599-500", "500-600", "5xx-599", "404;500", "4044", "-404"])(
  "%j is none",
  (text) => expect(parseStatusRanges(text)).toBeUndefined(),
);

test("every status from 100 to 599 is a range of one, in a class and in any range around it", () => {
  const status = fc.integer({ min: 100, max: 599 });
  fc.assert(
    fc.property(status, status, (one, other) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      expect(parseStatusRanges(`${from},${from}-${to}`)).toEqual([
        [from, from],
        [from, to],
      ]);
      const [[first, last] = [0, 0]] = parseStatusRanges(`${String(one)[0]}xx`) ?? [];
      expect(first <= one && one <= last).toBe(true);
    }),
  );
});

test("whatever is written gives nothing, or ranges between 100 and 599", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9x,-]{0,12}$/)), (text) => {
      for (const [from, to] of parseStatusRanges(text) ?? []) {
        expect(from).toBeGreaterThanOrEqual(100);
        expect(to).toBeGreaterThanOrEqual(from);
        expect(to).toBeLessThan(600);
      }
    }),
  );
});
