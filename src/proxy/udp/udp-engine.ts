/**
 * UDP: datagrams of one caller address and port are a flow to one endpoint, until they stop for a while. Each entrypoint
 * has a socket of its own, so that answers leave from the address that was called. What is denied or has nowhere to go
 * is dropped in silence.
 *
 * Unlike a connection, a flow has no end that a caller could count on, so it obeys a new configuration at its next
 * datagram: a caller that lost its permission is cut off, one whose endpoint is gone gets another.
 */
import type dgram from "node:dgram";
import type { Clock, Timer } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import { SharedUdpPort } from "../../shared-ports/shared-udp-port.ts";
import type { FlowOptions } from "../flow/flow-record.ts";
import { newDecision } from "../router/route-table.ts";
import type { Caller, Decision, RouteTable, ServicePortState } from "../router/types.ts";
import { CallerMemory } from "./caller-memory.ts";
import { stillStands } from "./flow-standing.ts";
import { UdpFlow, type UdpFlowOwner } from "./udp-flow.ts";
import { createUdpSocket, hasRoom } from "./udp-socket.ts";

/** Times in milliseconds. */
export interface UdpLimits {
  /** Flows at once, over all entrypoints; beyond that the one whose caller was silent longest ends. */
  readonly maxFlows: number;
  /** Without a datagram either way; how long a refusal is remembered, too. */
  readonly idleTimeoutMs: number;
}

/** The time-out is the original's. */
const DEFAULT_LIMITS: UdpLimits = { maxFlows: 10_000, idleTimeoutMs: 3_000 };
const TICK_MS = 500;

/** Totals since the start. */
export interface UdpCounters {
  opened: number;
  /** Datagrams of callers that came in, and answers of endpoints. */
  datagramsUp: number;
  datagramsDown: number;
  bytesUp: number;
  bytesDown: number;
  /** Datagrams that nobody was let through or found for. */
  dropped: number;
  /** Datagrams, either way, that the kernel would not take (no buffer, too large) or that came too fast. */
  sendFailures: number;
  /** Flows and callers, not datagrams. */
  readonly failures: Map<Failure, number>;
}

export interface UdpEngineOptions extends FlowOptions {
  readonly table: RouteTable;
  readonly clock: Clock;
  readonly limits?: Partial<UdpLimits>;
}

export interface UdpEntrypoint {
  readonly port: number;
  /**
   * Its flows go on, and no others begin: of a shared port, whoever shares it gets what comes from now on. Resolves when
   * what had come was read.
   */
  drain(): Promise<void>;
  /** Ends its flows. */
  close(): Promise<void>;
}

interface OpenEntrypoint {
  readonly id: number;
  readonly port: SharedUdpPort;
  readonly isShared: boolean;
  draining: boolean;
  readonly entry: () => ServicePortState | undefined;
}

