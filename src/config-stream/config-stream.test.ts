import { getEventListeners } from "node:events";
import type net from "node:net";
import tls from "node:tls";
import { afterEach, expect, test } from "vitest";
import { ConfigWriter } from "../config/changes.ts";
import { emptyMeshConfig, type MeshConfig } from "../config/mesh-config.ts";
import { LiveSnapshot, type Snapshot, seal } from "../config/snapshot.ts";
import { LineSplitter } from "../lines/line-splitter.ts";
import { CERTIFICATE, KEY } from "../model/testkit/certificate.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import type { Answerer } from "./ask-channel.ts";
import { askPeer } from "./ask-peer.ts";
import { ConfigClient } from "./config-client.ts";
import { ConfigServer, type ProxyStatus } from "./config-server.ts";
import { ALPN, PING_MS, SILENCE_MS } from "./stream-messages.ts";

const snapshot = (names: MeshConfig["names"]): Snapshot => seal({ ...emptyMeshConfig(), names });
const FIRST = snapshot({ "a/a": ["10.0.0.1"] });
const SECOND = snapshot({ "a/a": ["10.0.0.1"], "b/b": ["10.0.0.2"] });
const THIRD = snapshot({ "b/b": ["10.0.0.2"] });

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Served {
  readonly server: ConfigServer;
  readonly port: number;
  readonly clock: ManualClock;
  /** The next status that a proxy brings about and that fits. */
  next(fits: (status: ProxyStatus) => boolean): Promise<ProxyStatus>;
}

async function serve(port = 0, tokenReviewed: Promise<void> = Promise.resolve(), answerer?: Answerer): Promise<Served> {
  const clock = new ManualClock();
  const waiting = new Set<{ fits: (status: ProxyStatus) => boolean; resolve: (status: ProxyStatus) => void }>();
  const server = new ConfigServer({
    cert: CERTIFICATE,
    key: KEY,
    clock,
    log: silentLog,
    ...(answerer === undefined ? {} : { answerer }),
    async authenticate(token) {
      await tokenReviewed;
      if (!token.startsWith("token-of-")) throw new Error("the token is not valid");
      const pod = token.slice("token-of-".length);
      return { role: pod.startsWith("controller") ? "controller" : "proxy", pod, node: "n1" };
    },
    onStatus: (status) => {
      for (const each of waiting)
        if (each.fits(status)) {
          waiting.delete(each);
          each.resolve(status);
        }
    },
  });
  const bound = await server.listen("127.0.0.1", port);
  cleanups.push(() => server.close());
  return {
    server,
    port: bound,
    clock,
    next: (fits) => new Promise((resolve) => waiting.add({ fits, resolve })),
  };
}

/** The far end of a connection, spoken by hand. */
interface ByHand {
  readonly socket: net.Socket;
  send(message: object): void;
  /** The next message that is no ping. */
  next(): Promise<Record<string, unknown>>;
}

function byHand(socket: net.Socket): ByHand {
  const lines = new LineSplitter(1024 * 1024);
  const heard: Record<string, unknown>[] = [];
  const waiting: ((message: Record<string, unknown>) => void)[] = [];
  socket.on("data", (bytes: Buffer) =>
    lines.push(bytes, (line) => {
      const message = JSON.parse(line) as Record<string, unknown>;
      if (message["type"] === "ping") return;
      const resolve = waiting.shift();
      if (resolve === undefined) heard.push(message);
      else resolve(message);
    }),
  );
  socket.on("error", () => {});
  cleanups.push(() => {
    socket.destroy();
  });
  return {
    socket,
    send: (message) => socket.write(`${JSON.stringify(message)}\n`),
    async next() {
      return heard.shift() ?? new Promise((resolve) => waiting.push(resolve));
    },
  };
}

const proxyByHand = (port: number): ByHand =>
  byHand(tls.connect({ host: "127.0.0.1", port, ca: CERTIFICATE, ALPNProtocols: [ALPN] }));

interface Followed {
  readonly client: ConfigClient;
  readonly applied: string[];
  /** Whether anything may have changed, of each of these. */
  readonly whole: boolean[];
  readonly clock: ManualClock;
  readonly signal: AbortSignal;
  readonly stop: () => Promise<void>;
  /** Resolves when the connection is up, or was lost. */
  connected(up: boolean): Promise<void>;
  holdBack: Promise<void>;
}

