import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../../model/testkit/any-text.ts";
import { LineBytes } from "./line-bytes.ts";

function written(write: (line: LineBytes) => void): string {
  const line = LineBytes.alone();
  write(line);
  return line.takeText();
}

test("a number reads as JavaScript writes it, whatever it is", () => {
  fc.assert(
    fc.property(fc.oneof(fc.nat(), fc.integer(), fc.maxSafeNat(), fc.double()), (value) => {
      expect(written((line) => line.number(value))).toBe(Object.is(value, -0) ? "0" : String(value));
    }),
  );
});

test("thousandths read as JavaScript writes them, however many", () => {
  fc.assert(
    fc.property(fc.oneof(fc.nat({ max: 5_000 }), fc.nat(), fc.integer(), fc.maxSafeNat()), (count) => {
      expect(written((line) => line.thousandths(count))).toBe(String(count / 1_000));
    }),
  );
});

test("three digits are three, whatever the number", () => {
  for (let value = 0; value < 1_000; value++)
    expect(written((line) => line.threeDigits(value))).toBe(String(value).padStart(3, "0"));
});

test("a text reads back as it was, in ASCII alone, whatever it is", () => {
  fc.assert(
    fc.property(anyText({ maxLength: 100 }), fc.constantFrom(1, 1, 1, 1, 50), (part, times) => {
      const text = part.repeat(times);
      const json = written((line) => line.jsonText(text));
      expect(json).toMatch(/^[ -~]*$/);
      expect(JSON.parse(json)).toBe(text);
    }),
  );
});

test("what is written stands one after the other, however long, and is gone when it is dropped", () => {
  const line = LineBytes.alone();
  line.ascii("before");
  line.drop();
  for (let index = 0; index < 400; index++) {
    line.bytes(Buffer.from('{"a":'));
    line.jsonText('"');
    line.ascii(",");
    line.thousandths(12_050);
    line.bytes(Buffer.from("-".repeat(60)));
  }
  const text = `{"a":"\\"",12.05${"-".repeat(60)}`.repeat(400);
  expect(line.length).toBe(text.length);
  expect(line.takeText()).toBe(text);
  expect(line.length).toBe(0);
});
