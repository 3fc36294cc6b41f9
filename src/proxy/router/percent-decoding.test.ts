import fc from "fast-check";
import { expect, test } from "vitest";
import { decodePercent } from "./percent-decoding.ts";

test.each([
  ["/a%20b", "/a b"],
  ["/%7euser", "/~user"],
  ["/caf%C3%A9", "/café"],
  ["/caf\xc3\xa9", "/café"],
  ["/%F0%9F%98%80", "/😀"],
  ["/%EF%BB%BFx", "/\uFEFFx"],
  ["/%252F", "/%2F"],
  ["/a+b", "/a+b"],
  ["", ""],
])("%s is %s", (text, expected) => {
  expect(decodePercent(text, false)).toBe(expected);
});

test.each(["/%", "/%2", "/%zz", "/%2g", "/%-1", "/%C3", "/%C0%AF", "/%ED%A0%80", "/\xff", "/%+1", "/→"])(
  "%s cannot be decoded",
  (text) => {
    expect(decodePercent(text, false)).toBe(undefined);
  },
);

test("a plus is a space where that is asked", () => {
  expect(decodePercent("a+b%2Bc", true)).toBe("a b+c");
});

test("what was encoded comes back", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect(decodePercent(encodeURIComponent(text), false)).toBe(text);
    }),
  );
});

test("it agrees with the language's own decoder", () => {
  const pieces = fc.constantFrom("%", "2", "f", "C", "3", "A", "9", "E", "/", "a", "%c3%a9", "%41", "%80");
  fc.assert(
    fc.property(fc.array(pieces), (parts) => {
      const text = parts.join("");
      let expected: string | undefined;
      try {
        expected = decodeURIComponent(text);
      } catch {}
      expect(decodePercent(text, false)).toBe(expected);
    }),
  );
});