export class UdpEngine {
  readonly counters: UdpCounters = {
    opened: 0,
    datagramsUp: 0,
    datagramsDown: 0,
    bytesUp: 0,
    bytesDown: 0,
    dropped: 0,
    sendFailures: 0,
    failures: new Map(),
  };
  readonly #options: UdpEngineOptions;
  readonly #limits: UdpLimits;
  /** In the order of the callers' last datagrams. */
  readonly #flows = new Map<string, UdpFlow>();
  #latest: UdpFlow | undefined;
  readonly #memory: CallerMemory;
  readonly #entrypoints = new Set<OpenEntrypoint>();
  readonly #decision: Decision = newDecision();
  readonly #owner: UdpFlowOwner;
  #entrypointsOpened = 0;
  #tick: Timer | undefined;
  #drained: (() => void) | undefined;
  readonly #onAnswered = (error: Error | null) => {
    if (error !== null) this.counters.sendFailures++;
  };

  constructor(options: UdpEngineOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#memory = new CallerMemory(this.#limits.maxFlows, this.#limits.idleTimeoutMs);
    this.#owner = {
      clock: options.clock,
      answer: (flow, bytes) => this.#answer(flow, bytes),
      sendFailed: () => {
        this.counters.sendFailures++;
      },
      ended: (flow) => this.#ended(flow),
    };
    this.#scheduleTick();
  }

  get activeFlows(): number {
    return this.#flows.size;
  }

  /**
   * @param entry what the entrypoint means at the moment of a datagram
   * @param isShared another process may listen on the same port
   * @throws the error of bind(2)
   */
  async listen(
    address: string,
    port: number,
    entry: () => ServicePortState | undefined,
    isShared = false,
  ): Promise<UdpEntrypoint> {
    const socket = createUdpSocket(address, isShared);
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error) => {
        socket.close();
        reject(error);
      };
      socket.once("error", failed);
      socket.bind({ address, port, exclusive: true }, () => {
        socket.off("error", failed);
        resolve();
      });
    });
    // Of single datagrams; the next ones may do.
    socket.on("error", () => {
      this.counters.sendFailures++;
    });
    const id = ++this.#entrypointsOpened;
    const entrypoint = { id, port: new SharedUdpPort(socket), isShared, draining: false, entry };
    this.#entrypoints.add(entrypoint);
    socket.on("message", (bytes, from) => this.#onDatagram(entrypoint, bytes, from));
    return {
      port: socket.address().port,
      drain: () => this.#drainEntrypoint(entrypoint),
      close: () => this.#closeEntrypoint(entrypoint),
    };
  }

  /** Opens no more flows. Resolves when those under way have fallen silent, or after `drainMs`, when they are ended. */
  async close(drainMs: number): Promise<void> {
    await Promise.all([...this.#entrypoints].map((entrypoint) => this.#drainEntrypoint(entrypoint)));
    if (this.#flows.size > 0 && drainMs > 0) {
      const over = new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      const timer = this.#options.clock.after(drainMs, () => this.#drained?.());
      await over;
      timer.cancel();
    }
    this.#tick?.cancel();
    await Promise.all([...this.#entrypoints].map((entrypoint) => this.#closeEntrypoint(entrypoint)));
  }

  #onDatagram(entrypoint: OpenEntrypoint, bytes: Buffer, from: dgram.RemoteInfo): void {
    const { counters } = this;
    counters.datagramsUp++;
    counters.bytesUp += bytes.length;
    // One socket of a caller may call several entrypoints.
    const key = `${entrypoint.id} ${from.port} ${from.address}`;
    const entry = entrypoint.entry();
    let flow = this.#flows.get(key);
    if (flow !== undefined && !this.#mayGoOn(flow, entry)) {
      flow.end("");
      flow = undefined;
    }
    // What still comes to a shared port that is left was sent before, and is nobody else's.
    const mayOpen = !entrypoint.draining || entrypoint.isShared;
    // RFC 768: port 0 says that no answer is expected, and none could be sent.
    if (flow === undefined && mayOpen && entry?.config.trafficType === "udp" && from.port !== 0)
      flow = this.#open(key, entrypoint, entry, from);
    if (flow === undefined) counters.dropped++;
    else {
      this.#touch(flow);
      flow.send(bytes);
    }
  }

  #mayGoOn(flow: UdpFlow, entry: ServicePortState | undefined): boolean {
    const { table } = this.#options;
    if (flow.entry !== entry) return false;
    if (flow.generation === table.generation) return true;
    if (!stillStands(flow, table, this.#decision)) return false;
    flow.generation = table.generation;
    return true;
  }

  #open(key: string, entrypoint: OpenEntrypoint, entry: ServicePortState, from: dgram.RemoteInfo): UdpFlow | undefined {
    const { table, dialFrom, onFlowOpen } = this.#options;
    const { generation } = table;
    const refusal = this.#memory.get(key);
    // Nothing but another configuration lets a denied caller in; another turn of a split may find an endpoint.
    if (refusal?.failure === "AccessDenied" && refusal.generation === generation) return undefined;
    const caller = table.caller(from.address);
    const decision = this.#decision;
    table.routeFlow(entry, caller, decision);
    const endpoint = decision.failure === "" ? table.pick(decision.endpoints, refusal?.unreachable) : undefined;
    if (endpoint === undefined) {
      this.#refuse(key, entry, caller, decision.failure || "NoEndpoint");
      return undefined;
    }
    if (this.#flows.size >= this.#limits.maxFlows) this.#flows.values().next().value?.end("TooManyConnections");
    const { wouldDeny, origin } = decision;
    const path = [...decision.path];
    const decided = { key, entry, caller, path, origin, endpoint, wouldDeny, generation };
    const way = { entrypoint: entrypoint.port, callerAddress: from.address, callerPort: from.port };
    const flow = new UdpFlow({ ...decided, ...way }, this.#owner);
    this.#flows.set(key, flow);
    this.counters.opened++;
    onFlowOpen?.(flow);
    flow.open(dialFrom?.(caller));
    return flow;
  }

  /** Told once for all the datagrams that such a caller sends in the time that it is remembered. */
  #refuse(key: string, entry: ServicePortState, caller: Caller, failure: Failure): void {
    const { table, clock, onFlow } = this.#options;
    if (!this.#memory.refused(key, failure, table.generation, clock.now())) return;
    this.#count(failure);
    onFlow?.({
      transport: "udp",
      entry,
      caller,
      path: [...this.#decision.path],
      origin: this.#decision.origin,
      endpoint: undefined,
      failure,
      bytesUp: 0,
      bytesDown: 0,
      durationMs: 0,
      wouldDeny: this.#decision.wouldDeny,
    });
  }

  /** Makes it the last to give way to others. */
  #touch(flow: UdpFlow): void {
    if (flow === this.#latest || !this.#flows.delete(flow.key)) return;
    this.#flows.set(flow.key, flow);
    this.#latest = flow;
  }

  /** From the socket that was called, to who called it: nobody else ever gets a datagram. */
  #answer(flow: UdpFlow, bytes: Buffer): void {
    const { counters } = this;
    counters.datagramsDown++;
    counters.bytesDown += bytes.length;
    if (hasRoom(flow.entrypoint.socket))
      flow.entrypoint.send(bytes, flow.callerPort, flow.callerAddress, this.#onAnswered);
    else counters.sendFailures++;
  }

  #ended(flow: UdpFlow): void {
    const { clock, onFlow } = this.#options;
    const { key, failure, endpoint } = flow;
    this.#flows.delete(key);
    if (this.#latest === flow) this.#latest = undefined;
    if (failure !== "") this.#count(failure);
    if (failure === "ConnectRefused" || failure === "ConnectTimeout")
      this.#memory.unreachable(key, failure, endpoint, clock.now());
    onFlow?.(flow);
    if (this.#flows.size === 0) this.#drained?.();
  }

  #count(failure: Failure): void {
    const { failures } = this.counters;
    failures.set(failure, (failures.get(failure) ?? 0) + 1);
  }

  async #drainEntrypoint(entrypoint: OpenEntrypoint): Promise<void> {
    entrypoint.draining = true;
    if (entrypoint.isShared && this.#entrypoints.has(entrypoint)) await entrypoint.port.divert();
  }

  async #closeEntrypoint(entrypoint: OpenEntrypoint): Promise<void> {
    if (!this.#entrypoints.delete(entrypoint)) return;
    for (const flow of this.#flows.values()) if (flow.entrypoint === entrypoint.port) flow.end("");
    await new Promise<void>((resolve) => entrypoint.port.socket.close(() => resolve()));
  }

  #scheduleTick(): void {
    const { clock } = this.#options;
    this.#tick = clock.after(TICK_MS, () => {
      const now = clock.now();
      for (const flow of this.#flows.values()) flow.checkIdle(now, this.#limits.idleTimeoutMs);
      this.#memory.expire(now);
      this.#scheduleTick();
    });
  }
}
