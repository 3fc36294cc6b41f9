/** One `tulle proxy` replaced by another on the same ports, while calls of every protocol come. */
import dgram from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Entrypoint, emptyMeshConfig, type MeshConfig, type ServicePort } from "../src/config/mesh-config.ts";
import { freePorts } from "../src/model/testkit/free-ports.ts";
import { canSharePorts } from "../src/shared-ports/port-sharing.ts";
import { readReport } from "../src/traffic/report-schema.ts";
import { totalTraffic } from "../src/traffic/traffic-report.ts";
import { ProxyHost, type RunningProxy } from "./running-proxy.ts";

const CAN = canSharePorts(process.versions.node);
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** @returns its port */
async function listening(server: net.Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

const webServer = () => listening(http.createServer((_request, response) => response.end("hello")));

async function h2cServer(): Promise<number> {
  const server = http2.createServer((_request, response) => response.end("hello"));
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  const port = await listening(server as unknown as net.Server);
  closing.push(() => {
    for (const session of sessions) session.destroy();
  });
  return port;
}

async function tcpEcho(): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  const port = await listening(server);
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
  });
  return port;
}

async function udpEcho(): Promise<number> {
  const socket = dgram.createSocket("udp4");
  socket.on("message", (bytes, from) => socket.send(bytes, from.port, from.address));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  closing.push(() => socket.close());
  return socket.address().port;
}

interface Mesh {
  readonly host: ProxyHost;
  readonly web: number;
  readonly h2c: number;
  readonly tcp: number;
  readonly udp: number;
}

async function mesh(): Promise<Mesh> {
  const host = await ProxyHost.open();
  closing.push(() => host.close());
  const [web = 0, h2c = 0, tcp = 0, udp = 0] = await freePorts(4);
  const port = (name: string, rest: Partial<ServicePort>, endpoint: number): Record<string, ServicePort> => ({
    [`shop/${name}:80`]: {
      namespace: "shop",
      service: name,
      port: 80,
      trafficType: "http",
      scheme: "http",
      middlewares: {},
      endpoints: { [`127.0.0.1:${endpoint}`]: {} },
      ...rest,
    },
  });
  const entrypoint = (name: string, number: number, transport: "tcp" | "udp"): Record<string, Entrypoint> => ({
    [name]: { address: "127.0.0.1", port: number, transport, servicePort: `shop/${name}:80` },
  });
  const config: MeshConfig = {
    ...emptyMeshConfig(),
    meshDomains: ["traefik.mesh"],
    names: { "shop/web": ["127.0.0.1"] },
    entrypoints: {
      ...entrypoint("web", web, "tcp"),
      ...entrypoint("h2c", h2c, "tcp"),
      ...entrypoint("tcp", tcp, "tcp"),
      ...entrypoint("udp", udp, "udp"),
    },
    servicePorts: {
      ...port("web", {}, await webServer()),
      ...port("h2c", { scheme: "h2c" }, await h2cServer()),
      ...port("tcp", { trafficType: "tcp" }, await tcpEcho()),
      ...port("udp", { trafficType: "udp" }, await udpEcho()),
    },
  };
  host.publish(config);
  return { host, web, h2c, tcp, udp };
}

/** Calls without end, one after the other in each lane, until it is stopped; what fails is told by kind. */
class Load {
  readonly calls = new Map<string, number>();
  readonly failures: string[] = [];
  readonly #lanes: Promise<void>[] = [];
  readonly #enough: (() => void)[] = [];
  #stopped = false;

  add(kind: string, lanes: number, make: () => () => Promise<void>): void {
    this.calls.set(kind, 0);
    for (let lane = 0; lane < lanes; lane++) this.#lanes.push(this.#run(kind, make()));
  }

  /** Until each kind has made as many calls as that from now on. */
  async goesOn(calls: number): Promise<void> {
    const before = new Map(this.calls);
    const isEnough = () => [...this.calls].every(([kind, count]) => count - (before.get(kind) as number) >= calls);
    while (!isEnough()) await new Promise<void>((resolve) => this.#enough.push(resolve));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes);
  }

  async #run(kind: string, call: () => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      await call().catch((error: Error) => this.failures.push(`${kind}: ${error.message}`));
      this.calls.set(kind, (this.calls.get(kind) as number) + 1);
      for (const look of this.#enough.splice(0)) look();
      // What fails at once must not keep others from their turn.
      await nextTurn();
    }
  }
}

async function get(port: number, agent: http.Agent | false): Promise<void> {
  const request = http.get({ host: "127.0.0.1", port, agent });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let text = "";
  for await (const piece of response) text += piece;
  if (response.statusCode !== 200 || text !== "hello") throw new Error(`${response.statusCode} ${text}`);
}

function keepAlive(port: number): () => Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  closing.push(() => agent.destroy());
  return () => get(port, agent);
}

