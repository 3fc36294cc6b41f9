/** A proxy's HTTP engine between raw sockets, so that tests say and see every byte. */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { emptyMeshConfig, type MeshConfig, type ServicePort } from "../../../config/mesh-config.ts";
import type { Clock } from "../../../model/clock.ts";
import { systemClock } from "../../../model/clock.ts";
import { silentLog } from "../../../telemetry/log.ts";
import { MeshRouteTable } from "../../router/route-table.ts";
import { acceptShared } from "../../socket/shared-read.ts";
import { SocketBuffers } from "../../socket/socket-buffers.ts";
import type { ExchangeRecord, RecordWants } from "../exchange-record.ts";
import { HttpEngine, type HttpEngineOptions } from "../http-engine.ts";
import type { HttpLimits } from "../http-options.ts";

const KEY = "ns/svc:80";

export interface FarEndTls extends tls.TlsOptions {
  readonly cert: string;
  readonly key: string;
}

/** A raw server. Connections are numbered; everything that came in is kept as text, one character a byte. */
export class FarEnd {
  readonly server: net.Server;
  readonly connections: { socket: net.Socket; received: string; ended: boolean; reset: boolean }[] = [];
  #wake: (() => void)[] = [];

  private constructor(onData: (socket: net.Socket, received: string, connection: number) => void, secure?: FarEndTls) {
    const accept = (socket: net.Socket) => {
      const connection = { socket, received: "", ended: false, reset: false };
      const number = this.connections.push(connection);
      socket.on("data", (bytes) => {
        connection.received += bytes.toString("latin1");
        onData(socket, connection.received, number);
        this.#changed();
      });
      socket.on("end", () => {
        connection.ended = true;
        this.#changed();
      });
      socket.on("error", (error: NodeJS.ErrnoException) => {
        connection.reset = error.code === "ECONNRESET";
        this.#changed();
      });
      socket.on("close", () => this.#changed());
      this.#changed();
    };
    const options = { allowHalfOpen: true, noDelay: true };
    if (secure === undefined) this.server = net.createServer(options, accept);
    else this.server = tls.createServer({ ...options, ...secure }, accept).on("tlsClientError", () => this.#changed());
  }

  /** @param onData called at each read with all that this connection has received */
  static async listen(
    onData: (socket: net.Socket, received: string, connection: number) => void = () => {},
    { address = "127.0.0.1", secure }: { readonly address?: string; readonly secure?: FarEndTls } = {},
  ): Promise<FarEnd> {
    const farEnd = new FarEnd(onData, secure);
    farEnd.server.listen(0, address);
    await once(farEnd.server, "listening");
    return farEnd;
  }

  /** One that answers each whole head without body with the same bytes; of several, with the next, and the last for ever. */
  static answering(
    answer: string | readonly string[],
    at: { readonly address?: string; readonly secure?: FarEndTls } = {},
  ): Promise<FarEnd> {
    const answered = new Map<number, number>();
    const answers = typeof answer === "string" ? [answer] : answer;
    let next = 0;
    return FarEnd.listen((socket, received, connection) => {
      const heads = received.split("\r\n\r\n").length - 1;
      for (let head = answered.get(connection) ?? 0; head < heads; head++)
        socket.write(answers[Math.min(next++, answers.length - 1)] as string, "latin1");
      answered.set(connection, heads);
    }, at);
  }

  get address(): string {
    const { address, port } = this.server.address() as net.AddressInfo;
    return `${address}:${port}`;
  }

  get received(): string {
    return this.connections.map((connection) => connection.received).join("");
  }

  /** Waits for the condition, looked at whenever something happened here. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  close(): void {
    this.server.close();
    for (const { socket } of this.connections) socket.destroy();
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const each of wake) each();
  }
}

/** A caller's raw connection. */
export class RawCaller {
  readonly socket: net.Socket;
  received = "";
  ended = false;
  closed = false;
  error: string | undefined;
  #wake: (() => void)[] = [];

  constructor(socket: net.Socket) {
    this.socket = socket;
    const changed = () => {
      const wake = this.#wake;
      this.#wake = [];
      for (const each of wake) each();
    };
    socket.on("data", (bytes) => {
      this.received += bytes.toString("latin1");
      changed();
    });
    socket.on("end", () => {
      this.ended = true;
      changed();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code;
      changed();
    });
    socket.on("close", () => {
      this.closed = true;
      changed();
    });
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** In single bytes, each a write of its own. */
  async sendByteByByte(text: string): Promise<void> {
    for (const byte of text) {
      if (this.socket.destroyed) return;
      await new Promise<void>((resolve) => this.socket.write(byte, "latin1", () => resolve()));
    }
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.closed) throw new Error(`the connection closed before that; received ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** All that came until the other side ended or broke the connection. */
  async end(): Promise<string> {
    while (!this.ended && !this.closed) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.received;
  }
}

export interface FixtureOptions {
  readonly endpoints: readonly string[];
  readonly servicePort?: Partial<ServicePort>;
  readonly config?: Partial<MeshConfig>;
  readonly clock?: Clock;
  readonly limits?: Partial<HttpLimits>;
  readonly connectTimeoutMs?: number;
  readonly trustedCa?: string;
  readonly recordWants?: RecordWants;
  readonly tracing?: HttpEngineOptions["tracing"];
  /** Gets each record when its exchange has ended. */
  readonly onRecord?: (record: ExchangeRecord) => void;
}

export class HttpFixture {
  readonly table: MeshRouteTable;
  readonly engine: HttpEngine;
  readonly #buffers = new SocketBuffers();
  readonly records: { status: number; failure: string; attempts: number; endpoint: string | undefined }[] = [];
  readonly #server: net.Server;
  readonly #callers: RawCaller[] = [];

  private constructor(options: FixtureOptions) {
    const clock = options.clock ?? systemClock;
    this.table = new MeshRouteTable({ clock, random: () => 0.5, log: silentLog });
    this.apply(options);
    this.engine = new HttpEngine({
      table: this.table,
      clock,
      log: silentLog,
      server: "proxy",
      connectTimeoutMs: options.connectTimeoutMs ?? 5000,
      limits: options.limits ?? {},
      ...(options.trustedCa === undefined ? {} : { trustedCa: options.trustedCa }),
      ...(options.recordWants === undefined ? {} : { recordWants: options.recordWants }),
      ...(options.tracing === undefined ? {} : { tracing: options.tracing }),
      onExchange: (record: ExchangeRecord) => {
        const { status, failure, attempts, endpoint } = record;
        this.records.push({ status, failure, attempts, endpoint: endpoint?.key });
        options.onRecord?.(record);
      },
    });
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
      const entry = this.table.servicePort(KEY);
      if (entry === undefined) socket.destroy();
      else this.engine.accept(acceptShared(socket, this.#buffers.read), entry);
    });
  }

  static async open(options: FixtureOptions): Promise<HttpFixture> {
    const fixture = new HttpFixture(options);
    fixture.#server.listen(0, "127.0.0.1");
    await once(fixture.#server, "listening");
    return fixture;
  }

  apply(options: FixtureOptions): void {
    this.table.apply({
      ...emptyMeshConfig(),
      servicePorts: {
        [KEY]: {
          namespace: "ns",
          service: "svc",
          port: 80,
          trafficType: "http",
          scheme: "http",
          middlewares: {},
          endpoints: Object.fromEntries(options.endpoints.map((address) => [address, {}])),
          ...options.servicePort,
        },
      },
      ...options.config,
    });
  }

  /** The Service is gone. */
  applyNothing(): void {
    this.table.apply(emptyMeshConfig());
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async caller(): Promise<RawCaller> {
    const { port } = this;
    const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    const caller = new RawCaller(socket);
    this.#callers.push(caller);
    await once(socket, "connect");
    return caller;
  }

  /** Sends it on a connection of its own and returns all that comes back until that is closed. */
  async exchange(text: string): Promise<string> {
    const caller = await this.caller();
    caller.send(text);
    return caller.end();
  }

  async close(): Promise<void> {
    for (const { socket } of this.#callers) socket.destroy();
    this.#server.close();
    await this.engine.close(0);
  }
}
