import fc from "fast-check";
import { expect, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { BREAKER_STATES, IDLE, type ProxyStanding } from "../proxy/traffic/proxy-standing.ts";
import { TrafficLedger } from "../proxy/traffic/traffic-ledger.ts";
import { trafficReport } from "../traffic/testkit/generators.ts";
import { NO_TRAFFIC, sumOfTraffic, type TrafficReport, totalTraffic } from "../traffic/traffic-report.ts";
import { CountsTeller, type HandedCounts, readCounts } from "./handed-counts.ts";

const servicePort = fc.record({
  breaker: fc.constantFrom(...BREAKER_STATES, undefined),
  connections: fc.nat(),
  waiting: fc.nat(),
  ejected: fc.nat(),
  ejections: fc.nat(),
  retriesRefused: fc.nat(),
});
const standing: fc.Arbitrary<ProxyStanding> = fc.record({
  connections: fc.nat(),
  upstreamConnections: fc.nat(),
  tcpFlows: fc.nat(),
  udpFlows: fc.nat(),
  servicePorts: fc.dictionary(fc.constantFrom("shop/web:80", "shop/api:80"), servicePort, { noNullPrototype: true }),
});

test("what is told is what is read", () => {
  fc.assert(
    fc.property(trafficReport, standing, (traffic, stands) => {
      const counts: HandedCounts = { traffic, standing: stands };
      expect(readCounts(JSON.stringify(counts))).toEqual(counts);
    }),
  );
});

test.each(["", "{}", "null", '{"traffic":{"edges":[]},"standing":{}}', "have them"])("%j are no counts", (text) => {
  expect(readCounts(text)).toBeUndefined();
});

/** Counters to which is added, and whoever is told of them. */
function counting() {
  const clock = new ManualClock();
  const ledger = new TrafficLedger(clock);
  const next = new TrafficLedger(clock);
  const read = async () => ({ traffic: ledger.report(), standing: IDLE });
  return { clock, ledger, next, teller: new CountsTeller({ clock, read }) };
}

test("whatever is counted between, and taken at once, the next one has as much as the one before", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(trafficReport, fc.nat(2)), { maxLength: 6 }), async (steps) => {
      const { ledger, next, teller } = counting();
      const told: Promise<void>[] = [];
      const tell = () => told.push(teller.take().then(({ traffic }) => next.add(traffic)));
      tell();
      for (const [passed, times] of steps) {
        ledger.add(passed);
        for (let time = 0; time < times; time++) tell();
      }
      tell();
      await Promise.all(told);
      expect(totalTraffic(next.report())).toEqual(totalTraffic(ledger.report()));
    }),
    { numRuns: 50 },
  );
});

test("each second is told what has passed in it, until it is closed", async () => {
  const { clock, ledger, teller } = counting();
  const told: TrafficReport[] = [];
  const heard = () =>
    new Promise<void>((resolve) =>
      teller.tellTo(({ traffic }) => {
        told.push(traffic);
        resolve();
      }),
    );
  await teller.take();
  const [report] = fc.sample(
    trafficReport.filter(({ edges }) => edges.length > 0),
    { numRuns: 1, seed: 1 },
  );
  const passed = { ...(report as TrafficReport), retired: NO_TRAFFIC.retired };
  ledger.add(passed);
  const first = heard();
  clock.advance(999);
  expect(told).toEqual([]);
  clock.advance(1);
  await first;
  expect(totalTraffic(sumOfTraffic(told))).toEqual(totalTraffic(passed));
  teller.close();
  expect(clock.pending).toBe(0);
});
