import fc from "fast-check";
import { expect, test } from "vitest";
import { LineSplitter } from "./line-splitter.ts";

function split(pieces: readonly Buffer[], maxBytes = 1000): string[] {
  const splitter = new LineSplitter(maxBytes);
  const lines: string[] = [];
  for (const piece of pieces) splitter.push(piece, (line) => lines.push(line));
  return lines;
}

test("lines are the same however the bytes are cut, within a character too", () => {
  const text = fc.array(fc.string({ unit: "grapheme", maxLength: 8 }).filter((line) => !line.includes("\n")));
  fc.assert(
    fc.property(text, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      const pieces: Buffer[] = [];
      for (let from = 0; from < bytes.length; ) {
        const length = cuts[pieces.length % cuts.length] as number;
        pieces.push(bytes.subarray(from, from + length));
        from += length;
      }
      expect(split(pieces)).toEqual(lines.filter((line) => line !== ""));
    }),
  );
});

test("what no line feed ends is no line", () => {
  expect(split([Buffer.from("whole\nhal"), Buffer.from("f")])).toEqual(["whole"]);
});

test("a line that grows longer than allowed is an error, and one just as long is not", () => {
  expect(split([Buffer.from("12345"), Buffer.from("\n")], 5)).toEqual(["12345"]);
  expect(() => split([Buffer.from("123"), Buffer.from("456")], 5)).toThrow("longer than 5 bytes");
});
