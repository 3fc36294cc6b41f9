import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { trafficReport } from "./testkit/generators.ts";
import {
  differenceOfTraffic,
  edgeKey,
  NO_COUNTS,
  NO_TRAFFIC,
  sumOfCounts,
  sumOfTraffic,
  type TrafficEdge,
  totalTraffic,
} from "./traffic-report.ts";

const EDGE: TrafficEdge = { source: "a/web", servicePort: "n/s:80", backend: "n/s:80", protocol: "http", ...NO_COUNTS };
const reportOf = (...edges: TrafficEdge[]) => ({ edges, retired: NO_COUNTS });

describe("the sum of reports", () => {
  test("is the same in whatever groups and order it is made", () => {
    fc.assert(
      fc.property(trafficReport, trafficReport, trafficReport, (a, b, c) => {
        const sum = sumOfTraffic([a, b, c]);
        expect(sumOfTraffic([sumOfTraffic([a, b]), c])).toEqual(sum);
        expect(sumOfTraffic([a, sumOfTraffic([c, b])])).toEqual(sum);
      }),
    );
  });

  test("is the report itself where the others have nothing", () => {
    fc.assert(
      fc.property(trafficReport, (report) => {
        expect(sumOfTraffic([NO_TRAFFIC, report, NO_TRAFFIC])).toEqual(report);
      }),
    );
  });

  test("has the sum of the totals as its total", () => {
    fc.assert(
      fc.property(trafficReport, trafficReport, (a, b) => {
        expect(totalTraffic(sumOfTraffic([a, b]))).toEqual(sumOfCounts(totalTraffic(a), totalTraffic(b)));
      }),
    );
  });

  test("has each edge once, in order", () => {
    fc.assert(
      fc.property(fc.array(trafficReport), (reports) => {
        const keys = sumOfTraffic(reports).edges.map(edgeKey);
        expect(keys).toEqual([...new Set(keys)].sort());
      }),
    );
  });
});

describe("the difference of two reports", () => {
  test("is what was added to the first", () => {
    fc.assert(
      fc.property(trafficReport, trafficReport, (before, passed) => {
        const now = sumOfTraffic([before, passed]);
        expect(sumOfTraffic([before, differenceOfTraffic(now, before)])).toEqual(now);
      }),
    );
  });

  test("is nothing between equal ones", () => {
    fc.assert(
      fc.property(trafficReport, (report) => {
        expect(differenceOfTraffic(report, report)).toEqual(NO_TRAFFIC);
      }),
    );
  });

  test("is everything of an edge whose counter began again", () => {
    const before = reportOf({ ...EDGE, retries: 7, bytesUp: 1 });
    const now = reportOf({ ...EDGE, retries: 2, bytesUp: 1 });
    expect(differenceOfTraffic(now, before)).toEqual(now);
  });

  test("has nothing of an edge that is gone", () => {
    const before = reportOf({ ...EDGE, retries: 7 });
    expect(differenceOfTraffic({ edges: [], retired: { ...NO_COUNTS, retries: 7 } }, before)).toEqual(NO_TRAFFIC);
  });
});
