/**
 * One TCP flow: an endpoint is dialled as soon as the caller is let in, so that servers that speak first can; then
 * bytes go both ways, each side's end is passed on by itself, and a reset stays a reset. Whoever is slower stops the
 * other side's reading: nothing is buffered beyond what the sockets hold.
 *
 * Once connected, a flow goes on until its sides end it, whatever becomes of its endpoint or service port in the
 * configuration.
 */
import type net from "node:net";
import type { Origin } from "../../config/mesh-config.ts";
import type { Timer } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import type { FlowRecord } from "../flow/flow-record.ts";
import type { ConnectionLimit, ConnectionWaiter } from "../middleware/connection-limit/connection-limit.ts";
import { newDecision } from "../router/route-table.ts";
import type { Caller, Decision, EndpointState, ServicePortState } from "../router/types.ts";
import { resetSocket, wasReset } from "../socket/reset-socket.ts";
import type { SharedReadSocket } from "../socket/shared-read.ts";
import { connectTo } from "../upstream/connect.ts";
import type { TcpShared } from "./tcp-engine.ts";

/** A silent connection is probed after this, so that one whose caller vanished does not stay for ever. */
const KEEP_ALIVE_DELAY_MS = 30_000;
/** Read from a caller while its endpoint is dialled. */
const MAX_EARLY_BYTES = 64 * 1024;

export class TcpFlow implements FlowRecord, ConnectionWaiter {
  readonly transport = "tcp";
  readonly entry: ServicePortState;
  caller: Caller;
  endpoint: EndpointState | undefined;
  failure: Failure | "" = "";
  bytesUp = 0;
  bytesDown = 0;
  durationMs = 0;
  readonly #shared: TcpShared;
  readonly #caller: SharedReadSocket;
  readonly #downstream: net.Socket;
  #upstream: net.Socket | undefined;
  readonly #decision: Decision = newDecision();
  readonly #startedAt: number;
  /** Of the configuration that the decision comes from. */
  #generation = -1;
  readonly #tried: EndpointState[] = [];
  /** Why the last of them could not be had. */
  #dialFailure: Failure = "NoEndpoint";
  #cancelDial: (() => void) | undefined;
  /** Where its connection is counted, or where it waits for its turn to have one. */
  #connections: ConnectionLimit | undefined;
  #waiting: Timer | undefined;
  /** Read before there was an endpoint to send it to. */
  #early: Buffer[] | undefined;
  #earlyBytes = 0;
  #downstreamEnded = false;
  #upstreamEnded = false;
  /** Something has moved since the last tick. */
  #moved = false;
  /** When nothing had moved for a tick, at most a tick late. */
  #idleSince = 0;
  #over = false;

