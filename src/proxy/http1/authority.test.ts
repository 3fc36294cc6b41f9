import fc from "fast-check";
import { expect, test } from "vitest";
import { isAuthority } from "./authority.ts";

const judge = (text: string) => isAuthority(Buffer.from(text, "latin1"), 0, text.length);

test.each(["h", "h:", "h:80", "a.b.", "my_svc", "%41", "1.2.3.4:5", "[::1]", "[::1]:80", "[v1.x:y]", "a!$&'()*+,;=b"])(
  "%s is a host, perhaps with a port",
  (text) => {
    expect(judge(text)).toBe(true);
  },
);

test.each([
  "",
  ":80",
  "h:80:81",
  "h:x",
  "u@h",
  "h/p",
  "%4",
  "%zz",
  "[::1",
  "[]",
  "::1",
  "[::1]x",
  "[fe80::1%25e]",
  "a]b",
])("%s is none", (text) => {
  expect(judge(text)).toBe(false);
});

test("an authority is judged within its bounds, whatever stands around it", () => {
  const part = fc.constantFrom("a", "%41", "%", "[", "]", ":", "8", "v1.", "@");
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), fc.constantFrom("1", "41", "]", ":80"), (parts, after) => {
      const text = parts.join("");
      const bytes = Buffer.from(`x${text}${after}`, "latin1");
      expect(isAuthority(bytes, 1, 1 + text.length)).toBe(judge(text));
    }),
  );
});
