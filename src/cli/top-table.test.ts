import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { trafficReport } from "../traffic/testkit/generators.ts";
import { NO_COUNTS } from "../traffic/traffic-report.ts";
import { topRows } from "./top-rows.ts";
import { topTable } from "./top-table.ts";

const WIDE = { columns: 200, lines: 100 };
const key = { source: "shop/a", servicePort: "shop/web:80", backend: "shop/web-v1:80", protocol: "http" } as const;
const counts = {
  ...NO_COUNTS,
  exchanges: [0, 0, 19, 0, 0, 1],
  durations: [0, 0, 0, 20, ...Array.from({ length: 12 }, () => 0)],
  bytesDown: 4_000,
};
const edges = [{ ...key, ...counts }];

describe("the table of tulle top", () => {
  test("has the figures of each row, and nothing where there is nothing to say", () => {
    const [heading, line] = topTable(topRows(edges, 2, undefined, false), WIDE, false);
    expect(heading?.split(/ {2,}/)).toEqual([
      "SERVICE",
      "REQ/S",
      "SUCCESS",
      "P50",
      "P95",
      "P99",
      "UP B/S",
      "DOWN B/S",
      "FLOWS/S",
      "DENIED/S",
    ]);
    expect(line?.split(/ +/)).toEqual(["shop/web:80", "10", "95%", "3.75ms", "4.88ms", "4.97ms", "-", "2k", "-", "-"]);
  });

  test("by callers says who called what, and who served it", () => {
    const [, line] = topTable(topRows(edges, 2, undefined, true), WIDE, false);
    expect(line).toMatch(/^shop\/a → shop\/web:80 \(shop\/web-v1:80\) /);
  });

  test("names callers that nobody knows, and what is beyond the ceiling", () => {
    const rows = topRows([{ ...key, ...counts, source: "", servicePort: "", backend: "" }], 1, undefined, true);
    expect(topTable(rows, WIDE, false)[1]).toMatch(/^\(unknown\) → \(others\) /);
  });

  test("tells what would be denied from what is", () => {
    const rows = topRows([{ ...key, ...counts, audited: 4 }], 2, undefined, false);
    expect(topTable(rows, WIDE, false)[1]).toMatch(/ \(2\)$/);
    const denied = topRows([{ ...key, ...counts, failures: { AccessDenied: 4 } }], 2, undefined, false);
    expect(topTable(denied, WIDE, true)[1]).toContain("\u001b[31m         2\u001b[0m");
  });

  test("is never wider or longer than it may be, in colours or without", () => {
    const size = fc.record({ columns: fc.integer({ min: 12, max: 200 }), lines: fc.integer({ min: 1, max: 20 }) });
    fc.assert(
      fc.property(trafficReport, size, fc.boolean(), fc.boolean(), (report, room, byCallers, colour) => {
        const lines = topTable(topRows(report.edges, 1, undefined, byCallers), room, colour);
        expect(lines.length).toBeLessThanOrEqual(room.lines);
        for (const line of lines) expect(stripVTControlCharacters(line).length).toBeLessThanOrEqual(room.columns);
      }),
    );
  });

  test("says how many rows are left out", () => {
    const many = Array.from({ length: 9 }, (_, index) => ({ ...key, ...counts, servicePort: `shop/s${index}:80` }));
    const lines = topTable(topRows(many, 1, undefined, false), { columns: 100, lines: 5 }, false);
    expect([lines.length, lines.at(-1)]).toEqual([5, "and 6 more"]);
  });

  test("says nothing to the terminal that is in a name", () => {
    fc.assert(
      fc.property(fc.string(), (servicePort) => {
        const rows = topRows([{ ...key, ...counts, servicePort }], 1, undefined, false);
        expect(topTable(rows, WIDE, false)[1]).toMatch(/^[ -~…]+$/);
      }),
    );
  });
});

test.each([
  [100, /^SERVICE +REQ\/S +SUCCESS +P50 +P95 +P99 +DOWN B\/S +DENIED\/S$/],
  [80, /^SERVICE +REQ\/S +SUCCESS +P50 +P99 +DENIED\/S$/],
  [60, /^SERVICE +REQ\/S +SUCCESS +P99$/],
])("a terminal of %i columns shows whole names, and the figures that matter most", (columns, heading) => {
  const rows = topRows([{ ...key, ...counts, servicePort: "a-namespace/some-service:80" }], 1, undefined, false);
  const lines = topTable(rows, { columns, lines: 20 }, false);
  expect(lines).toEqual([expect.stringMatching(heading), expect.stringMatching(/^a-namespace\/some-service:80 /)]);
});

test("a name that does not fit keeps both its ends", () => {
  const rows = topRows([{ ...key, ...counts, servicePort: "a-namespace/some-service:80" }], 1, undefined, false);
  expect(topTable(rows, { columns: 50, lines: 20 }, false)[1]).toMatch(/^a-namespa…service:80 /);
});

test("that nothing has passed is said", () => {
  expect(topTable([], WIDE, false).slice(1)).toEqual(["(nothing has passed)"]);
  expect(topTable([], { columns: 80, lines: 1 }, false)).toHaveLength(1);
});
