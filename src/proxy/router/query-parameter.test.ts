import fc from "fast-check";
import { expect, test } from "vitest";
import { queryParameter } from "./query-parameter.ts";

test.each([
  ["a=1&b=2", "b", "2"],
  ["a=1&a=2", "a", "1"],
  ["a", "a", ""],
  ["a=&b", "a", ""],
  ["a=x=y", "a", "x=y"],
  ["&&a=1&", "a", "1"],
  ["a=b+c%20d", "a", "b c d"],
  ["n%61me=1", "name", "1"],
  ["a=%C3%A9", "a", "é"],
  ["a=%zz&a=2", "a", "2"],
  ["%zz=1", "%zz", undefined],
  ["A=1", "a", undefined],
  ["ab=1", "a", undefined],
  ["", "a", undefined],
  ["b=a", "a", undefined],
])("in %s, %s is %s", (query, name, expected) => {
  expect(queryParameter(query, name)).toBe(expected);
});

test("it finds what the language's own reader finds", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", " ", "+", "%", "&", "=", "é"), maxLength: 4 });
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text)), text, (pairs, name) => {
      const query = new URLSearchParams(pairs).toString();
      expect(queryParameter(query, name)).toBe(new URLSearchParams(query).get(name) ?? undefined);
    }),
  );
});
