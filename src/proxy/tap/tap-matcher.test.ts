import { describe, expect, test } from "vitest";
import type { TapFilter } from "../../tap/tap-filter.ts";
import { exchangeRecord, flowRecord } from "../access-log/testkit/records.ts";
import type { Caller } from "../router/types.ts";
import { TapMatcher } from "./tap-matcher.ts";

type Call = Parameters<TapMatcher["fits"]>[0];
const fits = (filter: Partial<TapFilter>, record: Call = exchangeRecord()) =>
  new TapMatcher({ maxRate: 1, ...filter }).fits(record);

/** A call of that Pod. */
function callOf(pod: string): Call {
  const workload = { namespace: "shop", pod, serviceAccount: "client" };
  const caller: Caller = { address: "10.1.0.7", identity: "shop/client", workload };
  return exchangeRecord({ caller });
}

test("a filter without conditions takes every exchange and flow", () => {
  expect(fits({})).toBe(true);
  expect(fits({}, flowRecord())).toBe(true);
});

describe("from names a namespace, a Pod, or what made it", () => {
  test.each([
    ["shop", "client-1", true],
    ["sho", "client-1", false],
    ["shop/client-1", "client-1", true],
    ["shop/client", "client-7d4f8bc6b9-x2x4z", true],
    ["shop/client", "client-x2x4z", true],
    ["shop/client", "client-0", true],
    ["shop/client", "client-canary-7d4f8bc6b9-x2x4z", false],
    ["shop/client", "clients", false],
    ["other/client", "client", false],
  ])("%s: %s is %s", (from, pod, expected) => expect(fits({ from }, callOf(pod))).toBe(expected));

  test("a caller that is nobody is from nowhere", () => {
    const caller = { address: "192.0.2.1", identity: undefined, workload: undefined };
    expect(fits({ from: "shop" }, exchangeRecord({ caller }))).toBe(false);
  });
});

describe("to names what was called, or what served it", () => {
  test.each([
    ["shop", true],
    ["sho", false],
    ["shop/web", true],
    ["shop/web:80", true],
    ["shop/web:8", false],
    ["shop/we", false],
    ["shop/web-canary", true],
    ["shop/web-canary:80", true],
    ["other/web", false],
  ])("%s: %s", (to, expected) => expect(fits({ to })).toBe(expected));
});

test.each<[string, Partial<TapFilter>, boolean]>([
  ["the method", { method: "GET" }, true],
  ["another method", { method: "POST" }, false],
  ["the path's beginning", { path: "/ca" }, true],
  ["another path's", { path: "/x" }, false],
  ["the query is no part of the path", { path: "/cart?id" }, false],
  ["a pattern anywhere in the path", { pathRegex: "ar[st]$" }, true],
  ["one that is not in it", { pathRegex: "^cart" }, false],
  [
    "a status",
    {
      statuses: [
        [404, 404],
        [200, 299],
      ],
    },
    true,
  ],
  ["another", { statuses: [[500, 599]] }, false],
  ["less than the duration", { slowerMs: 12 }, true],
  ["more", { slowerMs: 13 }, false],
  ["retried", { retried: true }, false],
  ["denied", { denied: true }, false],
  ["any reason", { reason: "any" }, false],
  ["one condition of two", { method: "GET", path: "/x" }, false],
])("by %s", (_, filter, expected) => expect(fits(filter)).toBe(expected));

test("what failed is known by its reason, and what was refused or would be as denied", () => {
  const failed = exchangeRecord({ failure: "ResponseTimeout", attempts: 3 });
  expect(fits({ reason: "any" }, failed)).toBe(true);
  expect(fits({ reason: "ResponseTimeout", retried: true }, failed)).toBe(true);
  expect(fits({ reason: "AccessDenied" }, failed)).toBe(false);
  for (const refused of [{ failure: "AccessDenied" }, { failure: "AmbiguousPath" }, { wouldDeny: true }] as const)
    expect(fits({ denied: true }, exchangeRecord(refused))).toBe(true);
  expect(fits({ denied: true }, flowRecord({ failure: "AccessDenied" }))).toBe(true);
});

test.each<[string, Partial<TapFilter>]>([
  ["method", { method: "GET" }],
  ["path", { path: "/" }],
  ["pattern", { pathRegex: "" }],
  ["status", { statuses: [[0, 999]] }],
  ["retries", { retried: true }],
])("a flow has no %s", (_, filter) => {
  expect(fits(filter, flowRecord())).toBe(false);
  expect(fits({ to: "shop/db", from: "shop" }, flowRecord())).toBe(true);
});
