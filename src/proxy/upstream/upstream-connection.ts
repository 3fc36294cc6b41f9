/**
 * Connections to endpoints: opening, and for HTTP/1.1 waiting idle, being taken again.
 *
 * All connections of a thread read into one buffer: a read and its handling are one synchronous step, so what must
 * outlive it is copied by whoever keeps it. That saves an allocation of 64 KiB a read.
 */
import net from "node:net";
import tls from "node:tls";
import type { UpstreamTls } from "../../config/mesh-config.ts";
import type { Clock, Timer } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import type { Log } from "../../telemetry/log.ts";
import type { EndpointState, ServicePortState } from "../router/types.ts";
import type { DirectWrites } from "../socket/direct-writes.ts";
import { resetSocket } from "../socket/reset-socket.ts";
import type { SocketBuffers } from "../socket/socket-buffers.ts";
import { connectFailure } from "./connect-failure.ts";
import { TlsClient } from "./tls-client.ts";

/** Well below the shortest keep-alive time of common servers (5 s, Node.js). */
const FRESH_MS = 1000;

/** Who uses a connection. Every method is called only while it does. */
export interface UpstreamUser {
  onUpstreamConnect(): void;
  /** @param bytes the thread's read buffer: valid during the call, from 0 to `length` */
  onUpstreamData(bytes: Buffer, length: number): void;
  /** The endpoint ended its side in good order. */
  onUpstreamEnd(): void;
  /** The connection is gone: refused, timed out, reset. */
  onUpstreamFailure(failure: Failure): void;
  /** What was written has left: writing may go on. */
  onUpstreamDrain(): void;
}

export interface UpstreamOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly buffers: SocketBuffers;
  /** To the accepted connection. */
  readonly connectTimeoutMs: number;
  /** An unused connection is closed after this; shorter than what common servers keep theirs. */
  readonly idleTimeoutMs: number;
  /** Unused connections kept for one endpoint. */
  readonly maxIdlePerEndpoint: number;
  /** PEM certificates of authorities trusted beside the system's, for endpoints with TLS. */
  readonly trustedCa?: string;
}

export class UpstreamConnection {
  readonly endpoint: EndpointState;
  readonly socket: net.Socket;
  user: UpstreamUser | undefined;
  connected = false;
  /** So the endpoint chose in its TLS handshake. */
  isHttp2 = false;
  /** TCP is connected, TLS not yet. */
  #handshaking = false;
  /** It has served an exchange before: the endpoint may be closing it at this moment. */
  reused = false;
  /** Deadline of connecting, then of being idle. */
  deadline: number;
  /** Where the service says how long connecting may take: to the millisecond. */
  connecting: Timer | undefined;
  /** Undefined where what is written has to be encrypted. */
  readonly #texts: DirectWrites | undefined;