  constructor(caller: SharedReadSocket, entry: ServicePortState, shared: TcpShared) {
    const { socket } = caller;
    this.#caller = caller;
    this.#downstream = socket;
    this.entry = entry;
    this.#shared = shared;
    this.caller = shared.table.caller(socket.remoteAddress ?? "");
    this.#startedAt = shared.clock.now();
    caller.onBytes = (bytes, length) => this.#onEarly(bytes, length);
    socket.on("error", () => this.#fail("ClientGone"));
    socket.on("end", () => this.#onCallerEnd());
    socket.on("close", () => this.#onClose());
  }

  get path(): readonly ServicePortState[] {
    return this.#decision.path;
  }

  get origin(): Origin | undefined {
    return this.#decision.origin;
  }

  get wouldDeny(): boolean {
    return this.#decision.wouldDeny;
  }

  start(): void {
    const { remoteAddress } = this.#downstream;
    // Without a peer there is nobody to decide about: it was gone before it was accepted.
    if (remoteAddress === undefined) {
      this.#fail("ClientGone");
      return;
    }
    this.#downstream.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
    this.#dial();
  }

  refuse(failure: Failure): void {
    this.#fail(failure);
  }

  /** Ends it at once, both sides reset: the proxy stops. That is nobody's failure. */
  breakOff(): void {
    this.#fail("");
  }

  /** Called at each of the engine's ticks. */
  checkIdle(now: number): void {
    const idleMs = this.endpoint?.owner.config.timeouts?.idleMs;
    const halfClosed = this.#downstreamEnded || this.#upstreamEnded;
    if (this.#upstream === undefined || (!halfClosed && idleMs === undefined)) return;
    if (this.#moved) {
      this.#moved = false;
      this.#idleSince = now;
      return;
    }
    const silentMs = now - this.#idleSince;
    if (halfClosed && silentMs >= this.#shared.limits.halfClosedTimeoutMs)
      this.#fail(this.#upstreamEnded ? "ClientGone" : "ResponseTimeout");
    else if (idleMs !== undefined && silentMs >= idleMs) this.#fail("IdleTimeout");
  }

  onTurn(): void {
    this.#waiting?.cancel();
    this.#waiting = this.#connections = undefined;
    this.#dial(true);
  }

  /**
   * Each endpoint is tried once: as long as no connection stands, nothing was sent.
   * @param isTurn it has waited for the service's other flows to end
   */
  #dial(isTurn = false): void {
    const { table, clock, limits, buffers, dialFrom } = this.#shared;
    if (this.#generation !== table.generation) this.#route();
    const decision = this.#decision;
    const endpoint = decision.failure === "" ? table.pick(decision.endpoints, this.#tried) : undefined;
    const leftMs = this.#startedAt + limits.connectTimeoutMs - clock.now();
    if (endpoint === undefined || this.#tried.includes(endpoint) || leftMs <= 0) {
      this.#fail(decision.failure || this.#dialFailure);
      return;
    }
    const { connections } = endpoint.owner;
    if (connections.full) {
      if (connections.enqueue(this, isTurn || this.#tried.length > 0)) this.#wait(connections, leftMs);
      else this.#fail("Overloaded");
      return;
    }
    this.endpoint = endpoint;
    endpoint.outstanding++;
    this.#connections = connections;
    connections.opened();
    const isLast = this.#tried.push(endpoint) >= decision.endpoints.length;
    const asked = endpoint.owner.config.timeouts?.connectMs ?? (isLast ? leftMs : limits.connectTimeoutMs / 3);
    this.#cancelDial = connectTo(endpoint, {
      clock,
      timeoutMs: Math.min(leftMs, asked),
      localAddress: dialFrom?.(this.caller),
      readBuffers: buffers.readFlow,
      onResult: (result) => (typeof result === "string" ? this.#dialFailed(result) : this.#relay(result)),
    });
  }

  /** Some is read, because only who reads hears that the caller has gone. */
  #onEarly(bytes: Buffer, length: number): void {
    this.#early ??= [];
    this.#early.push(Buffer.from(bytes.subarray(0, length)));
    this.#earlyBytes += length;
    if (this.#earlyBytes >= MAX_EARLY_BYTES) this.#downstream.pause();
  }

  #wait(connections: ConnectionLimit, ms: number): void {
    this.#connections = connections;
    this.#waiting = this.#shared.clock.after(ms, () => this.#fail("Overloaded"));
  }

  /** For the first try; and again for a later one, if what was decided may have been withdrawn meanwhile. */
  #route(): void {
    const { table } = this.#shared;
    this.#generation = table.generation;
    this.caller = table.caller(this.caller.address);
    table.routeFlow(this.entry, this.caller, this.#decision);
  }

  #dialFailed(failure: Failure): void {
    this.#cancelDial = undefined;
    this.#dialFailure = failure;
    const { endpoint } = this;
    endpoint?.owner.balancer.failed(endpoint, failure);
    this.#releaseEndpoint();
    this.endpoint = undefined;
    this.#dial();
  }

  #relay(endpoint: SharedReadSocket): void {
    const downstream = this.#downstream;
    const upstream = endpoint.socket;
    const { counters, onFlowOpen } = this.#shared;
    const buffers = this.#shared.buffers.write;
    this.#cancelDial = undefined;
    this.#upstream = upstream;
    const answering = this.endpoint as EndpointState;
    answering.owner.balancer.answered(answering, 0, 0);
    this.#moved = true;
    upstream.on("error", () => this.#fail("UpstreamReset"));
    upstream.on("close", () => this.#onClose());
    counters.opened++;
    onFlowOpen?.(this);
    const up = (bytes: Buffer, length: number) => {
      this.#moved = true;
      this.bytesUp += length;
      counters.bytesUp += length;
      if (!buffers.write(upstream, "", bytes, 0, length)) downstream.pause();
    };
    this.#caller.onBytes = up;
    endpoint.onBytes = (bytes, length) => {
      this.#moved = true;
      this.bytesDown += length;
      counters.bytesDown += length;
      if (!buffers.write(downstream, "", bytes, 0, length)) upstream.pause();
    };
    upstream.on("drain", () => {
      this.#moved = true;
      downstream.resume();
    });
    downstream.on("drain", () => {
      this.#moved = true;
      upstream.resume();
    });
    // One side has ended: the other is told, and may go on sending.
    upstream.on("end", () => {
      this.#moved = this.#upstreamEnded = true;
      // A connection that both sides have ended has no peer any more either.
      if (!upstream.writableEnded && wasReset(upstream)) this.#fail("UpstreamReset");
      else downstream.end();
    });
    this.#caller.widen();
    endpoint.widen();
    downstream.resume();
    for (const bytes of this.#early ?? []) up(bytes, bytes.length);
    this.#early = undefined;
    if (this.#downstreamEnded) upstream.end();
  }

  #onCallerEnd(): void {
    this.#moved = this.#downstreamEnded = true;
    this.#upstream?.end();
  }

  /** A socket closes when both its ways have ended. The other may still have bytes to deliver. */
  #onClose(): void {
    if (this.#upstream === undefined) this.#fail("ClientGone");
    else if (this.#downstream.closed && this.#upstream.closed) this.#end("");
  }

  /** Breaks it off: whoever is still there gets a reset. */
  #fail(failure: Failure | ""): void {
    if (this.#over) return;
    resetSocket(this.#downstream);
    if (this.#upstream !== undefined) resetSocket(this.#upstream);
    this.#end(failure);
  }

  #end(failure: Failure | ""): void {
    if (this.#over) return;
    this.#over = true;
    const { clock, counters, onFlow, forget } = this.#shared;
    this.#cancelDial?.();
    this.#releaseEndpoint();
    this.failure = failure;
    this.durationMs = clock.now() - this.#startedAt;
    if (failure !== "") counters.failures.set(failure, (counters.failures.get(failure) ?? 0) + 1);
    forget(this);
    onFlow?.(this);
  }

  #releaseEndpoint(): void {
    const connections = this.#connections;
    this.#connections = undefined;
    if (this.#waiting !== undefined) {
      this.#waiting.cancel();
      this.#waiting = undefined;
      connections?.leave(this);
    } else if (this.endpoint !== undefined) {
      this.endpoint.outstanding--;
      connections?.closed();
    }
  }
}
