import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { BREAKER_STATES, IDLE, type ProxyStanding, standingWith } from "../proxy/traffic/proxy-standing.ts";
import { TrafficLedger } from "../proxy/traffic/traffic-ledger.ts";
import { trafficReport } from "../traffic/testkit/generators.ts";
import { NO_TRAFFIC, sumOfTraffic, type TrafficReport, totalTraffic } from "../traffic/traffic-report.ts";
import { CountsTeller, type HandedCounts, piecesOf, readCounts, wholeOf } from "./handed-counts.ts";

const servicePort = fc.record({
  breaker: fc.constantFrom(...BREAKER_STATES, undefined),
  connections: fc.nat(),
  waiting: fc.nat(),
  ejected: fc.nat(),
  ejections: fc.nat(),
  retriesRefused: fc.nat(),
});
const speaking = servicePort.filter((each) => each.breaker !== undefined || Object.values(each).some((count) => count));
const QUIET = { breaker: undefined, connections: 0, waiting: 0, ejected: 0, ejections: 0, retriesRefused: 0 };
const standing: fc.Arbitrary<ProxyStanding> = fc.record({
  connections: fc.nat(),
  upstreamConnections: fc.nat(),
  tcpFlows: fc.nat(),
  udpFlows: fc.nat(),
  servicePorts: fc.dictionary(fc.constantFrom("shop/web:80", "shop/api:80"), speaking, { noNullPrototype: true }),
});

test("what is told in pieces is what is read", () => {
  fc.assert(
    fc.property(trafficReport, standing, (traffic, stands) => {
      const counts: HandedCounts = { traffic, standing: stands };
      const read = [...piecesOf(counts)].map((piece) => readCounts(JSON.stringify(piece)) as HandedCounts);
      expect(wholeOf(read)).toEqual(counts);
    }),
  );
});

test("a piece is a few ten thousand bytes, however many edges and service ports there are", () => {
  const edges = Array.from({ length: 2_000 }, (_, index) => ({
    source: `shop/a-workload-with-a-long-name-${index}`,
    servicePort: "shop/another-one:80",
    backend: "shop/another-one:80",
    protocol: "http" as const,
    ...NO_TRAFFIC.retired,
  }));
  const servicePorts = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, index) => [`shop/another-one-${index}:80`, { ...QUIET, connections: 1 }]),
  );
  const counts: HandedCounts = { traffic: { edges, retired: NO_TRAFFIC.retired }, standing: { ...IDLE, servicePorts } };
  const pieces = [...piecesOf(counts)];
  expect(Math.max(...pieces.map((piece) => JSON.stringify(piece).length))).toBeLessThan(100_000);
  expect(wholeOf(pieces)).toEqual(counts);
});

test.each(["", "{}", "null", '{"traffic":{"edges":[]},"standing":{}}', "have them"])("%j are no counts", (text) => {
  expect(readCounts(text)).toBeUndefined();
});

test("told as changes, one after the other, it stands as it does", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(standing, { minLength: 1 }), async (stands) => {
      let now = IDLE;
      const teller = new CountsTeller({
        clock: new ManualClock(),
        read: async () => ({ traffic: NO_TRAFFIC, standing: now }),
      });
      let heard = IDLE;
      for (now of stands) heard = standingWith(heard, (await teller.take()).standing);
      expect(heard).toEqual(now);
      expect((await teller.take()).standing.servicePorts).toEqual({});
    }),
  );
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

test("each second is told what has passed since, but to one that is behind, until it is closed", async () => {
  const { clock, ledger, teller } = counting();
  const told: TrafficReport[] = [];
  const heard = () =>
    new Promise<void>((resolve) =>
      teller.tellTo({
        get isBehind() {
          return behind;
        },
        tell: ({ traffic }) => {
          told.push(traffic);
          resolve();
        },
      }),
    );
  let behind = true;
  await teller.take();
  const [report] = fc.sample(
    trafficReport.filter(({ edges }) => edges.length > 0),
    { numRuns: 1, seed: 1 },
  );
  const passed = { ...(report as TrafficReport), retired: NO_TRAFFIC.retired };
  ledger.add(passed);
  const first = heard();
  clock.advance(1_000);
  // What is told is read first.
  await setImmediate();
  behind = false;
  clock.advance(999);
  await setImmediate();
  expect(told).toEqual([]);
  clock.advance(1);
  await first;
  expect(totalTraffic(sumOfTraffic(told))).toEqual(totalTraffic(passed));
  teller.close();
  // One that gets the ports in that instant.
  void heard();
  expect(clock.pending).toBe(0);
});
