/** All TCP flows of a thread: their number, their time-outs, their end. */
import type { Clock, Timer } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import type { FlowOptions } from "../flow/flow-record.ts";
import type { RouteTable, ServicePortState } from "../router/types.ts";
import { resetSocket } from "../socket/reset-socket.ts";
import type { SharedReadSocket } from "../socket/shared-read.ts";
import { SocketBuffers } from "../socket/socket-buffers.ts";
import { TcpFlow } from "./tcp-flow.ts";

/** Times in milliseconds. A flow that is open both ways may be silent for ever; TCP keep-alive ends those of the dead. */
export interface TcpLimits {
  readonly maxFlows: number;
  /** For all tries of a flow together. One endpoint among several gets a third of it, so that others have their turn. */
  readonly connectTimeoutMs: number;
  /** A flow of which one side has ended and of which nothing has moved for so long. */
  readonly halfClosedTimeoutMs: number;
}

const DEFAULT_LIMITS: TcpLimits = { maxFlows: 16_384, connectTimeoutMs: 30_000, halfClosedTimeoutMs: 300_000 };
const TICK_MS = 1000;

/** Totals since the start. */
export interface TcpCounters {
  /** Connections of callers, whatever became of them. */
  accepted: number;
  /** Those that got an endpoint. */
  opened: number;
  /** Bytes read from callers, and from endpoints. */
  bytesUp: number;
  bytesDown: number;
  readonly failures: Map<Failure, number>;
}

export interface TcpEngineOptions extends FlowOptions {
  readonly table: RouteTable;
  readonly clock: Clock;
  readonly limits?: Partial<TcpLimits>;
  /** Of the thread; absent: its own. */
  readonly buffers?: SocketBuffers;
}

/** What every flow of an engine needs of it. */
export interface TcpShared extends FlowOptions {
  readonly table: RouteTable;
  readonly clock: Clock;
  readonly limits: TcpLimits;
  readonly buffers: SocketBuffers;
  readonly counters: TcpCounters;
  /** The flow is over; its sockets are closed or closing. */
  readonly forget: (flow: TcpFlow) => void;
}

export class TcpEngine {
  readonly counters: TcpCounters = { accepted: 0, opened: 0, bytesUp: 0, bytesDown: 0, failures: new Map() };
  readonly #shared: TcpShared;
  readonly #flows = new Set<TcpFlow>();
  #tick: Timer | undefined;
  #drained: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: TcpEngineOptions) {
    this.#shared = {
      ...options,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      buffers: options.buffers ?? new SocketBuffers(),
      counters: this.counters,
      forget: (flow) => this.#forget(flow),
    };
    this.#scheduleTick();
  }

  get activeFlows(): number {
    return this.#flows.size;
  }

  /**
   * Takes the socket over. A caller that is denied, that no endpoint is left for, or that is over the limit gets a
   * reset: bytes of ours are not what it speaks, and an end in good order would say that this was the answer.
   * @param caller just accepted, with allowHalfOpen and noDelay; nothing of it has been read
   */
  accept(caller: SharedReadSocket, entry: ServicePortState): void {
    if (this.#closing !== undefined) {
      caller.socket.on("error", () => {});
      resetSocket(caller.socket);
      return;
    }
    this.counters.accepted++;
    const flow = new TcpFlow(caller, entry, this.#shared);
    if (this.#flows.size >= this.#shared.limits.maxFlows) {
      flow.refuse("TooManyConnections");
      return;
    }
    this.#flows.add(flow);
    flow.start();
  }

  /** Accepts no more. Resolves when the flows have ended, or after `drainMs`, when those that are left are broken off. */
  close(drainMs: number): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    if (this.#flows.size > 0 && drainMs > 0) {
      const over = new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      const timer = this.#shared.clock.after(drainMs, () => this.#drained?.());
      await over;
      timer.cancel();
    }
    this.#tick?.cancel();
    for (const flow of this.#flows) flow.breakOff();
  }

  #forget(flow: TcpFlow): void {
    if (this.#flows.delete(flow) && this.#flows.size === 0) this.#drained?.();
  }

  #scheduleTick(): void {
    this.#tick = this.#shared.clock.after(TICK_MS, () => {
      const now = this.#shared.clock.now();
      for (const flow of this.#flows) flow.checkIdle(now);
      this.#scheduleTick();
    });
  }
}
