import fc from "fast-check";
import { expect, test } from "vitest";
import { quantityThousandths } from "./quantity.ts";

test.each([
  ["500m", 500],
  [1, 1000],
  ["0.25", 250],
  [".5", 500],
  ["1.", 1000],
  ["100u", 0.1],
  ["2k", 2_000_000],
  ["1Ki", 1_024_000],
  ["3M", 3_000_000_000],
  ["1e3", 1_000_000],
  ["5E-1", 500],
  ["2E", 2e21],
])("%s is %d thousandths", (written, thousandths) => {
  expect(quantityThousandths(written)).toBeCloseTo(thousandths, 9);
});

test.each(["", "-1", "1 m", "m", "1.2.3", "lots", "1K", "0x10", "Infinity"])('"%s" is no quantity', (written) => {
  expect(quantityThousandths(written)).toBeUndefined();
});

test("a share is the same whether it is written in thousandths, in ones or as a number", () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), (count) => {
      expect(quantityThousandths(`${count}m`)).toBe(count);
      expect(quantityThousandths(`${count}`)).toBe(count * 1000);
      expect(quantityThousandths(count)).toBe(count * 1000);
    }),
  );
});
