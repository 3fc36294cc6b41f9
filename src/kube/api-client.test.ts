import { once } from "node:events";
import net from "node:net";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Clock } from "../model/clock.ts";
import { systemClock } from "../model/clock.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { ApiClient, endingWith } from "./api-client.ts";
import { ApiError } from "./api-error.ts";
import {
  answer,
  cut,
  cutWithinAnswer,
  type Exchange,
  ScriptedApiServer,
  silence,
} from "./testkit/scripted-api-server.ts";

const PODS = "/api/v1/pods";
const isWatch = ({ watch }: Exchange) => watch;

let server: ScriptedApiServer;
const clients: ApiClient[] = [];

beforeEach(async () => {
  server = await ScriptedApiServer.start();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server.close();
});

function client(clock: Clock = systemClock, access = server.access()): ApiClient {
  const made = new ApiClient({ access, clock, log: silentLog, userAgent: "tulle/test" });
  clients.push(made);
  return made;
}

async function failure(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => new Error("it succeeded"),
    (reason: Error) => reason,
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

interface Watched {
  readonly events: { type: string; object: { metadata: { name: string } } }[];
  readonly open: Promise<void>;
  readonly ended: Promise<void>;
  readonly stop: () => void;
  /** Resolves with as many events in all. */
  count(number: number): Promise<void>;
}

function watch(api: ApiClient, silenceMs = 60_000): Watched {
  const events: Watched["events"] = [];
  const waiting: { number: number; resolve: () => void }[] = [];
  const controller = new AbortController();
  let opened = () => {};
  const open = new Promise<void>((resolve) => {
    opened = resolve;
  });
  const ended = api.watch(PODS, {
    query: { resourceVersion: "1" },
    signal: controller.signal,
    silenceMs,
    onOpen: opened,
    onEvent: (event) => {
      events.push(event as Watched["events"][0]);
      for (const each of waiting) if (events.length >= each.number) each.resolve();
    },
  });
  ended.catch(() => {});
  return {
    events,
    open,
    ended,
    stop: () => controller.abort(),
    count: (number) =>
      new Promise((resolve) => {
        if (events.length >= number) resolve();
        else waiting.push({ number, resolve });
      }),
  };
}

test("an answer is parsed, and the request carries credentials, user agent and query", async () => {
  server.put(PODS, { metadata: { name: "a", namespace: "x" } });
  const list = await client().request<{ items: unknown[] }>("GET", PODS, { query: { limit: 5, continue: undefined } });
  expect(list.items).toHaveLength(1);
  const { headers } = server.exchanges[0] as Exchange;
  expect(headers).toMatchObject({
    ":path": `${PODS}?limit=5`,
    authorization: "Bearer a-token",
    "user-agent": "tulle/test",
    accept: "application/json",
  });
});

test("a refusal tells status, reason, message and when to come back", async () => {
  server.script(answer(429, { reason: "TooManyRequests", message: "slow down" }, { "retry-after": "7" }));
  const error = await failure(client().request("GET", PODS));
  expect(error).toMatchObject({ status: 429, reason: "TooManyRequests", retryAfterMs: 7000 });
  expect(error.message).toBe(`GET ${PODS}: 429 slow down`);
});

test("an answer that is no Status is quoted", async () => {
  server.script(answer(502, "<html>Bad gateway</html>", { "content-type": "text/html" }));
  const error = await failure(client().request("GET", PODS));
  expect(error).toMatchObject({ status: 502, reason: "", retryAfterMs: undefined });
  expect(error.message).toContain("<html>Bad gateway</html>");
});

test("a success that is not JSON is an error", async () => {
  server.script(answer(200, "<html>Log in</html>"));
  expect((await failure(client().request("GET", PODS))).message).toContain("not JSON: <html>Log in");
});

test("an answer that is cut off, before it or within it, is an error", async () => {
  server.script(cut);
  server.script(cutWithinAnswer);
  const api = client();
  await failure(api.request("GET", PODS));
  await failure(api.request("GET", PODS));
  expect(await api.request("GET", PODS)).toMatchObject({ kind: "List" });
});

test("a request that nobody answers ends in time, and the next is served", async () => {
  const clock = new ManualClock();
  const api = client(clock);
  server.script(silence);
  const came = server.next();
  const asked = failure(api.request("GET", PODS, { timeoutMs: 9_000 }));
  await came;
  clock.advance(9_000);
  expect((await asked).message).toBe(`GET ${PODS}: no answer in time`);
  expect(await api.request("GET", PODS)).toMatchObject({ kind: "List" });
});

test("a request that is given up ends", async () => {
  server.script(silence);
  const controller = new AbortController();
  const came = server.next();
  const asked = failure(client().request("GET", PODS, { signal: controller.signal }));
  await came;
  controller.abort();
  expect((await asked).message).toBe(`GET ${PODS}: given up`);
});

test("a request that was given up before it began is not sent, nor is one given up before there was a connection", async () => {
  const api = client();
  const controller = new AbortController();
  const connecting = failure(api.request("POST", PODS, { body: {}, signal: controller.signal }));
  controller.abort();
  expect((await connecting).message).toBe(`POST ${PODS}: given up`);
  await failure(api.request("POST", PODS, { body: {}, signal: controller.signal }));
  await failure(endingWith(api, controller.signal).request("POST", PODS, { body: {} }));
  await api.request("GET", PODS);
  expect(server.exchanges.map(({ method }) => method)).toEqual(["GET"]);
});

test("the time of a request counts while there is no connection yet", async () => {
  const mute = net.createServer().listen(0, "127.0.0.1");
  await once(mute, "listening");
  const { port } = mute.address() as net.AddressInfo;
  const sockets: net.Socket[] = [];
  mute.on("connection", (socket) => sockets.push(socket));
  const clock = new ManualClock();
  const api = client(clock, { ...server.access(), server: `https://127.0.0.1:${port}` });
  const asked = failure(api.request("GET", PODS, { timeoutMs: 2_000 }));
  await once(mute, "connection");
  clock.advance(2_000);
  expect((await asked).message).toBe(`GET ${PODS}: no answer in time`);
  api.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => mute.close(resolve));
});

