/**
 * One HTTP engine with many lanes: each a service port of its own between a raw caller and a raw endpoint, so that many
 * cases run at once and every byte is known to be of the case that runs in its lane.
 */
import { once } from "node:events";
import net from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { emptyMeshConfig, type ServicePort } from "../../../../config/mesh-config.ts";
import { systemClock } from "../../../../model/clock.ts";
import { silentLog } from "../../../../telemetry/log.ts";
import { MeshRouteTable } from "../../../router/route-table.ts";
import { resetSocket, wasReset } from "../../../socket/reset-socket.ts";
import { acceptShared } from "../../../socket/shared-read.ts";
import { SocketBuffers } from "../../../socket/socket-buffers.ts";
import { HttpEngine } from "../../http-engine.ts";
import { RawCaller } from "../../testkit/http-fixture.ts";
import { splitRequests } from "./reference.ts";

/** Follows each case on the same connection: what became of the connection shows in whether this is answered. */
export const NEXT = "GET /next HTTP/1.1\r\nHost: next\r\nConnection: close\r\n\r\n";
export const NEXT_FORWARDED = "GET /next HTTP/1.1\r\nHost: next\r\n\r\n";
const NEXT_ENDPOINT = "HTTP/1.1 299 Next\r\nContent-Length: 0\r\n\r\n";
const NEXT_ANSWER = "HTTP/1.1 299 Next\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/** What the proxy adds to every request; a test of its own looks at that. */
const FORWARDING = new RegExp(
  ["For: 127\\.0\\.0\\.1", "Host: [^\\r]*", "Port: 80", "Proto: http", "Server: proxy"]
    .map((field) => `X-Forwarded-${field}\\r\\n`)
    .concat("X-Real-Ip: 127\\.0\\.0\\.1\\r\\n")
    .join(""),
  "g",
);
/** A case that hangs is told by name rather than by the runner's time-out. */
const STUCK_MS = 30_000;

/** What a case came to, as caller and endpoint see it. */
export interface Outcome {
  /** All that the caller got, less the answer to NEXT. */
  readonly answer: string;
  /** How its connection ended: the next request was served, or it was closed in good order, or broken. */
  readonly caller: "kept" | "closed" | "broken" | "stuck";
  /** All that the endpoint got, less the forwarding fields and the next request. */
  readonly endpoint: string;
  /** The endpoint's connection was ended within a request. */
  readonly cut: boolean;
  /** The next request came to the endpoint on the connection of the case. */
  readonly reused: boolean;
}

/** An endpoint's answer and what it does after it. */
export interface Script {
  readonly pieces: readonly string[];
  readonly after: "waits" | "ends" | "resets";
}

interface EndpointConnection {
  readonly socket: net.Socket;
  unread: string;
  closed: boolean;
}

export class Lane {
  readonly port: number;
  readonly #endpoint: net.Server;
  readonly #proxy: net.Server;
  readonly #connections = new Set<EndpointConnection>();
  #script: Script | undefined;
  #received = "";
  #servedOn: EndpointConnection[] = [];
  #cut = false;
  #settled: () => void = () => {};
  #played: () => void = () => {};

