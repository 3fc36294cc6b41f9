import { expect, test } from "vitest";
import { answererOf } from "../admin/answer-in-pieces.ts";
import type { AnswerReader } from "../config-stream/ask-channel.ts";
import type { AskableProxy } from "../config-stream/config-server.ts";
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
  /** Each answers as another replica does. */
  readonly others?: readonly NodeConfigurations[];
}

function replica({ proxies, clock = new ManualClock(), others = [] }: Replica): NodeConfigurations {
  return new NodeConfigurations({
    server: { askable: () => [...proxies] },
    clock,
    peers: () => others.length,
    askPeers(path, makeReader: () => AnswerReader) {
      for (const other of others) {
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
  const others = [replica({ proxies: [] }), replica({ proxies: [proxy("p2", 200, '{"version":"2"}\n')] })];
  const answer = await replica({ proxies: [], others }).answer("p2");
  expect(answer).toMatchObject({ status: 200, body: '{"version":"2"}\n' });
});

test("a Pod that is no proxy is not found", async () => {
  expect(await replica({ proxies: [] }).answer("web")).toMatchObject({ status: 404 });
});

test("a proxy that nobody hears cannot be reached", async () => {
  expect(await replica({ proxies: [] }).answer("p1")).toMatchObject({ status: 502 });
  expect(await replica({ proxies: [], others: [replica({ proxies: [] })] }).answer("p1")).toMatchObject({
    status: 502,
  });
  expect(await replica({ proxies: [proxy("p1", 0, "")] }).answer("p1")).toMatchObject({ status: 502 });
  const others = [replica({ proxies: [proxy("p1", 0, "")] })];
  expect(await replica({ proxies: [], others }).answer("p1")).toMatchObject({ status: 502 });
});

test("of two of one name the one that came last is asked", async () => {
  const proxies = [proxy("p1", 200, "before", 9_000), proxy("p1", 200, "after", 50)];
  expect(await replica({ proxies }).answer("p1")).toMatchObject({ body: "after" });
});

test("a proxy that does not answer in time cannot be reached", async () => {
  const clock = new ManualClock();
  const silent: AskableProxy = { pod: "p1", connectedMs: 0, standsBy: false, ask: () => () => {} };
  const answer = replica({ proxies: [silent], clock }).answer("p1");
  clock.advance(5_000);
  expect(await answer).toMatchObject({ status: 502 });
});

test("a proxy that answers something else is passed on as an error", async () => {
  expect(await replica({ proxies: [proxy("p1", 503, "full")] }).answer("p1")).toMatchObject({
    status: 500,
    body: "proxy p1 answered 503: full\n",
  });
});