interface FollowOptions {
  readonly token?: string;
  readonly initial?: Snapshot;
  readonly serverName?: string;
  /** Entrypoints that cannot be opened. */
  readonly closed?: readonly string[];
  readonly answerer?: Answerer;
  readonly standsBy?: () => boolean;
}

function follow(port: number, options: FollowOptions = {}): Followed {
  const controller = new AbortController();
  const clock = new ManualClock();
  const waiting: { up: boolean; resolve: () => void }[] = [];
  const { signal } = controller;
  const followed = { applied: [] as string[], whole: [] as boolean[], clock, signal, holdBack: Promise.resolve() };
  const client = new ConfigClient({
    host: "127.0.0.1",
    port,
    serverName: options.serverName ?? "tulle-controller.test",
    ca: async () => CERTIFICATE,
    token: async () => options.token ?? "token-of-p1",
    clock,
    random: () => 0.5,
    log: silentLog,
    signal,
    ...(options.initial === undefined ? {} : { initial: new LiveSnapshot(structuredClone(options.initial.config)) }),
    ...(options.answerer === undefined ? {} : { answerer: options.answerer }),
    ...(options.standsBy === undefined ? {} : { standsBy: options.standsBy }),
    async apply({ version }, changes) {
      await followed.holdBack;
      followed.applied.push(version);
      followed.whole.push(changes === undefined);
      return options.closed ?? [];
    },
    onConnected: (up) => {
      for (const each of waiting.splice(0))
        if (each.up === up) each.resolve();
        else waiting.push(each);
    },
  });
  const run = client.run();
  const stop = async () => {
    controller.abort();
    await run;
  };
  cleanups.push(stop);
  return Object.assign(followed, {
    client,
    stop,
    connected: (up: boolean) => new Promise<void>((resolve) => waiting.push({ up, resolve })),
  });
}

const has = (version: string) => (status: ProxyStatus) => status.version === version;

test("a proxy gets the whole configuration, then what changes, and acknowledges each", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  const first = next(has(FIRST.version));
  const proxy = follow(port);
  expect(await first).toMatchObject({ pod: "p1", node: "n1", version: FIRST.version, sequence: 1, error: "" });
  const second = next(has(SECOND.version));
  server.publish(SECOND);
  expect((await second).sequence).toBe(2);
  expect(proxy.applied).toEqual([FIRST.version, SECOND.version]);
  expect(proxy.whole).toEqual([true, false]);
});

test("a proxy that comes long after a configuration was published has no lag for that", async () => {
  const { server, port, clock, next } = await serve();
  server.publish(FIRST);
  clock.advance(3_600_000);
  const first = next(has(FIRST.version));
  follow(port);
  expect(await first).toMatchObject({ lagMs: 0 });
});

test("what is published while one is under way is merged into the next", async () => {
  const { server, port, next } = await serve();
  const proxy = follow(port);
  let go = () => {};
  proxy.holdBack = new Promise((resolve) => {
    go = resolve;
  });
  const connected = proxy.connected(true);
  server.publish(FIRST);
  await connected;
  server.publish(SECOND);
  server.publish(THIRD);
  const last = next(has(THIRD.version));
  go();
  await last;
  expect(proxy.applied).toEqual([FIRST.version, THIRD.version]);
});

test("a proxy that comes back with a version that is remembered gets no more than the difference", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  server.publish(SECOND);
  const done = next(has(SECOND.version));
  const proxy = follow(port, { initial: FIRST });
  await done;
  expect(proxy.applied).toEqual([SECOND.version]);
});

test("a proxy that has what is published already is known to have it", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  const done = next(has(FIRST.version));
  follow(port, { initial: FIRST });
  expect((await done).sequence).toBe(1);
});

test("a configuration that cannot be read is refused, the one before stays, and the next comes whole", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  const first = next(has(FIRST.version));
  const proxy = follow(port);
  await first;
  const refusal = next(({ error }) => error !== "");
  server.publish({ version: "of-another-content", config: SECOND.config });
  expect((await refusal).error).toContain("of-another-content");
  const third = next(has(THIRD.version));
  server.publish(THIRD);
  await third;
  expect(proxy.applied).toEqual([FIRST.version, THIRD.version]);
});

test("a proxy that comes back to a configuration that was published anew follows what comes after it", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  const known = next(has(FIRST.version));
  const before = follow(port, { initial: FIRST });
  await known;
  await before.stop();
  while (server.status().length > 0) await new Promise((resolve) => setImmediate(resolve));
  server.publish(SECOND);
  server.publish(FIRST);
  const back = next(({ sequence }) => sequence === 3);
  follow(port, { initial: FIRST });
  await back;
  const third = next(has(THIRD.version));
  server.publish(THIRD);
  expect((await third).sequence).toBe(4);
});

