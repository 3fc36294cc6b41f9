import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { trafficReport } from "../traffic/testkit/generators.ts";
import { NO_COUNTS, type TrafficEdge, totalTraffic } from "../traffic/traffic-report.ts";
import { isWithin, quietRow, SORT_KEYS, sortedRows, topRows } from "./top-rows.ts";

function edge(source: string, servicePort: string, backend: string, requests: number): TrafficEdge {
  return { ...NO_COUNTS, source, servicePort, backend, protocol: "http", exchanges: [0, 0, requests, 0, 0, 0] };
}

const EDGES = [
  edge("shop/a", "shop/web:80", "shop/web-v1:80", 8),
  edge("shop/a", "shop/web:80", "shop/web-v2:80", 2),
  edge("shop/b", "shop/web:80", "shop/web-v1:80", 4),
  edge("shop/b", "bank/api:8080", "bank/api:8080", 1),
];

describe("rows of tulle top", () => {
  test("are one for each service port that was called", () => {
    const rows = sortedRows(topRows(EDGES, 2, undefined, false), "requests");
    expect(rows.map(({ service, requests }) => [service, requests])).toEqual([
      ["shop/web:80", 7],
      ["bank/api:8080", 0.5],
    ]);
  });

  test("by callers are one for each of them, and for each backend of a split", () => {
    const rows = sortedRows(topRows(EDGES, 1, "shop/web:80", true), "requests");
    expect(rows.map(({ caller, backend, requests }) => [caller, backend, requests])).toEqual([
      ["shop/a", "shop/web-v1:80", 8],
      ["shop/b", "shop/web-v1:80", 4],
      ["shop/a", "shop/web-v2:80", 2],
    ]);
    expect(topRows(EDGES, 1, "bank", true)).toMatchObject([{ caller: "shop/b", service: "bank/api:8080" }]);
  });

  test("of a backend of a split are the calls that it served", () => {
    expect(topRows(EDGES, 1, "shop/web-v2", false)).toMatchObject([{ service: "shop/web:80", requests: 2 }]);
  });

  test("have all that passed, however they are grouped", () => {
    fc.assert(
      fc.property(trafficReport, fc.boolean(), ({ edges }, byCallers) => {
        const rows = topRows(edges, 1, undefined, byCallers);
        const total = totalTraffic({ edges, retired: NO_COUNTS });
        const requests = total.exchanges.reduce((sum, count) => sum + count, 0);
        expect(rows.reduce((sum, row) => sum + row.requests, 0)).toBe(requests);
        expect(rows.reduce((sum, row) => sum + row.bytesUp, 0)).toBe(total.bytesUp);
      }),
    );
  });

  test("have one order, whatever order they come in", () => {
    fc.assert(
      fc.property(trafficReport, fc.constantFrom(...SORT_KEYS), ({ edges }, key) => {
        const rows = topRows(edges, 1, undefined, true);
        expect(sortedRows([...rows].reverse(), key)).toEqual(sortedRows(rows, key));
      }),
    );
  });

  test("of what has gone quiet say who it was and nothing else", () => {
    const [row] = topRows(EDGES, 1, undefined, true);
    const quiet = { caller: "shop/a", service: "shop/web:80", backend: "shop/web-v1:80", requests: 0 };
    expect(row === undefined ? row : quietRow(row)).toMatchObject({ ...quiet, success: undefined });
  });
});

test.each([
  ["shop", "shop/web:80", true],
  ["shop", "shopping/web:80", false],
  ["shop/web", "shop/web:80", true],
  ["shop/web", "shop/web-v1:80", false],
  ["shop/web:80", "shop/web:8080", false],
  ["shop/web:80", "shop/web:80", true],
  ["shop", "", false],
])("within %s is %s: %s", (scope, servicePort, is) => {
  expect(isWithin(scope, servicePort)).toBe(is);
});
