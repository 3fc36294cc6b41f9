import fc from "fast-check";
import { expect, test } from "vitest";
import { LineBytes } from "./line-bytes.ts";

function written(write: (line: LineBytes) => void): string {
  const line = new LineBytes();
  write(line);
  return line.written.toString("latin1");
}

test("a number reads as JavaScript writes it, whatever it is", () => {
  const thousandths = fc.integer({ min: 0, max: 10_000_000 }).map((value) => value / 1_000);
  fc.assert(
    fc.property(fc.oneof(thousandths, fc.integer(), fc.maxSafeNat(), fc.double()), (value) => {
      expect(written((line) => line.number(value))).toBe(Object.is(value, -0) ? "0" : String(value));
    }),
  );
});

test("a text reads back as it was, in ASCII alone, whatever it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 3_000 }), (text) => {
      const json = written((line) => line.jsonText(text));
      expect(json).toMatch(/^[ -~]*$/);
      expect(JSON.parse(json)).toBe(text);
    }),
  );
});

test("what is written stands one after the other, and is gone when it is cleared", () => {
  const line = new LineBytes();
  line.ascii("before");
  line.clear();
  for (let index = 0; index < 400; index++) {
    line.bytes(Buffer.from('{"a":'));
    line.jsonText('"');
    line.ascii(",");
    line.number(12.05);
    line.bytes(Buffer.from("-".repeat(60)));
  }
  expect(line.written.toString()).toBe(`{"a":"\\"",12.05${"-".repeat(60)}`.repeat(400));
  expect(line.length).toBe(line.written.length);
});
