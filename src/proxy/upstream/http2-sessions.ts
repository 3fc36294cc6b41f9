/** HTTP/2 connections to endpoints, which many exchanges share. */
import type { Clock } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import { NO_ERROR } from "../http2/frames.ts";
import { Http2Connection } from "../http2/http2-connection.ts";
import type { Http2Owner, Http2Shared } from "../http2/http2-owner.ts";
import type { Http2Stream } from "../http2/http2-stream.ts";
import { MessageHead } from "../http2/message-rules.ts";
import { OutputChunks } from "../http2/output-chunks.ts";
import type { EndpointState } from "../router/types.ts";
import type { UpstreamConnection, UpstreamPools, UpstreamUser } from "./upstream-connection.ts";

/** Exchanges that wait for one connection to stand; more of them open another. */
const MAX_WAITERS = 100;
const NO_SESSIONS: readonly Http2Session[] = [];

/**
 * An endpoint whose machine is gone answers nothing, and TCP notices that after a quarter of an hour. So one that is silent
 * while it owes answers is asked for a sign of life; then seldom, as servers of gRPC take pings more often than every five
 * minutes for an attack.
 */
const SILENCE_MS = 15_000;
const LATER_SILENCE_MS = 310_000;
const SIGN_OF_LIFE_MS = 10_000;

/** Who waits for a session. */
export interface SessionUser {
  onSession(session: Http2Session): void;
  /** It takes no more streams, and no other connection may be opened. */
  onSessionFull(): void;
  onSessionFailed(failure: Failure): void;
}

export class Http2Session implements UpstreamUser, Http2Owner {
  readonly connection: UpstreamConnection;
  readonly #http2: Http2Connection;
  readonly #sessions: Http2Sessions;
  readonly waiters = new Set<SessionUser>();
  /** The endpoint's settings came. */
  ready = false;
  /** A stream of it ended in good order: it has served. */
  served = false;
  /** No more streams begin here. */
  retired = false;
  /** When it must be ready, then when it has been idle for too long. */
  deadline: number;
  #closing = false;
  /** When the endpoint was last heard, or began to owe us something. */
  #heardAt = 0;
  #askedAt = 0;
  #asked = 0;

  constructor(connection: UpstreamConnection, deadline: number, shared: Http2Shared, sessions: Http2Sessions) {
    this.connection = connection;
    this.deadline = deadline;
    this.#sessions = sessions;
    this.#http2 = new Http2Connection("client", connection.socket, this, shared);
    connection.user = this;
  }

  get canOpen(): boolean {
    return this.ready && !this.retired && this.#http2.canOpen;
  }

  get streams(): number {
    return this.#http2.streams;
  }

  /** Where `canOpen`. */
  open(ofHead: boolean): Http2Stream {
    this.deadline = Number.POSITIVE_INFINITY;
    if (this.streams === 0) this.#heard();
    return this.#http2.open(ofHead);
  }

  /** Called by the engine's tick. */
  checkLife(now: number): void {
    if (!this.ready || this.streams === 0) return;
    if (this.#asked > 0 && this.#askedAt > this.#heardAt) {
      if (now - this.#askedAt >= SIGN_OF_LIFE_MS) this.#fail("UpstreamReset");
    } else if (now - Math.max(this.#heardAt, this.#askedAt) >= (this.#asked === 0 ? SILENCE_MS : LATER_SILENCE_MS)) {
      this.#asked++;
      this.#askedAt = now;
      this.#http2.ping();
    }
  }

  /** No more streams; it ends with the last of those under way. */
  retire(): void {
    this.retired = true;
    if (this.#http2.streams === 0 && this.waiters.size === 0) this.#close();
  }

  /** It was not ready in time, or idle for too long. */
  expire(): void {
    if (this.ready) this.retire();
    else this.#fail("ConnectTimeout");
  }

  // ── the connection ──

  onUpstreamConnect(): void {
    this.#http2.start();
  }

  onUpstreamData(bytes: Buffer, length: number): void {
    this.#heard();
    this.#http2.onBytes(bytes, 0, length);
  }

  onUpstreamEnd(): void {
    this.#fail("UpstreamReset");
  }

  onUpstreamFailure(failure: Failure): void {
    this.#fail(failure);
  }

  onUpstreamDrain(): void {
    this.#http2.onSocketDrain();
  }

  // ── HTTP/2 ──

  onReady(): void {
    this.ready = true;
    if (!this.#http2.canOpen && !this.retired) {
      // Another connection would be told the same.
      this.#fail("UpstreamReset");
      return;
    }
    const waiters = [...this.waiters];
    this.waiters.clear();
    for (const waiter of waiters) {
      if (this.canOpen) waiter.onSession(this);
      else this.#sessions.waitElsewhere(this, waiter);
    }
    if (this.streams === 0) this.#sessions.noteIdle(this);
  }

  onStreamOver(): void {
    this.served = true;
    // Servers forgive pings once they have answered something.
    this.#asked = 0;
    this.connection.endpoint.owner.connections.freed();
    if (this.streams > 0) return;
    if (this.retired) this.#close();
    else this.#sessions.noteIdle(this);
  }

  onGoaway(): void {
    this.retire();
    this.#sessions.forget(this);
  }

  onFatal(): void {
    if (!this.#closing) this.#fail("UpstreamMalformed");
  }

  /** A client is asked for nothing. */
  onRequest(): void {}
  onHeadTooLarge(): void {}

  #heard(): void {
    this.#heardAt = this.#sessions.now;
  }

  #close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#sessions.forget(this);
    this.#http2.fail(NO_ERROR, "");
    this.connection.release();
  }

  #fail(failure: Failure): void {
    this.retired = true;
    this.#sessions.forget(this);
    const waiters = [...this.waiters];
    this.waiters.clear();
    this.#http2.onSocketGone();
    // What tells the endpoint why still leaves.
    this.connection.release();
    for (const waiter of waiters) waiter.onSessionFailed(failure);
  }
}

export interface Http2SessionsOptions {
  readonly clock: Clock;
  readonly pools: UpstreamPools;
  /** A session without streams is closed after this. */
  readonly idleTimeoutMs: number;
}

export class Http2Sessions {
  readonly #options: Http2SessionsOptions;
  readonly #sessions = new Map<EndpointState, Http2Session[]>();
  readonly #watched = new WeakSet<EndpointState>();
  /** What sessions share, and a thread's callers too. */
  readonly shared: Http2Shared;