  /** @param http1Only do not offer HTTP/2 */
  constructor(endpoint: EndpointState, deadline: number, pools: UpstreamPools, http1Only: boolean) {
    this.endpoint = endpoint;
    this.deadline = deadline;
    this.#texts = endpoint.tls === undefined ? pools.buffers.direct : undefined;
    this.socket =
      endpoint.tls === undefined ? this.#connectPlain(pools) : this.#connectTls(endpoint.tls, pools, http1Only);
    this.socket.on("drain", () => this.user?.onUpstreamDrain());
    this.socket.on("end", () => this.#onEnd());
    this.socket.on("error", (error: NodeJS.ErrnoException) => this.#onGone(this.#failureOf(error)));
    this.socket.on("close", () => {
      this.#onGone(this.#handshaking ? "UpstreamTls" : "UpstreamReset");
      pools.forget(this);
    });
  }

  #connectPlain(pools: UpstreamPools): net.Socket {
    const socket = net.connect({
      ...this.#target(),
      onread: { buffer: pools.buffers.read.usual, callback: (length, bytes) => this.#onRead(length, bytes as Buffer) },
    });
    return socket.on("connect", () => this.#onConnected());
  }

  #connectTls(settings: UpstreamTls, pools: UpstreamPools, http1Only: boolean): net.Socket {
    const socket = tls.connect({ ...this.#target(), ...pools.tlsClient.options(this.endpoint, settings, http1Only) });
    socket.on("connect", () => {
      this.#handshaking = true;
    });
    socket.on("error", (error) => {
      if (this.#handshaking) pools.tlsClient.reportFailure(this.endpoint, error.message);
    });
    socket.on("session", (session) => pools.tlsClient.keepSession(this.endpoint, session));
    socket.on("data", (bytes: Buffer) => this.#onRead(bytes.length, bytes));
    return socket.on("secureConnect", () => {
      this.#handshaking = false;
      this.isHttp2 = socket.alpnProtocol === "h2";
      this.#onConnected();
    });
  }

  #target(): net.TcpNetConnectOpts {
    return {
      host: this.endpoint.address,
      port: this.endpoint.dialPort,
      noDelay: true,
      allowHalfOpen: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
    };
  }

  #onConnected(): void {
    this.connected = true;
    this.connecting?.cancel();
    this.user?.onUpstreamConnect();
  }

  /** @param text a character a byte; @returns as `socket.write` */
  writeText(text: string): boolean {
    return this.#texts === undefined ? this.socket.write(text, "latin1") : this.#texts.write(this.socket, text);
  }

  /** Ends it without ceremony. The user hears nothing more. */
  destroy(): void {
    this.user = undefined;
    this.connecting?.cancel();
    this.socket.destroy();
  }

  /** As destroy, with a reset, so that the endpoint cannot take what it has for a whole message. */
  reset(): void {
    this.user = undefined;
    // Of a TLS connection that ends without close_notify nothing is whole (RFC 8446 §6.1).
    if (this.endpoint.tls === undefined) resetSocket(this.socket);
    else this.socket.destroy();
  }

  /** Ends it after what was written has left. The user hears nothing more. */
  release(): void {
    this.user = undefined;
    this.socket.destroySoon();
  }

  /** The connection did not come about in time. */
  connectTimedOut(): void {
    this.#onGone("ConnectTimeout");
  }

  #onRead(length: number, bytes: Buffer): boolean {
    // Bytes that nobody asked for (RFC 9112 §9.2): whatever they are, the next exchange must not read them.
    if (this.user === undefined) this.socket.destroy();
    else this.user.onUpstreamData(bytes, length);
    return true;
  }

  #onEnd(): void {
    // Within a handshake it is no end but a failure, as the close event tells.
    if (this.user === undefined || !this.connected) this.socket.destroy();
    else this.user.onUpstreamEnd();
  }

  #failureOf(error: NodeJS.ErrnoException): Failure {
    if (this.connected) return "UpstreamReset";
    return this.#handshaking ? "UpstreamTls" : connectFailure(error.code);
  }

  #onGone(failure: Failure): void {
    const user = this.user;
    this.connecting?.cancel();
    this.user = undefined;
    this.socket.destroy();
    user?.onUpstreamFailure(failure);
  }
}

