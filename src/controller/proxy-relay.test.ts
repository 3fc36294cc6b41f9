import { expect, test } from "vitest";
import type { AdminRoutes, Answer, StreamAnswer } from "../admin/admin-server.ts";
import { answererOf } from "../admin/answer-in-pieces.ts";
import type { AnswerReader } from "../config-stream/ask-channel.ts";
import type { AskableProxy } from "../config-stream/subscriber.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { NO_COUNTS, NO_TRAFFIC, totalTraffic } from "../traffic/traffic-report.ts";
import { type MeshTraffic, ProxyRelay } from "./proxy-relay.ts";

/** A far end that answers when the test says so. */
class FarProxy implements AskableProxy {
  readonly pod: string;
  readonly connectedMs: number;
  standsBy = false;
  readonly asked: { path: string; reader: AnswerReader; cancelled: boolean }[] = [];

  constructor(pod: string, connectedMs = 0) {
    this.pod = pod;
    this.connectedMs = connectedMs;
  }

  ask(path: string, reader: AnswerReader): () => void {
    const asked = { path, reader, cancelled: false };
    this.asked.push(asked);
    return () => {
      asked.cancelled = true;
    };
  }

  /** Answers the last question. */
  say(text: string, status?: number): void {
    const { reader } = this.asked.at(-1) as FarProxy["asked"][number];
    reader.onText(text);
    if (status !== undefined) reader.onEnd(status);
  }
}

function relay(proxies: FarProxy[], peers: FarProxy[] = []) {
  const clock = new ManualClock();
  const followers = new Set<(proxy: AskableProxy) => void>();
  const made = new ProxyRelay({
    clock,
    server: {
      askable: () => proxies,
      follow: (onProxy) => {
        for (const proxy of proxies) onProxy(proxy);
        followers.add(onProxy);
        return () => followers.delete(onProxy);
      },
    },
    peers: () => peers.length,
    askPeers: (path, reader) => {
      const stops = peers.map((peer) => peer.ask(path, reader()));
      return () => {
        for (const stop of stops) stop();
      };
    },
  });
  const routes = made.routes();
  const traffic = async () => JSON.parse(((await at(routes, "/api/traffic")) as Answer).body) as MeshTraffic;
  return { relay: made, clock, routes, traffic, followers };
}

const at = (routes: AdminRoutes, path: string, query = "") =>
  routes[path]?.answer([], { query: new URLSearchParams(query), accept: "", ifNoneMatch: "" });

const passed = (retries: number): string =>
  JSON.stringify({
    ...NO_TRAFFIC,
    edges: [{ source: "a/b", servicePort: "n/s:80", backend: "n/s:80", protocol: "http", ...NO_COUNTS, retries }],
  });

test("traffic is the sum over the proxies of this replica and of the others", async () => {
  const [one, two, peer] = [new FarProxy("p1"), new FarProxy("p2"), new FarProxy("c2")];
  const { traffic } = relay([one, two], [peer]);
  const report = traffic();
  one.say(passed(1), 200);
  two.say(passed(20), 200);
  peer.say(`{"proxies":{"p3":${passed(300)}}}`, 200);
  expect(totalTraffic(await report).retries).toBe(321);
});

test("of two proxies of one name the one that came last is told of, wherever it is", async () => {
  const [before, after] = [new FarProxy("p1", 9_000), new FarProxy("p1", 50)];
  const peer = new FarProxy("c2");
  const { traffic, clock, relay: made } = relay([before, after], [peer]);
  const first = traffic();
  expect(before.asked).toEqual([]);
  after.say(passed(20), 200);
  peer.say(`{"proxies":{"p1":${passed(300)}},"connectedMs":{"p1":800}}`, 200);
  expect(totalTraffic(await first).retries).toBe(20);
  clock.advance(1_000);
  const second = traffic();
  after.say(passed(20), 200);
  peer.say(`{"proxies":{"p1":${passed(300)}},"connectedMs":{"p1":30}}`, 200);
  expect(totalTraffic(await second).retries).toBe(300);
  // What this replica tells the other one, so that it says the same.
  const told = at(made.peerRoutes(), "/api/traffic") as Promise<Answer>;
  after.say(passed(20), 200);
  expect(JSON.parse((await told).body)).toMatchObject({ connectedMs: { p1: 50 } });
});