test("a proxy that refuses a difference gets the whole at once, and that once only", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  server.publish(SECOND);
  const proxy = proxyByHand(port);
  proxy.send({ type: "hello", token: "token-of-p1", version: FIRST.version });
  const { version } = SECOND;
  expect(await proxy.next()).toMatchObject({ type: "delta", sequence: 2, from: FIRST.version, version });
  proxy.send({ type: "nack", sequence: 2, version, error: "it does not fit" });
  expect(await proxy.next()).toMatchObject({ type: "full", sequence: 2, version });
  const refused = next(({ error }) => error === "nor does this");
  proxy.send({ type: "nack", sequence: 2, version, error: "nor does this" });
  await refused;
  server.publish(THIRD);
  expect(await proxy.next()).toMatchObject({ type: "full", sequence: 3, version: THIRD.version });
});

test("a proxy says hello with what is in force, however long that took", async () => {
  const calls: ((controller: ByHand) => void)[] = [];
  const server = tls.createServer({ cert: CERTIFICATE, key: KEY, ALPNProtocols: [ALPN] }, (socket) =>
    calls.shift()?.(byHand(socket)),
  );
  const call = () => new Promise<ByHand>((resolve) => calls.push(resolve));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const [first, second] = [call(), call()];
  const proxy = follow((server.address() as net.AddressInfo).port);
  let go = () => {};
  proxy.holdBack = new Promise((resolve) => {
    go = resolve;
  });
  const controller = await first;
  await controller.next();
  const up = proxy.connected(true);
  controller.send({ type: "full", sequence: 1, ...FIRST });
  await up;
  const closed = new Promise((resolve) => controller.socket.once("close", resolve));
  controller.socket.end();
  await closed;
  // Time in which it could come again, had it not to finish first.
  for (let turn = 0; turn < 20; turn++) {
    proxy.clock.advance(50);
    await new Promise((resolve) => setImmediate(resolve));
  }
  go();
  await advanceUntil(proxy.clock, 50, second);
  expect(await (await second).next()).toMatchObject({ type: "hello", version: FIRST.version });
});

test("a proxy that comes again and again leaves nothing behind each time", async () => {
  const { server, port } = await serve();
  await server.close();
  const proxy = follow(port);
  for (let round = 0; round < 5; round++) await advanceUntil(proxy.clock, 50, proxy.connected(false));
  // The pause that it makes now.
  expect(getEventListeners(proxy.signal, "abort").length).toBe(1);
});

test("a proxy tells later that an entrypoint which could not be opened is open", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  const proxy = follow(port, { closed: ["[::]:10000/tcp"] });
  expect((await next(has(FIRST.version))).closedEntrypoints).toEqual(["[::]:10000/tcp"]);
  const opened = next(({ closedEntrypoints }) => closedEntrypoints.length === 0);
  proxy.client.report([]);
  expect(await opened).toMatchObject({ version: FIRST.version, sequence: 1 });
});

test("a proxy says whether it stands by: when it comes, and when that changes", async () => {
  const { server, port, next } = await serve();
  let standsBy = true;
  const proxy = follow(port, { standsBy: () => standsBy, answerer: () => () => {} });
  const came = new Promise<boolean>((resolve) => server.follow((each) => resolve(each.standsBy)));
  expect(await came).toBe(true);
  server.publish(FIRST);
  expect((await next(has(FIRST.version))).standsBy).toBe(true);
  const inCharge = next(has(FIRST.version));
  standsBy = false;
  proxy.client.report([]);
  expect((await inCharge).standsBy).toBe(false);
  expect(server.askable()[0]?.standsBy).toBe(false);
});

test("a proxy may report more than this controller knows", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  const proxy = proxyByHand(port);
  proxy.send({ type: "hello", token: "token-of-p1", zone: "a" });
  expect(await proxy.next()).toMatchObject({ type: "full", sequence: 1 });
  const acknowledged = next(has(FIRST.version));
  proxy.send({ type: "ack", sequence: 1, version: FIRST.version, openMs: 3 });
  await acknowledged;
});

