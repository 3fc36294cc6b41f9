import fc from "fast-check";
import { expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { trafficReport } from "../../traffic/testkit/generators.ts";
import { NO_COUNTS, sumOfTraffic, type TrafficEdge, totalTraffic } from "../../traffic/traffic-report.ts";
import { TrafficLedger } from "./traffic-ledger.ts";

const edge = (source: string, retries = 1): TrafficEdge => ({
  source,
  servicePort: "n/s:80",
  backend: "",
  protocol: "http",
  ...NO_COUNTS,
  retries,
});
const reportOf = (...edges: TrafficEdge[]) => ({ edges, retired: NO_COUNTS });
const seen = (ledger: TrafficLedger) => ledger.report().edges.map(({ source, retries }) => [source, retries]);

test("a ledger with room has the sum of what it was told", () => {
  fc.assert(
    fc.property(fc.array(trafficReport), (reports) => {
      const ledger = new TrafficLedger(new ManualClock());
      for (const report of reports) ledger.add(report);
      expect(ledger.report()).toEqual(sumOfTraffic(reports));
    }),
  );
});

test("whatever the ceiling and however long nothing came, totals are exact and edges few", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(trafficReport, fc.nat(20 * 60_000))), fc.nat(4), (told, maxEdges) => {
      const clock = new ManualClock();
      const ledger = new TrafficLedger(clock, maxEdges);
      for (const [report, pauseMs] of told) {
        clock.advance(pauseMs);
        ledger.add(report);
      }
      const sum = sumOfTraffic(told.map(([report]) => report));
      expect(totalTraffic(ledger.report())).toEqual(totalTraffic(sum));
      expect(ledger.report().edges.filter(({ servicePort }) => servicePort !== "").length).toBeLessThanOrEqual(
        maxEdges,
      );
    }),
  );
});

test("an edge that has its place keeps it, and one that comes too late is counted in the overflow edge", () => {
  const ledger = new TrafficLedger(new ManualClock(), 2);
  ledger.add(reportOf(edge("a"), edge("b")));
  ledger.add(reportOf(edge("b"), edge("c", 5)));
  ledger.add(reportOf(edge("a")));
  expect(seen(ledger)).toEqual([
    ["", 5],
    ["a", 2],
    ["b", 2],
  ]);
});

test("an edge without traffic for ten minutes makes place for another, and its calls stay in the total", () => {
  const clock = new ManualClock();
  const ledger = new TrafficLedger(clock, 2);
  ledger.add(reportOf(edge("a"), edge("b")));
  clock.advance(6 * 60_000);
  ledger.add(reportOf(edge("b")));
  clock.advance(4 * 60_000);
  ledger.add(reportOf(edge("c")));
  expect(seen(ledger)).toEqual([
    ["b", 2],
    ["c", 1],
  ]);
  expect(ledger.report().retired.retries).toBe(1);
});

test("an edge to which nothing was added is the same object in the next report", () => {
  const ledger = new TrafficLedger(new ManualClock());
  ledger.add(reportOf(edge("a"), edge("b")));
  const [a, b] = ledger.report().edges;
  ledger.add(reportOf(edge("0"), edge("b")));
  const later = ledger.report().edges;
  expect(later.map(({ source }) => source)).toEqual(["0", "a", "b"]);
  expect(later[1]).toBe(a);
  expect(later[2]).not.toBe(b);
});

test("an edge without traffic stays while there is room", () => {
  const clock = new ManualClock();
  const ledger = new TrafficLedger(clock, 2);
  ledger.add(reportOf(edge("a")));
  clock.advance(24 * 3_600_000);
  ledger.add(reportOf(edge("b")));
  expect(seen(ledger)).toEqual([
    ["a", 1],
    ["b", 1],
  ]);
});

test("edges that are inherited keep their places at the ceiling, before those that came meanwhile", () => {
  const ledger = new TrafficLedger(new ManualClock(), 3);
  ledger.add(reportOf(edge("b", 10), edge("d"), edge("e")));
  const overflow = { ...edge("", 7), servicePort: "" };
  const before = {
    ...reportOf(overflow, edge("a", 100), edge("b", 100), edge("c", 100)),
    retired: { ...NO_COUNTS, retries: 5 },
  };
  ledger.inherit(before);
  expect(seen(ledger)).toEqual([
    ["", 9],
    ["a", 100],
    ["b", 110],
    ["c", 100],
  ]);
  expect(totalTraffic(ledger.report()).retries).toBe(324);
});