  constructor(endpoint: net.Server, proxy: net.Server) {
    this.#endpoint = endpoint;
    this.#proxy = proxy;
    this.port = (proxy.address() as net.AddressInfo).port;
    endpoint.on("connection", (socket) => this.#accept(socket));
  }

  close(): void {
    for (const { socket } of this.#connections) socket.destroy();
    this.#endpoint.close();
    this.#proxy.close();
  }

  /**
   * @param pieces each is a write of its own
   * @param halfCloses the caller ends its side after them; otherwise another request follows
   * @param script the endpoint's answer to the first request, played to its end before another request follows; OK if
   *   left out
   */
  async run(pieces: readonly string[], halfCloses: boolean, script?: Script): Promise<Outcome> {
    this.#script = script;
    this.#received = "";
    this.#servedOn = [];
    this.#cut = false;
    const played = new Promise<void>((resolve) => {
      this.#played = resolve;
    });
    const caller = await this.#connect();
    await writePieces(caller.socket, pieces);
    if (script !== undefined) await inTime(played);
    if (halfCloses) caller.socket.end();
    else caller.send(NEXT);
    const stuck = !(await inTime(caller.end()));
    const kept = caller.received.endsWith(NEXT_ANSWER);
    if (!kept && !stuck) await this.#settle();
    const broken = caller.error !== undefined || (!caller.closed && wasReset(caller.socket));
    const received = this.#received.replace(FORWARDING, "");
    const [first, last] = [this.#servedOn[0], this.#servedOn.at(-1)];
    caller.socket.destroy();
    return {
      answer: kept ? caller.received.slice(0, -NEXT_ANSWER.length) : caller.received,
      caller: stuck ? "stuck" : kept ? "kept" : broken ? "broken" : "closed",
      endpoint: received.endsWith(NEXT_FORWARDED) ? received.slice(0, -NEXT_FORWARDED.length) : received,
      cut: this.#cut,
      reused: this.#servedOn.length > 1 && first === last,
    };
  }

  async #connect(): Promise<RawCaller> {
    const { port } = this;
    const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    const caller = new RawCaller(socket);
    await once(socket, "connect");
    return caller;
  }

  /** What the proxy wrote before it answered has arrived when a later request was served; what it cut must end too. */
  async #settle(): Promise<void> {
    const probe = await this.#connect();
    const before = this.#received;
    const servedOn = [...this.#servedOn];
    probe.send(NEXT);
    await inTime(probe.end());
    probe.socket.destroy();
    this.#servedOn = servedOn;
    const tail = this.#received.slice(before.length);
    this.#received = before + tail.slice(0, tail.length - lastRequestLength(tail));
    const open = () => [...this.#connections].some((each) => each.unread !== "" && !each.closed);
    if (!open()) return;
    await inTime(
      new Promise<void>((resolve) => {
        this.#settled = () => (open() ? undefined : resolve());
      }),
    );
  }

  #accept(socket: net.Socket): void {
    const connection = { socket, unread: "", closed: false };
    this.#connections.add(connection);
    const gone = () => {
      if (connection.unread !== "") this.#cut = true;
      connection.closed = true;
      connection.unread = "";
      this.#connections.delete(connection);
      socket.destroy();
      this.#settled();
    };
    socket.on("data", (bytes) => this.#onData(connection, bytes.toString("latin1")));
    socket.on("error", gone);
    socket.on("end", gone);
    socket.on("close", gone);
  }

  #onData(connection: EndpointConnection, text: string): void {
    this.#received += text;
    const { requests, rest } = splitRequests(connection.unread + text);
    connection.unread = rest;
    for (const request of requests) {
      this.#servedOn.push(connection);
      if (request.startsWith("GET /next ")) connection.socket.write(NEXT_ENDPOINT);
      else if (this.#script === undefined) connection.socket.write(OK);
      else void play(connection.socket, this.#script).then(this.#played);
    }
  }
}

export class Lanes {
  readonly #engine: HttpEngine;
  readonly #lanes: Lane[];
  readonly #free: Lane[];

  private constructor(engine: HttpEngine, lanes: Lane[]) {
    this.#engine = engine;
    this.#lanes = lanes;
    this.#free = [...lanes];
  }

  static async open(count: number): Promise<Lanes> {
    const endpoints = await Promise.all(Array.from({ length: count }, () => listen()));
    const table = new MeshRouteTable({ clock: systemClock, random: () => 0.5, log: silentLog });
    const ports = endpoints.map((endpoint, lane): [string, ServicePort] => [`ns/svc-${lane}:80`, portOf(endpoint)]);
    table.apply({ ...emptyMeshConfig(), servicePorts: Object.fromEntries(ports) });
    const buffers = new SocketBuffers();
    const engine = new HttpEngine({
      buffers,
      table,
      clock: systemClock,
      log: silentLog,
      server: "proxy",
      connectTimeoutMs: 5000,
      // No case is about time, and a head of 64 KiB in single bytes takes a busy machine seconds.
      limits: { headTimeoutMs: 60_000, lingerMs: 60_000 },
    });
    const lanes = await Promise.all(
      endpoints.map(async (endpoint, lane) => {
        const entry = table.servicePort(`ns/svc-${lane}:80`);
        const proxy = await listen(
          (socket) => entry !== undefined && engine.accept(acceptShared(socket, buffers.read), entry),
        );
        return new Lane(endpoint, proxy);
      }),
    );
    return new Lanes(engine, lanes);
  }

  /** Runs the jobs, as many at once as there are lanes. @returns what each came to, in their order */
  async all<Job, Result>(jobs: readonly Job[], run: (lane: Lane, job: Job) => Promise<Result>): Promise<Result[]> {
    const results: Result[] = [];
    let next = 0;
    const work = async (lane: Lane) => {
      for (let at = next++; at < jobs.length; at = next++) results[at] = await run(lane, jobs[at] as Job);
    };
    await Promise.all(this.#free.map(work));
    return results;
  }

  async close(): Promise<void> {
    for (const lane of this.#lanes) lane.close();
    await this.#engine.close(0);
  }
}

/** @returns the text in one piece, in single bytes, and cut at places that follow from the text */
export function cutsOf(text: string): readonly (readonly string[])[] {
  // A big text is in big pieces: its length is what it is about.
  const step = Math.ceil(text.length / 600) || 1;
  const single = text.match(new RegExp(`[\\s\\S]{1,${step}}`, "g")) ?? [];
  return [[text], single, cutBySeed(text, 1), cutBySeed(text, 2)];
}

function cutBySeed(text: string, seed: number): string[] {
  const pieces: string[] = [];
  let state = seed * 7919 + text.length;
  let from = 0;
  while (from < text.length) {
    state = (state * 1103515245 + 12345) % 2147483648;
    const length = 1 + (state % Math.max(2, Math.ceil(text.length / 3)));
    pieces.push(text.slice(from, from + length));
    from += length;
  }
  return pieces;
}

function portOf(endpoint: net.Server): ServicePort {
  const { port } = endpoint.address() as net.AddressInfo;
  return {
    namespace: "ns",
    service: "svc",
    port: 80,
    trafficType: "http",
    scheme: "http",
    middlewares: {},
    endpoints: { [`127.0.0.1:${port}`]: {} },
  };
}

async function listen(onConnection: (socket: net.Socket) => void = () => {}): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, onConnection);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** A turn of the event loop between two pieces lets the other side read each by itself. */
async function writePieces(socket: net.Socket, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    socket.write(piece, "latin1");
    await nextTurn();
  }
}

async function play(socket: net.Socket, { pieces, after }: Script): Promise<void> {
  await writePieces(socket, pieces);
  if (after === "ends") socket.end();
  else if (after === "resets") resetSocket(socket);
  // What was written last is read by the other side as well.
  await nextTurn();
  await nextTurn();
}

function lastRequestLength(text: string): number {
  const at = text.lastIndexOf("GET /next ");
  return at < 0 ? 0 : text.length - at;
}

/** @returns false where it did not come about */
async function inTime(done: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), STUCK_MS);
  });
  const inTime = await Promise.race([done.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}
