import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { trafficReport } from "./testkit/generators.ts";
import { NO_COUNTS, NO_TRAFFIC, sumOfTraffic, type TrafficReport, totalTraffic } from "./traffic-report.ts";
import { TrafficWindow } from "./traffic-window.ts";

function counted(retries: number): TrafficReport {
  const edge = { source: "a/b", servicePort: "n/s:80", backend: "n/s:80", protocol: "http" } as const;
  return { edges: [{ ...edge, ...NO_COUNTS, retries }], retired: NO_COUNTS };
}

function setUp() {
  const clock = new ManualClock();
  const counters = { now: NO_TRAFFIC };
  const window = new TrafficWindow({ clock, read: async () => counters.now });
  const pass = async (seconds: number) => {
    for (let left = seconds; left > 0; left -= 10) {
      clock.advance(10_000);
      await setImmediate();
    }
  };
  return { clock, counters, window, pass };
}

test("what has passed is in the window for half a minute, and then not", async () => {
  const { counters, window, pass } = setUp();
  counters.now = counted(5);
  await pass(10);
  expect(totalTraffic(window.report()).retries).toBe(5);
  counters.now = counted(7);
  await pass(20);
  expect(totalTraffic(window.report()).retries).toBe(7);
  await pass(10);
  expect(totalTraffic(window.report()).retries).toBe(2);
  await pass(10);
  expect(window.report().edges).toEqual([]);
});

test("whatever passes in three steps is what the window has", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(trafficReport, { minLength: 1, maxLength: 6 }), async (steps) => {
      const { counters, window, pass } = setUp();
      for (const step of steps) {
        counters.now = sumOfTraffic([counters.now, step]);
        await pass(10);
      }
      expect(totalTraffic(window.report())).toEqual(
        totalTraffic(sumOfTraffic(steps.slice(-3).map(({ edges }) => ({ edges, retired: NO_COUNTS })))),
      );
    }),
    { numRuns: 50 },
  );
});

test("closed, it looks no more", () => {
  const { clock, window } = setUp();
  window.close();
  expect(clock.pending).toBe(0);
});
