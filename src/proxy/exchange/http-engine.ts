/** All HTTP connections of a thread: their number, their time-outs, their end. */
import type { Clock, Random, Timer } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import type { Log } from "../../telemetry/log.ts";
import { HeadParser } from "../http1/head-parser.ts";
import type { Caller, RouteTable, ServicePortState } from "../router/types.ts";
import type { SharedReadSocket } from "../socket/shared-read.ts";
import { SocketBuffers } from "../socket/socket-buffers.ts";
import { Tracer, type TracingOptions } from "../tracing/tracer.ts";
import { Http2Sessions } from "../upstream/http2-sessions.ts";
import { UpstreamPools } from "../upstream/upstream-connection.ts";
import type { CallerConnection, ConnectionOwner } from "./connection-owner.ts";
import { Exchange } from "./exchange.ts";
import { type ExchangeRecord, noWants, type RecordWants } from "./exchange-record.ts";
import { DEFAULT_HTTP_LIMITS, type HttpLimits, type HttpShared } from "./http-options.ts";
import { Http1CallerConnection } from "./http1/http1-downstream.ts";
import { ParsedAnswerHead } from "./http1/parsed-answer-head.ts";
import { ParsedRequestHead } from "./http1/parsed-request-head.ts";
import { FieldsAnswerHead, FieldsRequestHead } from "./http2/fields-heads.ts";
import { Http2CallerConnection } from "./http2/http2-downstream.ts";
import { KeptContent } from "./kept-content.ts";
import { failureAnswer, ownAnswerText } from "./own-answer.ts";

/** How precise the long time-outs are. */
const TICK_MS = 1000;
/** An unused connection to an endpoint is closed after this. */
const UPSTREAM_IDLE_MS = 90_000;
const MAX_IDLE_PER_ENDPOINT = 256;
/** Content kept for another try, of all exchanges: beyond it, what was sent cannot be sent again. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024;
/** Exchanges kept for reuse; beyond that the garbage collector has them. */
const MAX_SPARE_EXCHANGES = 256;

export interface HttpEngineOptions {
  readonly table: RouteTable;
  readonly clock: Clock;
  readonly log: Log;
  /** This proxy's name. */
  readonly server: string;
  readonly limits?: Partial<HttpLimits>;
  /** Of the thread; absent: its own. */
  readonly buffers?: SocketBuffers;
  readonly connectTimeoutMs: number;
  /** PEM certificates of authorities trusted beside the system's, for endpoints with TLS. */
  readonly trustedCa?: string;
  /** What `onExchange` wants to know; absent: what is at hand. */
  readonly recordWants?: RecordWants;
  readonly onExchange?: (record: ExchangeRecord) => void;
  /** Of a request that never became an exchange. */
  readonly onRefused?: (failure: Failure, entry: ServicePortState, caller: Caller) => void;
  /** Absent: contexts of callers pass as they came. `random` is for ids. */
  readonly tracing?: TracingOptions & { readonly random: Random };
}

export class HttpEngine implements ConnectionOwner {
  readonly #shared: HttpShared;
  readonly #connections = new Set<CallerConnection>();
  readonly #spare: Exchange[] = [];
  readonly #onRefused: HttpEngineOptions["onRefused"];
  #tick: Timer | undefined;
  #drained: (() => void) | undefined;
  #closing = false;
  /** Refused before there was an exchange, by failure. */
  readonly refused = new Map<Failure, number>();