test("a server that is not there is an error, and found once it is there", async () => {
  const { port } = server;
  const api = client();
  await server.close();
  expect((await failure(api.request("GET", PODS))).status).toBe(0);
  server = await ScriptedApiServer.start(port);
  expect(await api.request("GET", PODS)).toMatchObject({ kind: "List" });
});

describe("many requests that wait for one connection", () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  beforeEach(() => {
    warnings.length = 0;
    process.on("warning", onWarning);
    onTestFinished(() => void process.off("warning", onWarning));
  });
  const askOften = (api: ApiClient) => Array.from({ length: 50 }, () => api.request("GET", PODS));

  test("all get it", async () => {
    await Promise.all(askOften(client()));
    expect(server.exchanges).toHaveLength(50);
    expect(server.connections).toBe(1);
    expect(warnings).toEqual([]);
  });

  test("all get the error where there is none, and none of the next ones does", async () => {
    const { port } = server;
    const api = client();
    await server.close();
    const errors = await Promise.all(askOften(api).map(failure));
    expect(new Set(errors.map(({ message }) => message)).size).toBe(1);
    expect(errors[0]?.message).toContain("ECONNREFUSED");
    expect(warnings).toEqual([]);
    server = await ScriptedApiServer.start(port);
    await Promise.all(askOften(api));
  });

  test("all get the error where it is closed meanwhile", async () => {
    // Of TLS it says nothing, so that the connection is never up.
    const silent = net.createServer();
    const sockets: net.Socket[] = [];
    silent.on("connection", (socket) => void sockets.push(socket.on("error", () => {})));
    onTestFinished(() => {
      silent.close();
      for (const socket of sockets) socket.destroy();
    });
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as net.AddressInfo;
    const api = client(systemClock, { ...server.access(), server: `https://127.0.0.1:${port}` });
    const errors = askOften(api).map(failure);
    await once(silent, "connection");
    api.close();
    const messages = (await Promise.all(errors)).map(({ message }) => message);
    expect(new Set(messages)).toEqual(new Set(["the connection to the API server closed before it was up"]));
    expect(messages).toHaveLength(50);
    expect(warnings).toEqual([]);
  });
});

test("credentials that cannot be had are an error that says so", async () => {
  const access = server.access(async () => {
    throw new Error("no such file");
  });
  expect((await failure(client(systemClock, access).request("GET", PODS))).message).toContain("credentials");
  expect(server.exchanges).toHaveLength(0);
});

test("credentials are asked for with each request", async () => {
  let turn = 0;
  const api = client(
    systemClock,
    server.access(async () => `Bearer ${++turn}`),
  );
  await api.request("GET", PODS);
  await api.request("GET", PODS);
  expect(server.exchanges.map(({ headers }) => headers.authorization)).toEqual(["Bearer 1", "Bearer 2"]);
});

test("all requests and watches share one connection", async () => {
  const api = client();
  const watched = [watch(api), watch(api)];
  await Promise.all(watched.map(({ open }) => open));
  await Promise.all([api.request("GET", PODS), api.request("GET", PODS)]);
  expect(server.connections).toBe(1);
});