test("a proxy that goes while its token is reviewed leaves nothing behind", async () => {
  let reviewed = () => {};
  const review = new Promise<void>((resolve) => {
    reviewed = resolve;
  });
  const { server, port, clock } = await serve(0, review);
  server.publish(FIRST);
  const proxy = proxyByHand(port);
  await new Promise((resolve) => proxy.socket.once("secureConnect", resolve));
  proxy.send({ type: "hello", token: "token-of-p1" });
  await new Promise<void>((resolve) => proxy.socket.end(resolve));
  await server.close();
  reviewed();
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(SILENCE_MS);
  expect(clock.pending).toBe(0);
});

test("a caller without a valid token is told so and gets nothing", async () => {
  const { server, port } = await serve();
  server.publish(FIRST);
  const proxy = follow(port, { token: "stolen" });
  await proxy.connected(false);
  expect(proxy.applied).toEqual([]);
  expect(server.status()).toEqual([]);
});

test("a controller that is suspended sends its proxies away and refuses others, until it goes on", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  const first = next(has(FIRST.version));
  const proxy = follow(port);
  await first;
  const gone = proxy.connected(false);
  server.suspend("it sees nothing");
  await gone;
  const other = follow(port, { token: "token-of-p2" });
  await other.connected(false);
  expect([other.applied, server.status()]).toEqual([[], []]);
  server.suspend("");
  const back = next(({ pod }) => pod === "p2");
  other.clock.advance(60_000);
  await back;
  expect(other.applied).toEqual([FIRST.version]);
});

test("a controller whose certificate names another is not believed", async () => {
  const { server, port } = await serve();
  server.publish(FIRST);
  const proxy = follow(port, { serverName: "somebody-else.test" });
  await proxy.connected(false);
  expect(proxy.applied).toEqual([]);
});

test("a proxy goes on without its controller, and follows again when one is back", async () => {
  const before = await serve();
  before.server.publish(FIRST);
  const first = before.next(has(FIRST.version));
  const proxy = follow(before.port);
  await first;
  const lost = proxy.connected(false);
  await before.server.close();
  await lost;
  expect(proxy.applied).toEqual([FIRST.version]);
  const after = await serve(before.port);
  after.server.publish(SECOND);
  const second = after.next(has(SECOND.version));
  await advanceUntil(proxy.clock, 50, second);
  expect(proxy.applied).toEqual([FIRST.version, SECOND.version]);
});

test("both sides give up a peer that has fallen silent", async () => {
  const { server, port, clock, next } = await serve();
  server.publish(FIRST);
  const first = next(has(FIRST.version));
  const proxy = follow(port);
  await first;
  const lost = proxy.connected(false);
  // The proxy's clock stands still, so it says nothing.
  await clock.advance(SILENCE_MS + PING_MS);
  await lost;
  expect(server.status()).toEqual([]);
});

