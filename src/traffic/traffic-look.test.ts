import fc from "fast-check";
import { expect, test } from "vitest";
import { trafficReport } from "./testkit/generators.ts";
import { passedBetween } from "./traffic-look.ts";
import { differenceOfTraffic, sumOfTraffic, type TrafficReport } from "./traffic-report.ts";

const look = (atMs: number, reports: Record<string, TrafficReport>) => ({
  atMs,
  reports: new Map(Object.entries(reports)),
});

test("what passed is the sum of what each proxy carried since the look before", () => {
  fc.assert(
    fc.property(trafficReport, trafficReport, trafficReport, (earlier, one, two) => {
      const before = look(1_000, { a: earlier, b: earlier });
      const now = look(3_000, { a: sumOfTraffic([earlier, one]), b: sumOfTraffic([earlier, two]) });
      const [ofOne, ofTwo] = [one, two].map((each) => differenceOfTraffic(sumOfTraffic([earlier, each]), earlier));
      expect(passedBetween(before, now)).toEqual({
        edges: sumOfTraffic([ofOne as TrafficReport, ofTwo as TrafficReport]).edges,
        seconds: 2,
        proxies: 2,
        unheard: [],
      });
    }),
  );
});

test("a proxy that missed a look, or came or went, adds nothing and is named", () => {
  fc.assert(
    fc.property(trafficReport, trafficReport, (one, two) => {
      const passed = passedBetween(look(0, { a: one, gone: two }), look(1_000, { a: one, back: two }));
      expect(passed).toEqual({ edges: [], seconds: 1, proxies: 1, unheard: ["back", "gone"] });
    }),
  );
});

test("between a look and the same look again nothing is known", () => {
  expect(passedBetween(look(5, {}), look(5, {}))).toBeUndefined();
});