test("a server that says it goes away ends its watches itself, and new requests take a new connection", async () => {
  const api = client();
  const watched = watch(api);
  await watched.open;
  server.goAway();
  // Until the client has read it, requests may still take the old one.
  await expect
    .poll(async () => {
      await api.request("GET", PODS);
      return server.connections;
    })
    .toBe(2);
  server.put(PODS, { metadata: { name: "a", namespace: "x" } });
  await watched.count(1);
  server.endWatches(PODS);
  await watched.ended;
});

test("a connection on which no byte comes through is given up after its pings, with all that waits on it", async () => {
  const clock = new ManualClock();
  const api = client(clock);
  const watched = watch(api, 600_000);
  await watched.open;
  server.script(silence);
  const came = server.next();
  const asked = failure(api.request("GET", PODS));
  await came;
  server.freezeConnections();
  // A ping is sent after 5 s, its answer awaited for 8 s.
  clock.advance(5_000);
  clock.advance(8_000);
  await failure(watched.ended);
  await asked;
  expect(await api.request("GET", PODS)).toMatchObject({ kind: "List" });
  expect(server.connections).toBe(2);
});

test("a server that answers pings keeps its watches through silence", async () => {
  const clock = new ManualClock();
  const api = client(clock);
  const watched = watch(api, 600_000);
  await watched.open;
  for (let ping = 0; ping < 5; ping++) {
    clock.advance(5_000);
    // Answered after the ping before it: one connection keeps the order.
    await api.request("GET", PODS);
    clock.advance(7_000);
  }
  server.put(PODS, { metadata: { name: "a", namespace: "x" } });
  await watched.count(1);
});

test("a watch that falls silent ends with an error, and one that hears something does not", async () => {
  const clock = new ManualClock();
  const watched = watch(client(clock), 4_000);
  await watched.open;
  clock.advance(3_000);
  server.bookmark(PODS);
  await watched.count(1);
  clock.advance(3_000);
  server.bookmark(PODS);
  await watched.count(2);
  clock.advance(4_000);
  expect((await failure(watched.ended)).message).toBe(`watch ${PODS}: silent for 4 s`);
});

test("a watch that the server ends resolves, one that it resets throws", async () => {
  const api = client();
  const first = watch(api);
  await first.open;
  server.endWatches(PODS);
  await first.ended;
  const second = watch(api);
  await second.open;
  server.resetWatches(PODS);
  await failure(second.ended);
});

test("a watch that is refused throws with status and reason", async () => {
  server.script(answer(403, { reason: "Forbidden", message: "cannot watch pods" }), isWatch);
  expect(await failure(watch(client()).ended)).toMatchObject({ status: 403, reason: "Forbidden" });
});

test("a watch that is stopped resolves, also before the server has answered", async () => {
  const api = client();
  const running = watch(api);
  await running.open;
  running.stop();
  await running.ended;
  server.script(silence, isWatch);
  const came = server.next();
  const waiting = watch(api);
  await came;
  waiting.stop();
  await waiting.ended;
});

test("half a line is no event", async () => {
  const watched = watch(client());
  await watched.open;
  server.writeToWatches(PODS, '{"type":"ADDED","obj');
  server.endWatches(PODS);
  await watched.ended;
  expect(watched.events).toEqual([]);
});

test("a line that is not JSON ends the watch with an error", async () => {
  const watched = watch(client());
  await watched.open;
  server.writeToWatches(PODS, "<html>\n");
  expect((await failure(watched.ended)).message).toContain("not JSON");
});

test("events are the same however their bytes are cut", async () => {
  const api = client();
  const names = fc.array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(names, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), async (sent, cuts) => {
      const watched = watch(api);
      await watched.open;
      const text = sent
        .map((name) => `${JSON.stringify({ type: "ADDED", object: { metadata: { name } } })}\n`)
        .join("");
      const bytes = Buffer.from(text);
      for (let from = 0, turn = 0; from < bytes.length; turn++) {
        const length = cuts[turn % cuts.length] as number;
        server.writeToWatches(PODS, bytes.subarray(from, from + length));
        from += length;
      }
      await watched.count(sent.length);
      expect(watched.events.map(({ object }) => object.metadata.name)).toEqual(sent);
      watched.stop();
      await watched.ended;
    }),
    { numRuns: 30 },
  );
});

test("a closed client refuses", async () => {
  const api = client();
  await api.request("GET", PODS);
  api.close();
  expect((await failure(api.request("GET", PODS))).message).toContain("closed");
});
