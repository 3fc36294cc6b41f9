import fc from "fast-check";
import { expect, test } from "vitest";
import { trafficReport } from "./testkit/generators.ts";
import { deniedOf, endedOf, failedOf, ratesOf } from "./traffic-rates.ts";
import { NO_COUNTS, type TrafficEdge } from "./traffic-report.ts";

const KEY = { source: "a/web", servicePort: "n/s:80", backend: "n/s:80" };
const HTTP: TrafficEdge = { ...KEY, protocol: "http", ...NO_COUNTS };
const TCP: TrafficEdge = { ...KEY, protocol: "tcp", ...NO_COUNTS };

test("rates are what passed, by the second", () => {
  const edge = { ...HTTP, exchanges: [0, 0, 18, 0, 1, 1], bytesUp: 100, bytesDown: 4_000, audited: 2 };
  expect(ratesOf([edge, { ...TCP, flowsOpened: 3 }], 2)).toMatchObject({
    requests: 10,
    success: 0.95,
    bytesUp: 50,
    bytesDown: 2_000,
    flows: 1.5,
    audited: 1,
  });
});

test("an answer below 500 is no failure, and neither is a caller that went", () => {
  const counts = { exchanges: [5, 0, 1, 1, 4, 2], failures: { ClientGone: 3, AccessDenied: 4 } };
  expect(failedOf({ ...HTTP, ...counts })).toBe(4);
  expect(deniedOf({ ...HTTP, ...counts })).toBe(4);
});

test("a flow that got no endpoint failed, and one that was denied did not", () => {
  const edge = { ...TCP, flowsEnded: 10, failures: { NoEndpoint: 2, AccessDenied: 5, ClientGone: 1 } };
  expect([endedOf(edge), failedOf(edge)]).toEqual([10, 2]);
});

test("nothing is no rate, and neither success nor failure", () => {
  expect(ratesOf([], 2)).toMatchObject({ requests: 0, success: undefined, p99Ms: undefined, denied: 0 });
});

test("success is a share, whatever was counted, and its latencies are in order", () => {
  fc.assert(
    fc.property(trafficReport, ({ edges }) => {
      const { success = 1, p50Ms = 0, p95Ms = 0, p99Ms = 0 } = ratesOf(edges, 1);
      expect(success).toBeGreaterThanOrEqual(0);
      expect(success).toBeLessThanOrEqual(1);
      expect([p50Ms, p95Ms, p99Ms]).toEqual([p50Ms, p95Ms, p99Ms].sort((a, b) => a - b));
    }),
  );
});

test("a failure of a kind that this program does not know yet is counted as none", () => {
  const failures = { NewKind: 1 } as TrafficEdge["failures"];
  expect(failedOf({ ...TCP, flowsEnded: 1, failures })).toBe(0);
});