  constructor(options: HttpEngineOptions) {
    const { table, clock, log, server, onExchange, connectTimeoutMs, trustedCa, tracing } = options;
    const { buffers = new SocketBuffers() } = options;
    this.#onRefused = options.onRefused;
    const requestParser = new HeadParser();
    const pools = new UpstreamPools({
      clock,
      log,
      buffers,
      connectTimeoutMs,
      idleTimeoutMs: UPSTREAM_IDLE_MS,
      maxIdlePerEndpoint: MAX_IDLE_PER_ENDPOINT,
      ...(trustedCa === undefined ? {} : { trustedCa }),
    });
    this.#shared = {
      table,
      clock,
      log,
      server,
      tracer: tracing === undefined ? undefined : new Tracer(tracing, clock, tracing.random),
      limits: { ...DEFAULT_HTTP_LIMITS, ...options.limits },
      pools,
      buffers,
      sessions: new Http2Sessions({ clock, pools, idleTimeoutMs: UPSTREAM_IDLE_MS }),
      kept: new KeptContent(MAX_KEPT_BYTES),
      requestParser,
      requestHead: new ParsedRequestHead(requestParser),
      answerHead: new ParsedAnswerHead(new HeadParser()),
      fieldsHead: new FieldsRequestHead(),
      answerFields: new FieldsAnswerHead(),
      wants: options.recordWants ?? noWants(),
      draining: false,
      onExchange,
    };
    this.#scheduleTick();
  }

  get openConnections(): number {
    return this.#connections.size;
  }

  get openUpstreamConnections(): number {
    return this.#shared.pools.openConnections;
  }

  /** @param caller just accepted, with allowHalfOpen and noDelay; nothing of it has been read */
  accept(caller: SharedReadSocket, entry: ServicePortState): void {
    const { limits, clock } = this.#shared;
    if (this.#connections.size >= limits.maxConnections) {
      const { socket } = caller;
      this.countRefused("TooManyConnections", entry, this.#shared.table.caller(socket.remoteAddress ?? ""));
      socket.on("error", () => {});
      socket.write(ownAnswerText(failureAnswer("TooManyConnections", 1, false, clock.wall()), true), "latin1");
      socket.destroySoon();
      return;
    }
    const connection = new Http1CallerConnection(caller, entry, this.#shared, this);
    this.#connections.add(connection);
    if (this.#closing) connection.drain();
  }

  /** Lets the connections of a service port that is gone end as their exchanges do. */
  drainServicePort(entry: ServicePortState): void {
    for (const connection of this.#connections) if (connection.entry === entry) connection.drain();
  }

  /** Each answer from now on is the last of its connection; streams under way go on, and no others begin. */
  startDraining(): void {
    this.#shared.draining = true;
    for (const connection of this.#connections) if (connection instanceof Http2CallerConnection) connection.drain();
  }

  /**
   * Ends connections when they have nothing under way or to come, or after `drainMs`; resolves when all of them have ended,
   * and what they carried is recorded.
   */
  async close(drainMs: number): Promise<void> {
    this.#shared.draining = true;
    this.#closing = true;
    for (const connection of this.#connections) connection.drain();
    if (this.#connections.size > 0) {
      const over = new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      const timer = this.#shared.clock.after(drainMs, () => this.#drained?.());
      await over;
      timer.cancel();
    }
    this.#tick?.cancel();
    for (const connection of this.#connections) connection.destroy();
    if (this.#connections.size > 0)
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    this.#shared.sessions.close();
    this.#shared.pools.close();
  }

  takeExchange(): Exchange {
    return this.#spare.pop() ?? new Exchange(this.#shared);
  }

  giveBack(exchange: Exchange): void {
    if (this.#spare.length < MAX_SPARE_EXCHANGES) this.#spare.push(exchange);
  }

  countRefused(failure: Failure, entry: ServicePortState, caller: Caller): void {
    this.#onRefused?.(failure, entry, caller);
    this.refused.set(failure, (this.refused.get(failure) ?? 0) + 1);
  }

  becomesHttp2(connection: Http1CallerConnection, unread: Buffer): void {
    this.#connections.delete(connection);
    const { reader, entry } = connection;
    const http2 = new Http2CallerConnection(reader, entry, this.#shared, this);
    this.#connections.add(http2);
    http2.start(unread);
  }

  forget(connection: CallerConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#drained?.();
  }

  #scheduleTick(): void {
    this.#tick = this.#shared.clock.after(TICK_MS, () => {
      const now = this.#shared.clock.now();
      for (const connection of this.#connections) connection.checkDeadline(now);
      this.#shared.sessions.expire(now);
      this.#shared.pools.expire(now);
      this.#scheduleTick();
    });
  }
}
