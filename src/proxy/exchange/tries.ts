/**
 * The tries of a request: at which endpoint, over which connection, and whether another follows when one came to nothing.
 *
 *   start → (limiter's wait) → dispatch: endpoint → (wait for a connection) → try, sent at once or when it is connected
 *         → takesAnswer, or onTryFailed and onAnswerDeclined → dispatch, as long as another may help and does no harm
 *
 * What the caller gets in the end, the exchange decides.
 */
import type { Timer } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import type { ConnectionLimit, ConnectionWaiter } from "../middleware/connection-limit/connection-limit.ts";
import { isIdempotent, mayRepeatSilently, maySendAgain } from "../middleware/retry/retry.ts";
import type { Decision, EndpointState, ServicePortState } from "../router/types.ts";
import type { ExchangeTrace } from "../tracing/exchange-trace.ts";
import type { UpstreamConnection } from "../upstream/upstream-connection.ts";
import type { HttpShared } from "./http-options.ts";
import { Http1Try } from "./http1/http1-try.ts";
import { Http2Try } from "./http2/http2-try.ts";
import type { OutgoingRequest } from "./outgoing-request.ts";
import { shortestTimeout } from "./path-timeouts.ts";
import type { AnswerOwner, TryOwner, UpstreamTry } from "./upstream-try.ts";

/** The exchange, as it has its request tried. */
export interface TriesOwner extends AnswerOwner {
  readonly ended: boolean;
  /** The clock's time when a byte last moved. */
  readonly lastMoveAt: number;
  readonly isTunnel: boolean;
  /** The caller has some of an answer: it can have no other. */
  readonly isAnswering: boolean;
  /** The answer's head is here, whether the caller is to have it or not. */
  onAnswerHead(): void;
  /** The answer that the caller has a part of broke. @param status of it; @param resetCode of HTTP/2 (RFC 9113 §7) */
  onAnswerBroken(failure: Failure, status: number, resetCode: number | undefined): void;
  /** No other try follows, and the caller has nothing yet. */
  refuse(failure: Failure): void;
}

/** Each is one object for all requests of an exchange. */
export interface TriedRequest {
  readonly decision: Decision;
  readonly outgoing: OutgoingRequest;
  /** Undefined where there is no tracing. */
  readonly trace: ExchangeTrace | undefined;
}

/** Owned by the exchange and reused. */
export class Tries implements TryOwner, ConnectionWaiter {
  readonly #owner: TriesOwner;
  readonly #shared: HttpShared;
  readonly #decision: Decision;
  readonly #trace: ExchangeTrace | undefined;
  readonly outgoing: OutgoingRequest;
  /** Tries made. */
  attempts = 0;
  /** Not to be picked again. */
  readonly #tried: EndpointState[] = [];
  /** Of the try under way, or of the last. */
  endpoint: EndpointState | undefined;
  /** Where that is measured. */
  #triedAt = 0;
  readonly #http1: Http1Try;
  #http2: Http2Try | undefined;
  /** The try under way. */
  current: UpstreamTry | undefined;
  /** The head, and perhaps more, went out with it. */
  sent = false;
  /** It may not use a connection that has served before: the last one turned out closed. */
  #fresh = false;
  /** For the limiter, or for a connection. */
  #waiting: Timer | undefined;
  /** Where it waits for a connection. */
  #queue: ConnectionLimit | undefined;
  #timer: Timer | undefined;
  /** Made once, not for each request. */
  readonly #onWaitedTooLong = () => this.#owner.refuse("Overloaded");
  readonly #onTimeout = () => this.#timedOut();

  /** @param request what its owner keeps about each request, filled before `start` */
  constructor(owner: TriesOwner, shared: HttpShared, { decision, trace, outgoing }: TriedRequest) {
    this.#owner = owner;
    this.#shared = shared;
    this.#decision = decision;
    this.#trace = trace;
    this.outgoing = outgoing;
    this.#http1 = new Http1Try(this, owner, shared.pools, shared.answerHead);
  }

