import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { IDLE, type ProxyStanding } from "../proxy/traffic/proxy-standing.ts";
import { TrafficLedger } from "../proxy/traffic/traffic-ledger.ts";
import { NO_COUNTS, type TrafficReport, totalTraffic } from "../traffic/traffic-report.ts";
import { CountsTeller, type HandedCounts } from "./handed-counts.ts";
import { NodeCounts } from "./node-counts.ts";

const passed = (retries: number): TrafficReport => ({
  edges: [{ source: "a/b", servicePort: "n/s:80", backend: "n/s:80", protocol: "http", ...NO_COUNTS, retries }],
  retired: NO_COUNTS,
});

const standing = (connections: number, ejections: number): ProxyStanding => ({
  ...IDLE,
  connections,
  servicePorts: {
    "n/s:80": { breaker: undefined, connections, waiting: 0, ejected: 1, ejections, retriesRefused: 0 },
  },
});

/** A proxy that counts when it is told to. */
function proxy(clock = new ManualClock()) {
  const ledger = new TrafficLedger(clock);
  const plane = {
    traffic: async () => ledger.report(),
    inherit: (report: TrafficReport) => ledger.inherit(report),
    add: (report: TrafficReport) => ledger.add(report),
    standing: () => standing(2, 1),
  };
  const counts = new NodeCounts({ clock, plane });
  const retries = async () => totalTraffic((await counts.all()).traffic).retries;
  return { clock, ledger, counts, retries, teller: new CountsTeller({ clock, read: () => counts.all() }) };
}

/** What one that was replaced tells, until it ends. */
function told() {
  let onCounts: (counts: HandedCounts) => void = () => {};
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return {
    follow: async (listener: typeof onCounts) => {
      onCounts = listener;
      await ended;
    },
    tell: (counts: HandedCounts) => onCounts(counts),
    end: () => end(),
  };
}

test("what the one before counted is this one's, with what it has open until it ends", async () => {
  const { counts, retries, ledger } = proxy();
  ledger.add(passed(5));
  await counts.inherit({ traffic: passed(1_000), standing: standing(7, 3) });
  expect(await retries()).toBe(1_005);
  expect(counts.standing()).toMatchObject({ connections: 9, servicePorts: { "n/s:80": { ejections: 4, ejected: 2 } } });
  const before = told();
  const followed = counts.follow(before);
  before.tell({ traffic: passed(20), standing: standing(1, 6) });
  expect(await retries()).toBe(1_025);
  expect(counts.standing()).toMatchObject({ connections: 3, servicePorts: { "n/s:80": { ejections: 7 } } });
  before.end();
  await followed;
  expect(counts.standing()).toMatchObject({ connections: 2, servicePorts: { "n/s:80": { ejections: 7, ejected: 1 } } });
  counts.close();
});

test("what was counted before the hand-over has not passed in the last half minute, what is told after it has", async () => {
  const { clock, counts, ledger } = proxy();
  await counts.inherit({ traffic: passed(1_000), standing: IDLE });
  const before = told();
  void counts.follow(before);
  before.tell({ traffic: passed(20), standing: IDLE });
  ledger.add(passed(3));
  clock.advance(10_000);
  await setImmediate();
  expect(totalTraffic(counts.recent()).retries).toBe(23);
  counts.close();
  expect(clock.pending).toBe(0);
});

test("one that is closed while it inherits leaves nothing behind", async () => {
  const { clock, counts } = proxy();
  const inherited = counts.inherit({ traffic: passed(1), standing: IDLE });
  counts.close();
  await inherited;
  expect(clock.pending).toBe(0);
});

test("of three in a row the last has the counts of all, also of one that drains while the second is replaced", async () => {
  const [first, second, third] = [proxy(), proxy(), proxy()];
  const [ofFirst, ofSecond] = [told(), told()];
  first.ledger.add(passed(100));
  await second.counts.inherit(await first.teller.take());
  void second.counts.follow(ofFirst);
  second.ledger.add(passed(10));
  await third.counts.inherit(await second.teller.take());
  void third.counts.follow(ofSecond);
  third.ledger.add(passed(1));
  expect(await third.retries()).toBe(111);
  first.ledger.add(passed(1_000));
  ofFirst.tell(await first.teller.take());
  second.ledger.add(passed(10_000));
  ofSecond.tell(await second.teller.take());
  expect(await third.retries()).toBe(11_111);
  for (const { counts } of [first, second, third]) counts.close();
});
