import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../model/testkit/any-text.ts";
import { visible } from "./visible.ts";

test("what would end a line or talk to a terminal is written out", () => {
  expect(visible("a\u001b[31mred\nnew\u0007\u202eb")).toBe("a\\u{1b}[31mred\\u{a}new\\u{7}\\u{202e}b");
});

test("words of any language stay as they are", () => {
  for (const text of ["Grüße", "网格", "naïve – “quoted”", "a\\b"]) expect(visible(text)).toBe(text);
});

test("nothing of it moves a cursor or ends a line", () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      for (const each of visible(text)) expect(/\p{Cc}|\p{Zl}|\p{Zp}/u.test(each), text).toBe(false);
    }),
  );
});
