import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../model/testkit/any-text.ts";
import { ALWAYS, allOf, anyOf, matcher, NEVER, not, quoted } from "./condition.ts";

/**
 * A string literal of Go as its scanner takes it from the start of a text: what it means, and what is left. Written from
 * the language's specification, apart from the code under test.
 */
function scan(text: string): { value: string; rest: string } {
  if (text.startsWith("`")) {
    const end = text.indexOf("`", 1);
    const raw = text.slice(1, end);
    if (end < 0 || /[\0\ufeff]/.test(raw)) throw new Error("no literal");
    return { value: raw.replaceAll("\r", ""), rest: text.slice(end + 1) };
  }
  let value = "";
  for (let at = 1; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') return { value, rest: text.slice(at + 1) };
    if (character === "\n" || character === "\0" || character === "\ufeff") throw new Error("no literal");
    if (character !== "\\") {
      value += character;
      continue;
    }
    const sign = text.charAt(++at);
    if (sign === "u") {
      const code = text.slice(at + 1, at + 5);
      if (!/^[0-9a-f]{4}$/.test(code)) throw new Error("no literal");
      value += String.fromCharCode(Number.parseInt(code, 16));
      at += 4;
    } else if (sign === '"' || sign === "\\") value += sign;
    else throw new Error("no literal");
  }
  throw new Error("no literal");
}

const userText = fc.oneof(
  anyText(),
  fc.string({
    unit: fc.constantFrom("`", '"', "\\", "\n", "\r", "\0", "\ufeff", ")", "(", " || ", "&&", "u0", "é", "😀"),
  }),
);

test("whatever a user writes, the argument ends where it ends, and means what he wrote", () => {
  fc.assert(
    fc.property(userText, (text) => {
      expect(scan(`${quoted(text)}) || PathPrefix(\`/\`)`)).toEqual({ value: text, rest: ") || PathPrefix(`/`)" });
    }),
    { numRuns: 2_000 },
  );
});

test("a plain text stands between backticks, as the original writes it", () => {
  expect(matcher("HeaderRegexp", "x-a", "^\\d+$").text).toBe("HeaderRegexp(`x-a`, `^\\d+$`)");
  expect(matcher("Path", "/`).Or(`").text).toBe('Path("/`).Or(`")');
});

describe("conditions joined", () => {
  const [a, b, c] = ["a", "b", "c"].map((each) => matcher("Host", each)) as [
    typeof ALWAYS,
    typeof ALWAYS,
    typeof ALWAYS,
  ];

  test("a part of the other kind is in parentheses", () => {
    expect(allOf([anyOf([a, b]), c]).text).toBe("(Host(`a`) || Host(`b`)) && Host(`c`)");
    expect(anyOf([allOf([a, b]), not(c)]).text).toBe("(Host(`a`) && Host(`b`)) || !Host(`c`)");
  });

  test("what holds always or never leaves its mark and no text", () => {
    expect(allOf([ALWAYS, a, a])).toEqual(a);
    expect(allOf([a, NEVER])).toBe(NEVER);
    expect(allOf([])).toBe(ALWAYS);
    expect(anyOf([NEVER, a])).toEqual(a);
    expect(anyOf([a, ALWAYS])).toBe(ALWAYS);
    expect(anyOf([])).toBe(NEVER);
  });
});
