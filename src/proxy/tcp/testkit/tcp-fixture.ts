/** A TCP engine between raw sockets: callers by their address on one side, far ends on the other. */
import { once } from "node:events";
import net from "node:net";
import type { MeshConfig } from "../../../config/mesh-config.ts";
import { type Clock, type Random, systemClock } from "../../../model/clock.ts";
import { freePort } from "../../../model/testkit/free-ports.ts";
import { silentLog } from "../../../telemetry/log.ts";
import type { FlowOptions, FlowRecord } from "../../flow/flow-record.ts";
import { MeshRouteTable } from "../../router/route-table.ts";
import { acceptShared } from "../../socket/shared-read.ts";
import { SocketBuffers } from "../../socket/socket-buffers.ts";
import { TcpEngine, type TcpLimits } from "../tcp-engine.ts";

/** One end of a connection, and all that came in on it. */
export class Peer {
  readonly socket: net.Socket;
  receivedBytes = 0;
  ended = false;
  closed = false;
  error: string | undefined;
  readonly #chunks: Buffer[] = [];
  #wake: (() => void)[] = [];

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.receivedBytes += bytes.length;
      this.#chunks.push(bytes);
      this.#changed();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#changed();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code;
    });
    socket.on("close", () => {
      this.closed = true;
      this.#changed();
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get received(): string {
    return this.bytes.toString("latin1");
  }

  /** Waits for the condition, looked at whenever something happened here. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.closed) throw new Error(`closed before that (${this.error ?? "in good order"}): ${this.received}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async untilReceived(text: string): Promise<void> {
    await this.until(() => this.received.includes(text));
  }

  async untilClosed(): Promise<void> {
    if (!this.closed) await new Promise<void>((resolve) => this.socket.once("close", () => resolve()));
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const each of wake) each();
  }
}

/** A raw server; every connection of it is a Peer. */
export class FarEnd {
  readonly peers: Peer[] = [];
  readonly #server: net.Server;

  private constructor(onConnection: (peer: Peer) => void) {
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const peer = new Peer(socket);
      this.peers.push(peer);
      onConnection(peer);
      this.#server.emit("peer");
    });
  }

  static async listen(onConnection: (peer: Peer) => void = () => {}, address = "127.1.1.1"): Promise<FarEnd> {
    const farEnd = new FarEnd(onConnection);
    farEnd.#server.listen(0, address);
    await once(farEnd.#server, "listening");
    return farEnd;
  }

  /** `address:port` */
  get key(): string {
    const { address, port } = this.#server.address() as net.AddressInfo;
    return `${address}:${port}`;
  }

  /** Its connection of that number, from 0. */
  async peer(index: number): Promise<Peer> {
    while (this.peers.length <= index) await once(this.#server, "peer");
    return this.peers[index] as Peer;
  }

  close(): void {
    this.#server.close();
    for (const { socket } of this.peers) socket.destroy();
  }
}

/** `address:port` of a port where nothing listens. */
export async function closedPort(address = "127.1.1.9"): Promise<string> {
  return `${address}:${await freePort(address)}`;
}

export interface TcpFixtureOptions {
  readonly config: MeshConfig;
  readonly entry: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly limits?: Partial<TcpLimits>;
  readonly dialFrom?: FlowOptions["dialFrom"];
  /** After the engine has taken a connection over, in the same step. */
  readonly onAccept?: (socket: net.Socket) => void;
}

export class TcpFixture {
  readonly table: MeshRouteTable;
  readonly engine: TcpEngine;
  readonly opened: FlowRecord[] = [];
  readonly ended: FlowRecord[] = [];
  /** The engine's side of the callers' connections. */
  readonly accepted: net.Socket[] = [];
  readonly #server: net.Server;
  readonly #callers: Peer[] = [];
  #wake: (() => void)[] = [];

  private constructor({ config, entry, clock = systemClock, random = Math.random, ...rest }: TcpFixtureOptions) {
    this.table = new MeshRouteTable({ clock, random, log: silentLog });
    this.table.apply(config);
    const buffers = new SocketBuffers();
    this.engine = new TcpEngine({
      buffers,
      table: this.table,
      clock,
      limits: rest.limits ?? {},
      ...(rest.dialFrom === undefined ? {} : { dialFrom: rest.dialFrom }),
      onFlowOpen: (record) => {
        this.opened.push(record);
        this.#changed();
      },
      onFlow: (record) => {
        this.ended.push(record);
        this.#changed();
      },
    });
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
      const state = this.table.servicePort(entry);
      if (state === undefined) throw new Error(`no service port ${entry}`);
      const caller = acceptShared(socket, buffers.readFlow);
      this.accepted.push(caller.socket);
      this.engine.accept(caller, state);
      rest.onAccept?.(caller.socket);
    });
  }

  static async open(options: TcpFixtureOptions): Promise<TcpFixture> {
    const fixture = new TcpFixture(options);
    fixture.#server.listen(0, "127.3.0.1");
    await once(fixture.#server, "listening");
    return fixture;
  }

  /** A caller's connection, under way: it may be reset as soon as it stands. */
  caller(from = "127.1.0.1"): Peer {
    const { address, port } = this.#server.address() as net.AddressInfo;
    const socket = net.connect({ host: address, port, localAddress: from, allowHalfOpen: true, noDelay: true });
    const caller = new Peer(socket);
    this.#callers.push(caller);
    return caller;
  }

  async untilOpened(count: number): Promise<void> {
    while (this.opened.length < count) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  /** The first record of a flow that has ended, or the one of that number. */
  async record(index = 0): Promise<FlowRecord> {
    while (this.ended.length <= index) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.ended[index] as FlowRecord;
  }

  /** Exchanges and flows that each endpoint of the service port serves now. */
  outstanding(key: string): number[] {
    return (this.table.servicePort(key)?.endpoints ?? []).map(({ outstanding }) => outstanding);
  }

  async close(): Promise<void> {
    for (const { socket } of this.#callers) socket.destroy();
    this.#server.close();
    await this.engine.close(0);
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const each of wake) each();
  }
}