  /** For another request. */
  begin(): void {
    this.attempts = 0;
    if (this.#tried.length > 0) this.#tried.length = 0;
    this.endpoint = undefined;
    this.current = undefined;
    this.sent = false;
    this.#fresh = false;
  }

  /** The request is admitted and written. @param waitMs how long a limiter holds it back; @param now the clock's time */
  start(waitMs: number, now: number): void {
    const { path } = this.#decision;
    for (let index = 0; index < path.length; index++) path[index]?.retry?.budget.note(now);
    if (waitMs === 0) this.#dispatch();
    else this.#wait(waitMs);
  }

  // ── where it is tried ──

  #wait(ms: number): void {
    this.#pauseCaller();
    this.#waiting = this.#shared.clock.after(ms, () => {
      this.#waiting = undefined;
      this.#dispatch();
    });
  }

  /** @param isTurn it has waited for a connection, and another may be free now */
  #dispatch(isTurn = false): void {
    const endpoint = this.#shared.table.pick(this.#decision.endpoints, this.#tried);
    if (endpoint === undefined) {
      this.#owner.refuse("NoEndpoint");
      return;
    }
    if (endpoint.owner.connections.full) this.#dispatchWithin(endpoint.owner, endpoint, isTurn);
    else this.#tryAt(endpoint);
  }

  /** At the limit of connections: over one that is open already, if need be by waiting for it. */
  #dispatchWithin(owner: ServicePortState, picked: EndpointState, isTurn: boolean): void {
    const endpoint = this.#isConnected(picked) ? picked : this.#connectedEndpoint();
    if (endpoint !== undefined) {
      this.#tryAt(endpoint);
      return;
    }
    const { pools, sessions, clock } = this.#shared;
    // One that waits where this call cannot use it makes room once it is closed.
    if (!pools.closeIdle(owner.endpoints)) sessions.closeIdle(owner.endpoints);
    // Who had a place before has it still: another try is no other call.
    if (!owner.connections.enqueue(this, isTurn || this.#fresh || this.attempts > 0)) {
      this.#owner.refuse("Overloaded");
      return;
    }
    this.#queue = owner.connections;
    this.#waiting ??= clock.after(pools.connectTimeoutMs(owner), this.#onWaitedTooLong);
    this.#pauseCaller();
  }

  onTurn(): void {
    this.#queue = undefined;
    this.#dispatch(true);
  }

  /** The least busy of those that can be called without another connection. */
  #connectedEndpoint(): EndpointState | undefined {
    const { endpoints } = this.#decision;
    let least: EndpointState | undefined;
    for (let index = 0; index < endpoints.length; index++) {
      const endpoint = endpoints[index] as EndpointState;
      if (endpoint.removed || endpoint.ejected || this.#tried.includes(endpoint)) continue;
      if ((least === undefined || endpoint.outstanding < least.outstanding) && this.#isConnected(endpoint))
        least = endpoint;
    }
    return least;
  }

  #isConnected(endpoint: EndpointState): boolean {
    const { pools, sessions } = this.#shared;
    if (this.#usesHttp2(endpoint)) return sessions.hasRoom(endpoint);
    return !this.#fresh && pools.hasIdle(endpoint, isIdempotent(this.outgoing.method));
  }

  #usesHttp2(endpoint: EndpointState): boolean {
    const { scheme, upgrade } = this.outgoing;
    if (scheme !== "https") return scheme === "h2c";
    return !upgrade && this.#shared.sessions.speaksHttp2(endpoint);
  }

  // ── a try ──

  #tryAt(endpoint: EndpointState): void {
    this.#waiting?.cancel();
    this.#waiting = undefined;
    this.endpoint = endpoint;
    endpoint.outstanding++;
    this.attempts++;
    this.#trace?.tryBegins(endpoint);
    if (endpoint.owner.balancer.measures) this.#triedAt = this.#shared.clock.now();
    const tryMs = shortestTimeout(this.#decision.path, "tryMs");
    if (tryMs > 0) this.#timer = this.#shared.clock.after(tryMs, this.#onTimeout);
    if (this.#beginTry(endpoint)) this.#send();
    else this.#pauseCaller();
  }

  /** @returns whether it can send at once */
  #beginTry(endpoint: EndpointState): boolean {
    const { pools } = this.#shared;
    if (this.#usesHttp2(endpoint)) {
      const http2 = this.#http2Try();
      this.current = http2;
      return http2.begin(endpoint, this.#fresh);
    }
    this.current = this.#http1;
    const idempotent = isIdempotent(this.outgoing.method);
    const waiting = this.#fresh ? undefined : pools.takeIdle(endpoint, this.#http1, idempotent);
    this.#http1.begin(endpoint, waiting);
    return waiting !== undefined;
  }

  #http2Try(): Http2Try {
    this.#http2 ??= new Http2Try(this, this.#owner, this.#shared.sessions, this.#shared.answerFields);
    return this.#http2;
  }

  onTryReady(): void {
    this.#send();
  }

  onHttp2(connection: UpstreamConnection): void {
    const http2 = this.#http2Try();
    this.current = http2;
    http2.adopt(connection);
  }

  #send(): void {
    this.sent = true;
    const { outgoing } = this;
    const content = outgoing.content.joined();
    outgoing.noteSent();
    this.#trace?.trySends(outgoing, this.current === this.#http1 ? "1.1" : "2");
    const flowing = (this.current as UpstreamTry).sendHead(content, outgoing.done, outgoing.trailers);
    if (this.#owner.ended) return;
    const { downstream } = this.#owner;
    if (flowing) downstream.resumeReading();
    else downstream.pauseReading();
  }

  /** What is still to come of the content stays with the caller until it can be sent. */
  #pauseCaller(): void {
    if (!this.outgoing.done) this.#owner.downstream.pauseReading();
  }

  // ── what comes of it ──

  takesAnswer(status: number): boolean {
    this.#timer?.cancel();
    this.#timer = undefined;
    const endpoint = this.endpoint as EndpointState;
    const { balancer } = endpoint.owner;
    this.#owner.onAnswerHead();
    this.#trace?.tryAnswers(status);
    balancer.answered(endpoint, status, balancer.measures ? this.#shared.clock.now() - this.#triedAt : 0);
    // An endpoint that answers may have acted, whatever it says.
    if (status < 400 || !this.outgoing.content.repeatable || !isIdempotent(this.outgoing.method)) return true;
    return !this.#takeRetry("UpstreamReset", status, true);
  }

  onAnswerDeclined(whole: boolean): void {
    if (whole) this.finish(this.#owner.lastMoveAt);
    else this.drop();
    this.#trace?.tryEnds("");
    this.sent = false;
    this.#tried.push(this.#leaveEndpoint());
    this.#dispatch();
  }

  onTryUnplaced(): void {
    this.drop();
    this.#trace?.tryIsVoid();
    this.#leaveEndpoint();
    this.attempts--;
    this.#dispatch();
  }

  #timedOut(): void {
    this.#timer = undefined;
    if (!this.#owner.ended) this.onTryFailed(this.sent ? "ResponseTimeout" : "ConnectTimeout", false);
  }

  /** Another try, or our own answer, or a broken connection. */
  onTryFailed(failure: Failure, untouched: boolean): void {
    const failed = this.current;
    const resetCode = failed?.resetCode;
    const reused = failed?.reused === true;
    const answerBegun = failed?.answerBegun === true;
    const status = failed?.status ?? 0;
    this.drop();
    this.#trace?.tryEnds(failure);
    if (this.#owner.isAnswering) {
      this.#owner.onAnswerBroken(failure, status, resetCode);
      return;
    }
    const endpoint = this.#leaveEndpoint();
    const wasSent = this.sent;
    const sent = wasSent && !untouched;
    const replayable = this.outgoing.content.repeatable;
    const idempotent = isIdempotent(this.outgoing.method);
    this.sent = false;
    const gaveUp = failure === "ResponseTimeout";
    if (reused && !gaveUp && replayable && !answerBegun && mayRepeatSilently(idempotent, replayable, sent)) {
      // The endpoint closed an unused connection while we took it: no try of the user's is spent on that.
      this.attempts--;
      this.#fresh = true;
      // Of a stream that was reset, the endpoint is more to blame than the moment.
      if (resetCode !== undefined) endpoint.owner.balancer.failed(endpoint, failure);
      this.#dispatch();
      return;
    }
    endpoint.owner.balancer.failed(endpoint, failure);
    const harmless = replayable && maySendAgain({ failure, sent, idempotent, replayable, answerBegun });
    // An endpoint that was taken out of the configuration meanwhile fails for our reasons, not for its own.
    if (harmless && (endpoint.removed || this.#takeRetry(failure, 0, wasSent))) {
      this.#tried.push(endpoint);
      this.#dispatch();
      return;
    }
    this.endpoint = endpoint;
    endpoint.outstanding++;
    this.#owner.refuse(failure);
  }

  /**
   * Another try, if one of the service ports passed gives one.
   * @param status of the answer that is to be replaced; 0: none, and `failure` says what became of the try
   * @param wasSent the endpoint got the request: what it gets again is a load, and its budget is asked
   */
  #takeRetry(failure: Failure, status: number, wasSent: boolean): boolean {
    const { path } = this.#decision;
    for (let index = 0; index < path.length; index++) {
      const retry = path[index]?.retry;
      if (retry === undefined || this.attempts >= retry.attempts || !retry.covers(failure, status)) continue;
      if (!wasSent || retry.budget.take(this.#shared.clock.now())) return true;
    }
    return false;
  }

  #leaveEndpoint(): EndpointState {
    const endpoint = this.endpoint as EndpointState;
    endpoint.outstanding--;
    this.endpoint = undefined;
    return endpoint;
  }

  // ── ends ──

  /** The answer is whole. @param now the clock's time. @returns its status */
  finish(now: number): number {
    const done = this.current as UpstreamTry;
    this.current = undefined;
    done.finish(this.outgoing.done, now);
    return done.status;
  }

  /** Gives up the try under way. */
  drop(): void {
    const dropped = this.current;
    this.current = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    // A tunnel's last bytes still leave.
    if (this.#owner.isTunnel) dropped?.dropTunnel();
    else dropped?.drop(this.sent && !this.outgoing.done);
  }

  /** Gives up whatever is under way or waited for. `endpoint` still says where the last try was. */
  end(): void {
    this.#waiting?.cancel();
    this.#waiting = undefined;
    this.#queue?.leave(this);
    this.#queue = undefined;
    this.drop();
    if (this.endpoint !== undefined) this.endpoint.outstanding--;
  }
}
