/** Both ends of a config stream, and either spoken by hand; what a test opens is closed when it is over. */
import type net from "node:net";
import tls from "node:tls";
import { onTestFinished } from "vitest";
import { emptyMeshConfig, type MeshConfig } from "../../config/mesh-config.ts";
import { LiveSnapshot, type Snapshot, seal } from "../../config/snapshot.ts";
import { LineSplitter } from "../../lines/line-splitter.ts";
import { CERTIFICATE, KEY } from "../../model/testkit/certificate.ts";
import { freePort } from "../../model/testkit/free-ports.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { silentLog } from "../../telemetry/log.ts";
import type { Answerer } from "../ask-channel.ts";
import { ConfigClient } from "../config-client.ts";
import { ConfigServer } from "../config-server.ts";
import { ALPN } from "../stream-messages.ts";
import type { ProxyStatus } from "../subscriber.ts";

const snapshot = (names: MeshConfig["names"]): Snapshot => seal({ ...emptyMeshConfig(), names });
export const FIRST = snapshot({ "a/a": ["10.0.0.1"] });
export const SECOND = snapshot({ "a/a": ["10.0.0.1"], "b/b": ["10.0.0.2"] });
export const THIRD = snapshot({ "b/b": ["10.0.0.2"] });

/** Whose certificate it is. */
export const SERVER_NAME = "tulle-controller.test";

export interface ServeOptions {
  /** Of one that comes back; nobody else gets it while it is away. */
  readonly port?: number;
  /** No token is known to be valid before that resolves. */
  readonly tokenReviewed?: Promise<void>;
  readonly answerer?: Answerer;
}

export interface Served {
  readonly server: ConfigServer;
  readonly port: number;
  readonly clock: ManualClock;
  /** The next status that a proxy brings about and that fits. */
  next(fits: (status: ProxyStatus) => boolean): Promise<ProxyStatus>;
  /** The next status of a proxy that has it in force. */
  inForce(snapshot: Snapshot): Promise<ProxyStatus>;
}

/** A controller, which knows who comes by tokens as `token-of-p1`, and another controller by `token-of-controller`. */
export async function serve({ port, tokenReviewed, answerer }: ServeOptions = {}): Promise<Served> {
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
  const bound = await server.listen("127.0.0.1", port ?? (await freePort()));
  onTestFinished(() => server.close());
  const next: Served["next"] = (fits) => new Promise((resolve) => waiting.add({ fits, resolve }));
  return { server, port: bound, clock, next, inForce: ({ version }) => next((status) => status.version === version) };
}

/** The far end of a connection, spoken by hand. */
export interface ByHand {
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
  onTestFinished(() => {
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

export const connected = (port: number): tls.TLSSocket =>
  tls.connect({ host: "127.0.0.1", port, ca: CERTIFICATE, ALPNProtocols: [ALPN] });

export const proxyByHand = (port: number): ByHand => byHand(connected(port));

/** @returns its port, and each connection to it in order, when it comes */
export async function controllerByHand(): Promise<{ readonly port: number; call(): Promise<ByHand> }> {
  const calls: ((controller: ByHand) => void)[] = [];
  const server = tls.createServer({ cert: CERTIFICATE, key: KEY, ALPNProtocols: [ALPN] }, (socket) =>
    calls.shift()?.(byHand(socket)),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.address() as net.AddressInfo;
  return { port, call: () => new Promise<ByHand>((resolve) => calls.push(resolve)) };
}

export interface Followed {
  readonly client: ConfigClient;
  /** Versions, in the order in which they came into force. */
  readonly applied: string[];
  /** Whether anything may have changed, of each of these. */
  readonly whole: boolean[];
  readonly clock: ManualClock;
  readonly signal: AbortSignal;
  readonly stop: () => Promise<void>;
  /** Resolves when the connection is up, or was lost. */
  connected(up: boolean): Promise<void>;
  /** Nothing comes into force before that resolves; where it rejects, nothing can. */
  holdBack: Promise<void>;
  /** Nothing comes into force until what this returns is called. */
  hold(): () => void;
}

export interface FollowOptions {
  readonly token?: string;
  readonly initial?: Snapshot;
  readonly serverName?: string;
  /** Entrypoints that cannot be opened. */
  readonly closed?: readonly string[];
  readonly answerer?: Answerer;
  readonly standsBy?: () => boolean;
}

/** A proxy; without options, `p1`. */
export function follow(port: number, options: FollowOptions = {}): Followed {
  const controller = new AbortController();
  const clock = new ManualClock();
  const waiting: { up: boolean; resolve: () => void }[] = [];
  const { signal } = controller;
  const seen = { applied: [] as string[], whole: [] as boolean[], clock, signal, holdBack: Promise.resolve() };
  const client = new ConfigClient({
    host: "127.0.0.1",
    port,
    serverName: options.serverName ?? SERVER_NAME,
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
      await seen.holdBack;
      seen.applied.push(version);
      seen.whole.push(changes === undefined);
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
  onTestFinished(stop);
  return Object.assign(seen, {
    client,
    stop,
    connected: (up: boolean) => new Promise<void>((resolve) => waiting.push({ up, resolve })),
    hold: () => {
      let go = () => {};
      seen.holdBack = new Promise((resolve) => {
        go = resolve;
      });
      return go;
    },
  });
}

/** A controller, and a proxy of it that has FIRST in force. */
export async function followed(options: FollowOptions = {}): Promise<Served & { readonly proxy: Followed }> {
  const served = await serve();
  served.server.publish(FIRST);
  const first = served.inForce(FIRST);
  const proxy = follow(served.port, options);
  await first;
  return { ...served, proxy };
}