test("a proxy that waits for the counts of its node, or has handed them over, is not told of, whenever it came", async () => {
  const [before, after] = [new FarProxy("p1", 9_000), new FarProxy("p1", 50)];
  const { traffic, clock } = relay([before, after]);
  after.standsBy = true;
  const first = traffic();
  expect(after.asked).toEqual([]);
  before.say(passed(1_000), 200);
  expect(totalTraffic(await first).retries).toBe(1_000);
  // In between, neither has them.
  clock.advance(1_000);
  before.standsBy = true;
  expect(await traffic()).toMatchObject({ edges: [], missing: 1 });
  clock.advance(1_000);
  after.standsBy = false;
  const third = traffic();
  after.say(passed(1_030), 200);
  expect(totalTraffic(await third).retries).toBe(1_030);
  expect(before.asked).toHaveLength(1);
});

test("a proxy that stands by is missing where no replica has one of its name in charge", async () => {
  const [waiting, peer] = [new FarProxy("p1"), new FarProxy("c2")];
  waiting.standsBy = true;
  const { relay: made, traffic, clock } = relay([waiting], [peer]);
  const inCharge = traffic();
  peer.say(`{"proxies":{"p1":${passed(5)}}}`, 200);
  expect([totalTraffic(await inCharge).retries, (await inCharge).missing]).toEqual([5, 0]);
  clock.advance(1_000);
  const between = traffic();
  peer.say('{"proxies":{},"standBy":["p1","p2"]}', 200);
  expect((await between).missing).toBe(2);
  const told = (await at(made.peerRoutes(), "/api/traffic")) as Answer;
  expect(JSON.parse(told.body)).toMatchObject({ proxies: {}, missing: 0, standBy: ["p1"] });
});

test("who compares looks gets them by proxy, and how old they are", async () => {
  const [one, peer] = [new FarProxy("p1"), new FarProxy("c2")];
  const { routes, clock } = relay([one], [peer]);
  const byProxy = async () => JSON.parse(((await at(routes, "/api/traffic", "by=proxy")) as Answer).body);
  const first = byProxy();
  one.say(passed(1), 200);
  peer.say(`{"proxies":{"p2":${passed(20)}}}`, 200);
  const reports = { p1: JSON.parse(passed(1)), p2: JSON.parse(passed(20)) };
  expect(await first).toEqual({ ageMs: 0, proxies: reports, missing: 0 });
  clock.advance(300);
  expect(await byProxy()).toEqual({ ageMs: 300, proxies: reports, missing: 0 });
});

test("a replica tells the others what the proxies carried that follow it", async () => {
  const one = new FarProxy("p1");
  const { relay: made } = relay([one], [new FarProxy("c2")]);
  const answer = new Promise<string>((resolve) => {
    answererOf(made.peerRoutes())("/api/traffic", { write: (text) => resolve(text) === undefined, end: () => {} });
  });
  await Promise.resolve();
  one.say(passed(1), 200);
  expect(JSON.parse(await answer)).toEqual({
    connectedMs: { p1: 0 },
    standBy: [],
    proxies: { p1: JSON.parse(passed(1)) },
    missing: 0,
  });
});

test("a proxy that does not answer in time is left out, and so is one that went; how many is said", async () => {
  const [one, slow, gone] = [new FarProxy("p1"), new FarProxy("p2"), new FarProxy("p3")];
  const { traffic, clock } = relay([one, slow, gone]);
  const report = traffic();
  one.say(passed(1), 200);
  gone.say("", 0);
  clock.advance(1_000);
  expect(totalTraffic(await report).retries).toBe(1);
  expect((await report).missing).toBe(2);
  expect(slow.asked[0]?.cancelled).toBe(true);
});

test("who looks often is told the same for half a second, and the proxies are not asked each time", async () => {
  const one = new FarProxy("p1");
  const { traffic, clock } = relay([one]);
  const first = traffic();
  one.say(passed(1), 200);
  await first;
  expect(totalTraffic(await traffic()).retries).toBe(1);
  clock.advance(600);
  const later = traffic();
  one.say(passed(2), 200);
  expect(totalTraffic(await later).retries).toBe(2);
});