  constructor(options: Http2SessionsOptions) {
    this.#options = options;
    this.shared = { clock: options.clock, chunks: new OutputChunks(), head: new MessageHead() };
  }

  /** The clock's milliseconds. */
  get now(): number {
    return this.#options.clock.now();
  }

  /** Whether an endpoint that could speak either is known to speak HTTP/2. */
  speaksHttp2(endpoint: EndpointState): boolean {
    return this.#sessions.has(endpoint);
  }

  /** @returns a session that can take a stream now; or undefined, and the user hears later */
  acquire(endpoint: EndpointState, user: SessionUser): Http2Session | undefined {
    let waiting: Http2Session | undefined;
    for (const session of this.#sessions.get(endpoint) ?? []) {
      if (session.canOpen) return session;
      if (!session.ready && session.waiters.size < MAX_WAITERS) waiting = session;
    }
    waiting ??= this.#open(endpoint);
    waiting.waiters.add(user);
    return undefined;
  }

  /** Whether `acquire` needs no other connection. */
  hasRoom(endpoint: EndpointState): boolean {
    for (const session of this.#sessions.get(endpoint) ?? NO_SESSIONS)
      if (session.canOpen || (!session.ready && session.waiters.size < MAX_WAITERS)) return true;
    return false;
  }

  /** Closes a session with one of them that nobody uses. @returns whether there was one */
  closeIdle(endpoints: readonly EndpointState[]): boolean {
    for (const endpoint of endpoints)
      for (const session of this.#sessions.get(endpoint) ?? NO_SESSIONS) {
        if (!session.ready || session.retired || session.streams > 0) continue;
        session.retire();
        return true;
      }
    return false;
  }

  cancel(endpoint: EndpointState, user: SessionUser): void {
    for (const session of this.#sessions.get(endpoint) ?? []) session.waiters.delete(user);
  }

  /** Takes over a connection that stands and turned out to speak HTTP/2. The user hears when it is ready. */
  adopt(connection: UpstreamConnection, user: SessionUser): void {
    const session = this.#add(connection);
    session.waiters.add(user);
    session.onUpstreamConnect();
  }

  waitElsewhere(full: Http2Session, user: SessionUser): void {
    const { endpoint } = full.connection;
    if (endpoint.owner.connections.full && !this.hasRoom(endpoint)) {
      user.onSessionFull();
      return;
    }
    const session = this.acquire(endpoint, user);
    if (session !== undefined) user.onSession(session);
  }

  noteIdle(session: Http2Session): void {
    session.deadline = this.#options.clock.now() + this.#options.idleTimeoutMs;
  }

  forget(session: Http2Session): void {
    const { endpoint } = session.connection;
    const sessions = this.#sessions.get(endpoint) ?? [];
    const left = sessions.filter((each) => each !== session);
    if (left.length > 0) this.#sessions.set(endpoint, left);
    else this.#sessions.delete(endpoint);
  }

  /** Ends what is past its deadline. Called by the engine's tick. */
  expire(now: number): void {
    for (const sessions of [...this.#sessions.values()])
      for (const session of [...sessions])
        if (session.deadline <= now) session.expire();
        else session.checkLife(now);
  }

  close(): void {
    for (const sessions of [...this.#sessions.values()]) for (const session of sessions) session.retire();
  }

  #open(endpoint: EndpointState): Http2Session {
    return this.#add(this.#options.pools.open(endpoint, NOBODY, false));
  }

  #add(connection: UpstreamConnection): Http2Session {
    const { clock, pools } = this.#options;
    const { endpoint } = connection;
    const timeoutMs = pools.connectTimeoutMs(endpoint.owner);
    const session = new Http2Session(connection, clock.now() + timeoutMs, this.shared, this);
    const sessions = this.#sessions.get(endpoint);
    if (sessions === undefined) this.#sessions.set(endpoint, [session]);
    else sessions.push(session);
    this.#watch(endpoint);
    return session;
  }

  #watch(endpoint: EndpointState): void {
    if (this.#watched.has(endpoint)) return;
    this.#watched.add(endpoint);
    endpoint.onRemoved.push(() => {
      for (const session of this.#sessions.get(endpoint) ?? []) session.retire();
    });
  }
}

/** Until the session has the connection, within the same step. */
const NOBODY: UpstreamUser = {
  onUpstreamConnect() {},
  onUpstreamData() {},
  onUpstreamEnd() {},
  onUpstreamFailure() {},
  onUpstreamDrain() {},
};
