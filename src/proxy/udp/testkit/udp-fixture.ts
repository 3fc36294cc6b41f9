/** A UDP engine between plain sockets: callers by their address on one side, far ends on the other. */
import dgram from "node:dgram";
import { once } from "node:events";
import type { MeshConfig } from "../../../config/mesh-config.ts";
import { type Clock, type Random, systemClock } from "../../../model/clock.ts";
import { freePort } from "../../../model/testkit/free-ports.ts";
import { silentLog } from "../../../telemetry/log.ts";
import type { FlowOptions, FlowRecord } from "../../flow/flow-record.ts";
import { MeshRouteTable } from "../../router/route-table.ts";
import { UdpEngine, type UdpEntrypoint, type UdpLimits } from "../udp-engine.ts";

/** Waits for the condition, looked at in each turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** A socket, and all that came in on it. */
export class UdpPeer {
  readonly socket = dgram.createSocket("udp4");
  readonly received: string[] = [];
  /** `address:port` that each of them came from. */
  readonly senders: string[] = [];

  /** @param onDatagram called with each datagram and a way to answer it */
  static async bind(
    address: string,
    onDatagram: (text: string, answer: (text: string) => void) => void = () => {},
  ): Promise<UdpPeer> {
    const peer = new UdpPeer();
    peer.socket.on("message", (bytes, from) => {
      peer.received.push(bytes.toString("latin1"));
      peer.senders.push(`${from.address}:${from.port}`);
      onDatagram(bytes.toString("latin1"), (text) => peer.send(text, `${from.address}:${from.port}`));
    });
    peer.socket.bind(0, address);
    await once(peer.socket, "listening");
    return peer;
  }

  /** `address:port` */
  get key(): string {
    const { address, port } = this.socket.address();
    return `${address}:${port}`;
  }

  send(text: string, to: string): void {
    const [address = "", port = ""] = to.split(":");
    this.socket.send(Buffer.from(text, "latin1"), Number(port), address);
  }

  async untilReceived(text: string): Promise<void> {
    await until(() => this.received.includes(text));
  }

  close(): void {
    this.socket.close();
  }
}

/** One that answers each datagram with its name and what came. */
export function echo(name: string, address = "127.1.1.1"): Promise<UdpPeer> {
  return UdpPeer.bind(address, (text, answer) => answer(`${name} ${text}`));
}

/** `address:port` of a port that nobody has. */
export async function closedPort(): Promise<string> {
  return `127.1.1.9:${await freePort("127.1.1.9")}`;
}

export interface UdpFixtureOptions {
  readonly config: MeshConfig;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly limits?: Partial<UdpLimits>;
  readonly dialFrom?: FlowOptions["dialFrom"];
}

export class UdpFixture {
  readonly table: MeshRouteTable;
  readonly engine: UdpEngine;
  readonly opened: FlowRecord[] = [];
  readonly ended: FlowRecord[] = [];

  constructor({ config, clock = systemClock, random = Math.random, limits = {}, dialFrom }: UdpFixtureOptions) {
    this.table = new MeshRouteTable({ clock, random, log: silentLog });
    this.table.apply(config);
    this.engine = new UdpEngine({
      table: this.table,
      clock,
      limits,
      ...(dialFrom === undefined ? {} : { dialFrom }),
      onFlowOpen: (record) => this.opened.push(record),
      onFlow: (record) => this.ended.push(record),
    });
  }

  /** @returns the entrypoint, and its `address:port` */
  async listen(servicePort: string, address = "127.3.0.1"): Promise<UdpEntrypoint & { readonly key: string }> {
    const entrypoint = await this.engine.listen(address, 0, () => this.table.servicePort(servicePort));
    return { ...entrypoint, key: `${address}:${entrypoint.port}` };
  }

  outstanding(key: string): number[] {
    return (this.table.servicePort(key)?.endpoints ?? []).map(({ outstanding }) => outstanding);
  }

  /** Until the engine has dropped so many datagrams in all. */
  async untilDropped(count: number): Promise<void> {
    await until(() => this.engine.counters.dropped >= count);
  }

  close(drainMs = 0): Promise<void> {
    return this.engine.close(drainMs);
  }
}