/** A session for as long as it takes streams. */
function multiplexed(port: number): () => Promise<void> {
  let session: http2.ClientHttp2Session | undefined;
  const open = () => {
    const opened = http2.connect(`http://127.0.0.1:${port}`);
    opened.on("goaway", () => {
      if (session === opened) session = undefined;
      opened.close();
    });
    opened.on("error", () => {});
    closing.push(() => opened.destroy());
    return opened;
  };
  const call = async (): Promise<void> => {
    session ??= open();
    const stream = session.request({ ":path": "/" });
    let status = 0;
    let text = "";
    stream.on("response", (fields) => {
      status = fields[":status"] ?? 0;
    });
    try {
      for await (const piece of stream) text += piece;
    } catch (error) {
      // What this client had taken and not sent when GOAWAY came, it refuses itself (RFC 9113 §8.7: it was not sent).
      if (stream.rstCode !== http2.constants.NGHTTP2_REFUSED_STREAM) throw error;
      session = undefined;
      await call();
      return;
    }
    if (status !== 200 || text !== "hello") throw new Error(`${status} ${text}`);
  };
  return call;
}

async function echoed(socket: net.Socket, text: string): Promise<void> {
  socket.write(text);
  let received = "";
  while (received.length < text.length) {
    const [bytes] = (await once(socket, "data")) as [Buffer];
    received += bytes.toString();
  }
  if (received !== text) throw new Error(`echo of ${text}: ${received}`);
}

