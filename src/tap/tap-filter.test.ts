import fc from "fast-check";
import { expect, test } from "vitest";
import { DEFAULT_MAX_RATE, readTapFilter, TAP_PARAMETERS } from "./tap-filter.ts";

const read = (query: string) => readTapFilter(new URLSearchParams(query));

test("a query without parameters shows every call, at a rate that a reader can follow", () => {
  expect(read("")).toEqual({ maxRate: DEFAULT_MAX_RATE });
});

test.each([
  ["from=shop", { from: "shop" }],
  ["from=shop/client", { from: "shop/client" }],
  ["to=shop/web:80", { to: "shop/web:80" }],
  ["method=get", { method: "GET" }],
  ["path=/cart", { path: "/cart" }],
  ["path-regex=%5E/cart/%5Cd%2B$", { pathRegex: "^/cart/\\d+$" }],
  [
    "status=404,5xx,200-204",
    {
      statuses: [
        [404, 404],
        [500, 599],
        [200, 204],
      ],
    },
  ],
  ["reason=any", { reason: "any" }],
  ["reason=AccessDenied", { reason: "AccessDenied" }],
  ["slower=1.5s", { slowerMs: 1500 }],
  ["denied=true&retried", { denied: true, retried: true }],
  ["denied=0", { denied: false }],
  ["max-rate=5&count=3", { maxRate: 5, count: 3 }],
])("%s", (query, filter) => {
  expect(read(query)).toEqual({ maxRate: DEFAULT_MAX_RATE, ...filter });
});

test.each([
  ["form=shop", 'there is no parameter "form"; there are from, to, method'],
  ["constructor=1", 'there is no parameter "constructor"'],
  ["from=a/b/c", 'from: "a/b/c" is not NAMESPACE or NAMESPACE/NAME'],
  ["to=:80", 'to: ":80" is not NAMESPACE'],
  ["method=", 'method: "" is empty'],
  ["path=cart", 'path: "cart" does not begin with /'],
  ["path-regex=(", 'path-regex: "(" is no regular expression of RE2: '],
  ["status=6xx", 'status: "6xx" is not a status'],
  ["status=600", 'status: "600" is not a status from 100 to 599'],
  ["status=599-500", 'status: "599-500" is not a status'],
  ["reason=AccessDenid", 'reason: "AccessDenid" is no reason: did you mean AccessDenied?'],
  ["reason=toString", 'reason: "toString" is no reason'],
  ["slower=2", 'slower: "2" is not a duration such as 200ms'],
  ["denied=maybe", 'denied: "maybe" is neither true nor false'],
  ["max-rate=0", 'max-rate: "0" is not a number from 1 to 10000'],
  ["max-rate=10001", "is not a number from 1 to 10000"],
  ["count=-1", 'count: "-1" is not a number from 1'],
  [`path=/${"x".repeat(2000)}`, "is too long"],
])("%s is refused with what is wrong", (query, message) => {
  expect(read(query)).toEqual(expect.stringContaining(message));
});

test("whatever is asked gives a filter or a sentence of visible characters", () => {
  const name = fc.oneof(fc.constantFrom(...TAP_PARAMETERS), fc.string());
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-z/:,-]{0,8}$/)))), (pairs) => {
      const filter = readTapFilter(new URLSearchParams(pairs));
      if (typeof filter === "string") expect(filter).toMatch(/^[ -~]+$/);
      else expect(filter.maxRate).toBeGreaterThan(0);
    }),
  );
});