test("what is no message of ours ends the connection with a reason", async () => {
  const { port } = await serve();
  for (const line of [
    "not json",
    '{"type":"ack","sequence":1,"version":"x"}',
    '{"type":"hello"}',
    "x".repeat(70_000),
  ]) {
    const socket = tls.connect({ host: "127.0.0.1", port, ca: CERTIFICATE, ALPNProtocols: [ALPN] });
    socket.write(`${line}\n`);
    const text = await new Promise<string>((resolve) => {
      let all = "";
      socket.on("data", (bytes) => {
        all += bytes;
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(all));
    });
    expect(text).toContain('"type":"refused"');
  }
});

/** Moves the clock on until the promise is settled. */
async function advanceUntil(clock: ManualClock, stepMs: number, settled: Promise<unknown>): Promise<void> {
  let done = false;
  void settled.finally(() => {
    done = true;
  });
  while (!done) {
    await clock.advance(stepMs);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Says the path that it is asked for. */
const echo: Answerer = (path, output) => {
  output.write(`asked for ${path}`);
  output.end(200);
  return () => {};
};

/** What came, and the status that ended it. */
function answer(ask: (reader: { onText(text: string): void; onEnd(status: number): void }) => unknown) {
  let text = "";
  return new Promise<{ text: string; status: number }>((resolve) =>
    ask({
      onText: (piece) => {
        text += piece;
      },
      onEnd: (status) => resolve({ text, status }),
    }),
  );
}

test("a proxy that answers can be asked, also while a configuration is not in force yet", async () => {
  const { server, port } = await serve();
  const proxy = follow(port, { answerer: echo });
  let go = () => {};
  proxy.holdBack = new Promise((resolve) => {
    go = resolve;
  });
  const connected = proxy.connected(true);
  server.publish(FIRST);
  await connected;
  const [askable] = server.askable();
  expect(askable?.pod).toBe("p1");
  const said = await answer((reader) => askable?.ask("/api/traffic", reader));
  expect(said).toEqual({ text: "asked for /api/traffic", status: 200 });
  expect(proxy.applied).toEqual([]);
  go();
});

test("who follows the proxies hears of those that are here and of those that come", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  const first = next(({ pod }) => pod === "p1");
  follow(port, { answerer: echo });
  await first;
  const met: string[] = [];
  const leave = server.follow(({ pod }) => met.push(pod));
  const second = next(({ pod }) => pod === "p2");
  follow(port, { answerer: echo, token: "token-of-p2" });
  await second;
  leave();
  const third = next(({ pod }) => pod === "p3");
  follow(port, { answerer: echo, token: "token-of-p3" });
  await third;
  expect(met).toEqual(["p1", "p2"]);
});

test("a question ends without an answer when its proxy goes", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  const here = next(has(FIRST.version));
  const { stop } = follow(port, { answerer: () => () => {} });
  await here;
  const said = answer((reader) => server.askable()[0]?.ask("/api/tap", reader));
  await stop();
  expect(await said).toEqual({ text: "", status: 0 });
});

test("another controller asks and gets no configuration; a proxy may not ask", async () => {
  const { server, port, clock } = await serve(0, undefined, echo);
  server.publish(FIRST);
  const place = { host: "127.0.0.1", port, serverName: "tulle-controller.test", ca: CERTIFICATE };
  const ask = (token: string) => answer((reader) => askPeer({ ...place, token }, clock, "/api/traffic", reader));
  expect(await ask("token-of-controller")).toEqual({ text: "asked for /api/traffic", status: 200 });
  expect(await ask("token-of-p1")).toEqual({ text: "", status: 404 });
  expect(await ask("no token")).toEqual({ text: "", status: 0 });
  expect(server.status()).toEqual([]);
});

test("a question that comes while its asker's token is looked at is answered after that", async () => {
  const { port } = await serve(0, undefined, echo);
  const hello = JSON.stringify({ type: "hello", token: "token-of-controller" });
  const ask = JSON.stringify({ type: "ask", id: 1, path: "/api/traffic" });
  const peer = proxyByHand(port);
  // In one piece, so that both are there before anybody can have looked at the token.
  peer.socket.write(`${hello}\n${ask}\n`);
  expect(await peer.next()).toEqual({ type: "answer", id: 1, text: "asked for /api/traffic" });
  const early = proxyByHand(port);
  early.socket.write(`${ask}\n`);
  expect(await early.next()).toMatchObject({ type: "refused", reason: "the first message must be a hello" });
});

test("what changes in place is sent as what it is then, to a slow proxy as one difference", async () => {
  const { server, port, next } = await serve();
  const snapshot = new LiveSnapshot({ ...emptyMeshConfig(), names: { "n/a": ["127.3.0.1"], "n/b": ["127.3.0.2"] } });
  const writer = new ConfigWriter(snapshot.config);
  const publish = (name: string, addresses: string[] | undefined) => {
    writer.put("names", name, addresses);
    const changes = writer.take();
    snapshot.noteChanges(changes);
    server.publish(snapshot, changes);
  };
  server.publish(snapshot);
  const first = next(has(snapshot.version));
  const proxy = follow(port);
  await first;
  const slow = next(has(snapshot.version));
  publish("n/c", ["127.3.0.3"]);
  publish("n/a", undefined);
  publish("n/a", ["127.3.0.4"]);
  const last = next(has(snapshot.version));
  expect(await Promise.race([slow.then(() => "before"), last.then(() => "last")])).toBe("last");
  expect(proxy.applied).toHaveLength(3);
  expect(proxy.applied.at(-1)).toBe(snapshot.version);
});

test("a configuration that could not be put in force comes again, whole", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  const first = next(has(FIRST.version));
  const proxy = follow(port);
  await first;
  const failing = Promise.reject(new Error("a port is taken"));
  failing.catch(() => {});
  proxy.holdBack = failing;
  const offline = proxy.connected(false);
  server.publish(SECOND);
  await offline;
  proxy.holdBack = Promise.resolve();
  const second = next(has(SECOND.version));
  proxy.clock.advance(1_000);
  await second;
  expect(proxy.applied).toEqual([FIRST.version, SECOND.version]);
  expect(proxy.whole).toEqual([true, true]);
});
