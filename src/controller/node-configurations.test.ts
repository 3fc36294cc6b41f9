import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { answererOf } from "../admin/answer-in-pieces.ts";
import type { AnswerReader } from "../config-stream/ask-channel.ts";
import type { AskableProxy } from "../config-stream/subscriber.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { NodeConfigurations } from "./node-configurations.ts";

/** A proxy that answers at once; status 0: its connection goes. */
const proxy = (pod: string, status: number, body: string, connectedMs = 0): AskableProxy => ({
  pod,
  connectedMs,
  standsBy: false,
  ask(path, reader) {
    expect(path).toBe("/api/config");
    queueMicrotask(() => {
      reader.onText(body);
      reader.onEnd(status);
    });
    return () => {};
  },
});

interface Replica {
  readonly proxies: readonly AskableProxy[];
  readonly clock?: ManualClock;
  /** Proxies of each other replica. */
  readonly others?: readonly (readonly AskableProxy[])[];
  /** They do not say which proxies follow them. */
  readonly mute?: boolean;
}

function replica({ proxies, clock = new ManualClock(), others = [], mute = false }: Replica): NodeConfigurations {
  const peers = others.map((each) => replica({ proxies: each }));
  return new NodeConfigurations({
    server: { askable: () => [...proxies] },
    clock,
    peers: () => others.length,
    peerStreams: async () => (mute ? [] : others.flatMap((each, at) => each.map((held) => ({ ...held, at: `${at}` })))),
    askPeers(path, makeReader: () => AnswerReader, at) {
      for (const other of at === undefined ? peers : peers.slice(Number(at), Number(at) + 1)) {
        const reader = makeReader();
        answererOf(other.peerRoutes())(path, {
          write: (text) => reader.onText(text) === undefined,
          end: (status) => reader.onEnd(status),
        });
      }
      return () => {};
    },
    isProxy: (pod) => pod.startsWith("p"),
  });
}

test("what a proxy has in force is what it says itself", async () => {
  const answer = await replica({ proxies: [proxy("p1", 200, '{"version":"1"}\n')] }).answer("p1");
  expect(answer).toMatchObject({ status: 200, body: '{"version":"1"}\n' });
});

test("a proxy that follows another replica is asked by way of that one", async () => {
  const others = [[], [proxy("p2", 200, '{"version":"2"}\n')]];
  for (const mute of [false, true]) {
    const answer = await replica({ proxies: [], others, mute }).answer("p2");
    expect(answer).toMatchObject({ status: 200, body: '{"version":"2"}\n' });
  }
});

test("a Pod that is no proxy is not found", async () => {
  expect(await replica({ proxies: [] }).answer("web")).toMatchObject({ status: 404 });
});

test("a proxy that nobody hears cannot be reached", async () => {
  expect(await replica({ proxies: [] }).answer("p1")).toMatchObject({ status: 502 });
  expect(await replica({ proxies: [], others: [[]] }).answer("p1")).toMatchObject({
    status: 502,
  });
  expect(await replica({ proxies: [proxy("p1", 0, "")] }).answer("p1")).toMatchObject({ status: 502 });
  const others = [[proxy("p1", 0, "")]];
  expect(await replica({ proxies: [], others }).answer("p1")).toMatchObject({ status: 502 });
});

test("of two of one name the one that came last is asked", async () => {
  const proxies = [proxy("p1", 200, "before", 9_000), proxy("p1", 200, "after", 50)];
  expect(await replica({ proxies }).answer("p1")).toMatchObject({ body: "after" });
});

test("so it is where they are at two replicas, this one and another, or two others", async () => {
  const [stale, now] = [proxy("p1", 0, "", 9_000), proxy("p1", 200, "after", 50)];
  const at = (proxies: readonly AskableProxy[], ...others: readonly AskableProxy[][]) =>
    replica({ proxies, others }).answer("p1");
  expect(await at([stale], [now])).toMatchObject({ body: "after" });
  expect(await at([now], [stale])).toMatchObject({ body: "after" });
  expect(await at([], [stale], [now])).toMatchObject({ body: "after" });
  expect(await at([], [now], [stale])).toMatchObject({ body: "after" });
});

test("one that stands by is not asked", async () => {
  const inCharge = proxy("p1", 200, "in charge", 9_000);
  const next: AskableProxy = { ...proxy("p1", 200, "next", 50), standsBy: true };
  expect(await replica({ proxies: [next], others: [[inCharge]] }).answer("p1")).toMatchObject({ body: "in charge" });
  expect(await replica({ proxies: [inCharge], others: [[next]] }).answer("p1")).toMatchObject({ body: "in charge" });
});

test("a proxy that does not answer in time cannot be reached", async () => {
  const clock = new ManualClock();
  const silent: AskableProxy = { pod: "p1", connectedMs: 0, standsBy: false, ask: () => () => {} };
  const answer = replica({ proxies: [silent], clock }).answer("p1");
  // The other replicas are asked first which proxies they have.
  await nextTurn();
  clock.advance(5_000);
  expect(await answer).toMatchObject({ status: 502 });
});

test("a proxy that answers something else is passed on as an error", async () => {
  expect(await replica({ proxies: [proxy("p1", 503, "full")] }).answer("p1")).toMatchObject({
    status: 500,
    body: "proxy p1 answered 503: full\n",
  });
});