async function connected(port: number): Promise<net.Socket> {
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
  closing.push(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function newFlow(port: number): Promise<void> {
  const socket = await connected(port);
  await echoed(socket, "here");
  const ended = once(socket, "close");
  socket.end();
  await ended;
}

const DATAGRAM_MS = 5_000;

/** A question and its answer, on one socket for all or on one for each. */
function datagrams(port: number, each: "one socket" | "a socket each"): () => Promise<void> {
  let socket: dgram.Socket | undefined;
  let count = 0;
  return async () => {
    socket ??= dgram.createSocket("udp4");
    const own = socket;
    const text = `${++count}`;
    own.send(text, port, "127.0.0.1");
    const [bytes] = (await once(own, "message", { signal: AbortSignal.timeout(DATAGRAM_MS) })) as [Buffer];
    if (bytes.toString() !== text) throw new Error(`answer to ${text}: ${bytes}`);
    if (each === "one socket") return;
    own.close();
    socket = undefined;
  };
}

/** An A question for web.shop.traefik.mesh. */
const QUESTION = Buffer.from("000101000001000000000000037765620473686f70077472616566696b046d6573680000010001", "hex");

function dnsQuestions(port: number): () => Promise<void> {
  return async () => {
    const socket = dgram.createSocket("udp4");
    socket.send(QUESTION, port, "127.0.0.1");
    const [bytes] = (await once(socket, "message", { signal: AbortSignal.timeout(DATAGRAM_MS) })) as [Buffer];
    socket.close();
    if (bytes.readUInt16BE(6) !== 1) throw new Error(`no answer: ${bytes.toString("hex")}`);
  };
}

/** Whether connections that wait at a socket which closes are another's then; otherwise some may be reset. */
const migrates = () => {
  try {
    return readFileSync("/proc/sys/net/ipv4/tcp_migrate_req", "utf8").trim() === "1";
  } catch {
    return false;
  }
};

describe.skipIf(!CAN)("a proxy that follows another on its ports (Node.js 22.12 or later)", () => {
  let at: Mesh;
  beforeEach(async () => {
    at = await mesh();
  });
  const start = (flags: Record<string, string | number | true> = {}): RunningProxy =>
    at.host.start({ "hand-over": true, workers: 1, "lame-duck": 1, drain: 2, ...flags });
  const json = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).json();
  const statusCode = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;

  test.each([1, 2])(
    "takes over without a failed call, of any protocol, with %i worker(s)",
    { timeout: 120_000 },
    async (workers) => {
      let proxy = start({ workers });
      await at.host.inForceOn(1);
      const load = new Load();
      load.add("keep-alive", 4, () => keepAlive(at.web));
      if (migrates()) load.add("new connection", 2, () => () => get(at.web, false));
      load.add("h2c", 2, () => multiplexed(at.h2c));
      if (migrates()) load.add("tcp", 2, () => () => newFlow(at.tcp));
      load.add("udp", 2, () => datagrams(at.udp, "one socket"));
      load.add("udp caller", 2, () => datagrams(at.udp, "a socket each"));
      load.add("dns", 2, () => dnsQuestions(at.host.ports.dns));
      await load.goesOn(20);
      for (let turn = 0; turn < 2; turn++) {
        const flow = await connected(at.tcp);
        await echoed(flow, "before");
        const next = start({ workers });
        await next.says("took over");
        await proxy.says("another proxy has taken over");
        // The flow is the old one's, and lives for as long as that may drain.
        await echoed(flow, "after");
        flow.end();
        await load.goesOn(20);
        expect(await proxy.ended()).toBe(0);
        await load.goesOn(20);
        proxy = next;
        expect(await statusCode(at.host.ports.health, "/readyz")).toBe(200);
      }
      await load.stop();
      expect(load.failures).toEqual([]);
    },
  );

  test.each([1, 2])(
    "goes on counting where the one before is, and loses no call that it ends with, with %i worker(s)",
    { timeout: 60_000 },
    async (workers) => {
      const counted = async () => totalTraffic(readReport(await json(at.host.ports.admin, "/api/traffic"))).exchanges;
      const sum = (counts: readonly number[]) => counts.reduce((total, each) => total + each, 0);
      const first = start({ workers });
      await at.host.inForceOn(1);
      const load = new Load();
      load.add("keep-alive", 4, () => keepAlive(at.web));
      load.add("h2c", 2, () => multiplexed(at.h2c));
      await load.goesOn(50);
      const before = sum(await counted());
      expect(before).toBeGreaterThan(0);
      const second = start({ workers });
      await second.says("took over");
      expect(sum(await counted())).toBeGreaterThanOrEqual(before);
      await load.goesOn(50);
      await load.stop();
      expect(await first.ended()).toBe(0);
      const made = sum([...load.calls.values()]);
      // The last counts come with the end of the one before, or just after it.
      await expect.poll(counted, { timeout: 10_000 }).toEqual([0, 0, made, 0, 0, 0]);
      expect(load.failures).toEqual([]);
    },
  );

  test("at the same moment as another does so too, and one of them is left in the end", async () => {
    const first = start();
    await at.host.inForceOn(1);
    const both = [start(), start()];
    await Promise.all(both.map((each) => each.says("took over")));
    expect(await first.ended()).toBe(0);
    expect(await Promise.race(both.map((each) => each.ended()))).toBe(0);
    expect(both.filter((each) => !each.hasEnded).length).toBe(1);
    expect(await statusCode(at.host.ports.health, "/readyz")).toBe(200);
    await get(at.web, false);
  });

  test("takes nothing over from another state folder, and ends as the ports of health are taken", async () => {
    const first = start();
    await at.host.inForceOn(1);
    const second = start({ controller: "localhost:1", "state-dir": "/nonexistent" });
    expect(await second.ended()).toBe(1);
    await get(at.web, false);
    expect(first.hasEnded).toBe(false);
  });

  test("that is told to stop before it has a configuration leaves the one before alone", async () => {
    const first = start();
    await at.host.inForceOn(1);
    await at.host.forgetSaved();
    const second = start({ controller: "localhost:1" });
    await second.says("another proxy has the ports");
    second.process.kill("SIGTERM");
    expect(await second.ended()).toBe(0);
    await get(at.web, false);
    expect(await statusCode(at.host.ports.health, "/readyz")).toBe(200);
    expect(first.log).not.toContain("taken over");
    // Another may still follow it.
    const third = start();
    await third.says("took over");
    expect(await first.ended()).toBe(0);
  });

  test("that cannot open a port of its own gives back what it was given, and ends", async () => {
    const first = start();
    await at.host.inForceOn(1);
    const taken = await listening(net.createServer());
    const second = start({ "metrics-port": taken });
    expect(await second.ended()).toBe(1);
    await first.says("the ports are taken back");
    expect(await statusCode(at.host.ports.health, "/readyz")).toBe(200);
    await get(at.web, false);
    const third = start();
    await third.says("took over");
    expect(await first.ended()).toBe(0);
  });

  test("has the ports as soon as the one before has ended, with a configuration or without", async () => {
    const first = start();
    await at.host.inForceOn(1);
    await at.host.forgetSaved();
    const second = start({ controller: "localhost:1" });
    await second.says("another proxy has the ports");
    first.process.kill("SIGTERM");
    expect(await first.ended()).toBe(0);
    await second.says("took over");
    expect(await statusCode(at.host.ports.health, "/healthz")).toBe(200);
    expect(await statusCode(at.host.ports.health, "/readyz")).toBe(503);
  });

  test("is given the ports by one that is told to stop meanwhile", async () => {
    const first = start({ "lame-duck": 5 });
    await at.host.inForceOn(1);
    first.process.kill("SIGTERM");
    await first.says("proxy draining");
    const second = start();
    await second.says("took over");
    expect(first.hasEnded).toBe(false);
    expect(await statusCode(at.host.ports.health, "/readyz")).toBe(200);
    expect(await first.ended()).toBe(0);
    await get(at.web, false);
  });

  test("goes on by itself when the one before is killed", async () => {
    const first = start();
    await at.host.inForceOn(1);
    await first.kill();
    const second = start();
    await second.says("the first configuration is in force");
    await get(at.web, false);
    expect(await statusCode(at.host.ports.health, "/readyz")).toBe(200);
    second.process.kill("SIGTERM");
    expect(await second.ended()).toBe(0);
  });
});

test.skipIf(CAN)("a runtime that cannot share ports refuses to promise it", async () => {
  const { host } = await mesh();
  const proxy = host.start({ "hand-over": true });
  expect(await proxy.ended()).toBe(2);
  expect(proxy.log).toContain("--hand-over takes Node.js 22.12");
});