test("what has passed lately is asked for by itself, of the other replicas too", async () => {
  const [one, peer] = [new FarProxy("p1"), new FarProxy("c2")];
  const { relay: made, routes } = relay([one], [peer]);
  const report = made.recentTraffic();
  expect([one, peer].map(({ asked }) => asked.at(-1)?.path)).toEqual(["/api/traffic/recent", "/api/traffic/recent"]);
  one.say(passed(1), 200);
  peer.say(`{"proxies":{"p2":${passed(20)}}}`, 200);
  expect(totalTraffic(await report).retries).toBe(21);
  const again = (await at(routes, "/api/traffic/recent")) as Answer;
  expect(totalTraffic(JSON.parse(again.body) as MeshTraffic).retries).toBe(21);
});

/** A tap that is read. */
function tap(routes: AdminRoutes, query = "") {
  const read = { text: "", over: false };
  const stop = (at(routes, "/api/tap", query) as StreamAnswer).start({
    write: (text) => {
      read.text += text;
      return true;
    },
    end: () => {
      read.over = true;
    },
  });
  return { read, stop };
}

test("a tap shows whole lines of all proxies, also of those that come later, and ends at all of them", () => {
  const [one, peer, late] = [new FarProxy("p1"), new FarProxy("c2"), new FarProxy("p2")];
  const { routes, followers } = relay([one], [peer]);
  const { read, stop } = tap(routes, "to=whoami");
  expect(one.asked[0]?.path).toBe("/api/tap?to=whoami");
  one.say('{"a":');
  peer.say('{"b":2}\n');
  one.say("1}\n");
  for (const follower of followers) follower(late);
  late.say('{"c":3}\n');
  expect(read.text).toBe('{"b":2}\n{"a":1}\n{"c":3}\n');
  stop();
  expect([...one.asked, ...peer.asked, ...late.asked].every(({ cancelled }) => cancelled)).toBe(true);
  expect(followers.size).toBe(0);
});

test("a tap of so many calls ends after so many, of whichever proxies", () => {
  const [one, two] = [new FarProxy("p1"), new FarProxy("p2")];
  const { routes } = relay([one, two]);
  const { read } = tap(routes, "count=2");
  one.say('{"a":1}\n');
  one.say('{"kind":"lost","calls":3}\n');
  expect(read.over).toBe(false);
  two.say('{"b":2}\n{"c":3}\n');
  expect(read).toEqual({ text: '{"a":1}\n{"kind":"lost","calls":3}\n{"b":2}\n', over: true });
  expect(one.asked[0]?.cancelled).toBe(true);
});

test("filters that cannot be read are refused before a proxy is asked", () => {
  const one = new FarProxy("p1");
  const { routes } = relay([one]);
  expect(at(routes, "/api/tap", "status=blue")).toMatchObject({ status: 400, body: expect.stringContaining("blue") });
  expect(one.asked).toEqual([]);
});

test("a tap that every proxy refuses says so, and ends", () => {
  const [one, two] = [new FarProxy("p1"), new FarProxy("p2")];
  const { routes } = relay([one, two]);
  const { read } = tap(routes);
  one.say("there are 16 ");
  one.say("taps already\n", 503);
  expect(JSON.parse(read.text)).toEqual({ kind: "error", status: 503, message: "there are 16 taps already" });
  expect(read.over).toBe(false);
  two.say("there are 16 taps already\n", 503);
  expect(read.over).toBe(true);
});

test("a reader who is behind is told how many calls it missed", () => {
  const one = new FarProxy("p1");
  const { routes } = relay([one]);
  const read = { lines: [] as string[], isBehind: false };
  (at(routes, "/api/tap", "count=3") as StreamAnswer).start({
    write: (line) => !read.isBehind && read.lines.push(line) > 0,
    end: () => read.lines.push("over"),
  });
  one.say('{"a":1}\n');
  read.isBehind = true;
  one.say('{"a":2}\n{"a":3}\n');
  read.isBehind = false;
  one.say('{"a":4}\n{"a":5}\n');
  expect(read.lines).toEqual(['{"a":1}\n', '{"kind":"lost","calls":2}\n', '{"a":4}\n', '{"a":5}\n', "over"]);
});

test("what another replica misses is missing, and so is what cannot be read", async () => {
  const [one, peer] = [new FarProxy("p1"), new FarProxy("c2")];
  const { traffic } = relay([one], [peer]);
  const report = traffic();
  peer.say(`{"proxies":{"p2":${passed(20)}},"missing":3}`, 200);
  one.say('{"edges":[]}', 200);
  expect(totalTraffic(await report).retries).toBe(20);
  expect((await report).missing).toBe(4);
});