/** The connections of one thread to all endpoints, and which of them wait for use. */
export class UpstreamPools {
  readonly buffers: SocketBuffers;
  readonly tlsClient: TlsClient;
  readonly #options: UpstreamOptions;
  readonly #idle = new Map<EndpointState, UpstreamConnection[]>();
  readonly #open = new Set<UpstreamConnection>();

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.buffers = options.buffers;
    this.tlsClient = new TlsClient(options.trustedCa, options.log);
  }

  get openConnections(): number {
    return this.#open.size;
  }

  /**
   * The connection used last, which its endpoint is least likely to have given up, or undefined.
   * @param repeatable whether the request can be sent again should the endpoint be closing the connection right now.
   *   One that cannot goes only where there was traffic a moment ago.
   */
  takeIdle(endpoint: EndpointState, user: UpstreamUser, repeatable: boolean): UpstreamConnection | undefined {
    const idle = this.#idle.get(endpoint);
    if (idle === undefined) return undefined;
    if (!repeatable && this.#idleMs(idle.at(-1)) > FRESH_MS) return undefined;
    for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) {
      if (connection.socket.destroyed) continue;
      connection.user = user;
      connection.deadline = Number.POSITIVE_INFINITY;
      return connection;
    }
    return undefined;
  }

  /** Whether `takeIdle` has one. */
  hasIdle(endpoint: EndpointState, repeatable: boolean): boolean {
    const idle = this.#idle.get(endpoint);
    while (idle?.at(-1)?.socket.destroyed) idle.pop();
    return idle !== undefined && idle.length > 0 && (repeatable || this.#idleMs(idle.at(-1)) <= FRESH_MS);
  }

  /** Closes an unused connection to one of them, the oldest of its endpoint. @returns whether there was one */
  closeIdle(endpoints: readonly EndpointState[]): boolean {
    for (let index = 0; index < endpoints.length; index++) {
      const connection = this.#idle.get(endpoints[index] as EndpointState)?.shift();
      if (connection === undefined) continue;
      connection.destroy();
      return true;
    }
    return false;
  }

  connectTimeoutMs({ config }: ServicePortState): number {
    return config.timeouts?.connectMs ?? this.#options.connectTimeoutMs;
  }

  /** A connection under way; the user hears of its success or failure, never before this returns. */
  open(endpoint: EndpointState, user: UpstreamUser, http1Only: boolean): UpstreamConnection {
    const { clock } = this.#options;
    const { owner } = endpoint;
    const deadline = clock.now() + this.connectTimeoutMs(owner);
    const connection = new UpstreamConnection(endpoint, deadline, this, http1Only);
    owner.connections.opened();
    const asked = owner.config.timeouts?.connectMs;
    if (asked !== undefined) connection.connecting = clock.after(asked, () => connection.connectTimedOut());
    connection.user = user;
    this.#open.add(connection);
    return connection;
  }

  /** Gives a connection back whose exchange ended in good order on both sides, at `now` by the clock. */
  release(connection: UpstreamConnection, now: number): void {
    connection.user = undefined;
    const { endpoint } = connection;
    if (endpoint.removed || connection.socket.destroyed) {
      connection.destroy();
      return;
    }
    const idle = this.#idleOf(endpoint);
    if (idle.length >= this.#options.maxIdlePerEndpoint) {
      connection.destroy();
      return;
    }
    connection.reused = true;
    connection.deadline = now + this.#options.idleTimeoutMs;
    idle.push(connection);
  }

  /** Ends what is past its deadline. Called by the engine's tick. */
  expire(now: number): void {
    for (const connection of this.#open) {
      if (connection.deadline > now) continue;
      if (connection.connected) {
        if (connection.user === undefined) connection.destroy();
      } else connection.connectTimedOut();
    }
  }

  /** Called by the connection when its socket is closed. */
  forget(connection: UpstreamConnection): void {
    if (this.#open.delete(connection)) connection.endpoint.owner.connections.closed();
    const idle = this.#idle.get(connection.endpoint);
    const at = idle === undefined ? -1 : idle.indexOf(connection);
    if (at >= 0) idle?.splice(at, 1);
  }

  close(): void {
    for (const connection of this.#open) if (connection.user === undefined) connection.destroy();
  }

  #idleMs(connection: UpstreamConnection | undefined): number {
    const { clock, idleTimeoutMs } = this.#options;
    return connection === undefined ? 0 : clock.now() - (connection.deadline - idleTimeoutMs);
  }

  #idleOf(endpoint: EndpointState): UpstreamConnection[] {
    let idle = this.#idle.get(endpoint);
    if (idle === undefined) {
      idle = [];
      this.#idle.set(endpoint, idle);
      endpoint.onRemoved.push(() => this.#endpointRemoved(endpoint));
    }
    return idle;
  }

  #endpointRemoved(endpoint: EndpointState): void {
    const idle = this.#idle.get(endpoint);
    this.#idle.delete(endpoint);
    if (idle !== undefined) for (const connection of [...idle]) connection.destroy();
  }
}
