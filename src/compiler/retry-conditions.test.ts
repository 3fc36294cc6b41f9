import fc from "fast-check";
import { expect, test } from "vitest";
import { parseRetryOn } from "./retry-conditions.ts";

test("names and statuses may be mixed, with spaces around commas", () => {
  expect(parseRetryOn("reset, connect-failure,503 ,gateway-error")).toEqual({
    on: ["connectFailure", "reset"],
    statuses: [
      [502, 505],
      [503, 504],
    ],
  });
  expect(parseRetryOn("5xx")).toEqual({ on: [], statuses: [[500, 600]] });
});

test.each(["", "reset,", "Reset", "399", "600", "4xx", "50", "0503", "reset;503"])("%j is not understood", (text) => {
  expect(parseRetryOn(text)).toHaveProperty("error");
});

test("order and repetition mean nothing", () => {
  const words = ["connect-failure", "reset", "timeout", "5xx", "gateway-error", "429", "503"];
  fc.assert(
    fc.property(fc.subarray(words, { minLength: 1 }), fc.integer(), (some, seed) => {
      const turned = [...some.slice(seed % some.length), ...some];
      expect(parseRetryOn(turned.join(","))).toEqual(parseRetryOn(some.join(",")));
    }),
  );
});

test("any text gives conditions or says what is wrong with it", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const parsed = parseRetryOn(text);
      expect("error" in parsed || parsed.on.length + parsed.statuses.length > 0).toBe(true);
    }),
  );
});
