import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ClusterState } from "../model/cluster-state.ts";
import { trafficReport } from "../traffic/testkit/generators.ts";
import { DURATION_BOUNDS_MS, NO_COUNTS } from "../traffic/traffic-report.ts";
import { METRIC_KINDS } from "./metric-kinds.ts";
import { metricsOf, percentileMs, TrafficMetrics } from "./traffic-metrics.ts";

const durations = (counts: Readonly<Record<number, number>>) =>
  NO_COUNTS.durations.map((_, index) => counts[index] ?? 0);

describe("a percentile", () => {
  test("of nothing is 0", () => {
    expect(percentileMs(99, NO_COUNTS.durations)).toBe(0);
  });

  test("lies within its bucket as if that were evenly filled", () => {
    // 5 to 10 ms, 10 to 25 ms.
    expect(percentileMs(50, durations({ 4: 100 }))).toBe(7.5);
    expect(percentileMs(75, durations({ 4: 50, 5: 50 }))).toBe(17.5);
  });

  test("beyond all bounds is the last of them", () => {
    expect(percentileMs(50, durations({ [DURATION_BOUNDS_MS.length]: 3 }))).toBe(30_000);
  });

  test("never falls as the share grows, and never leaves the bounds", () => {
    const counts = fc.array(fc.nat(1_000), {
      minLength: NO_COUNTS.durations.length,
      maxLength: NO_COUNTS.durations.length,
    });
    fc.assert(
      fc.property(counts, (given) => {
        const [p50 = 0, p90 = 0, p99 = 0] = [50, 90, 99].map((percent) => percentileMs(percent, given));
        expect(p50).toBeLessThanOrEqual(p90);
        expect(p90).toBeLessThanOrEqual(p99);
        expect(p99).toBeLessThanOrEqual(30_000);
      }),
    );
  });
});

test("5xx and requests without an answer have failed, and all others have not", () => {
  const metrics = metricsOf({ ...NO_COUNTS, exchanges: [1, 10, 100, 1_000, 10_000, 100_000] });
  expect(metrics.filter(({ unit }) => unit === undefined)).toEqual([
    { name: "success_count", value: "11110" },
    { name: "failure_count", value: "100001" },
  ]);
});

test("every request is some namespace's, and no list has an object twice", () => {
  fc.assert(
    fc.property(trafficReport, (report) => {
      const metrics = new TrafficMetrics(report, new ClusterState());
      const count = (values: readonly { readonly name: string; readonly value: string }[]) =>
        values.reduce((sum, { name, value }) => sum + (name.endsWith("_count") ? Number(value) : 0), 0);
      const listed = metrics.list("Namespace", "").reduce((sum, each) => sum + count(each.metrics), 0);
      const passed = report.edges.filter(({ protocol }) => protocol === "http").flatMap(({ exchanges }) => exchanges);
      expect(listed).toBe(passed.reduce((sum, each) => sum + each, 0));
      for (const { kind } of METRIC_KINDS) {
        const names = metrics.list(kind, "").map(({ resource }) => `${resource.namespace}/${resource.name}`);
        expect(new Set(names).size).toBe(names.length);
      }
    }),
  );
});
