/**
 * One request and its answer, on the way through the proxy. The exchange is the state machine between the two sockets:
 *
 *   begin → (request bytes) → start: route, access, rate limit, breaker → dispatch: endpoint, connection, request sent
 *         → answer's head → answer's body → completed
 *
 * with an edge to `refuse` before dispatch, to `attemptFailed` (another try, or an answer of ours) until the answer's
 * head went out, and to `abort` after that, when only a broken connection can still tell the caller the truth.
 * Bodies are passed on as they come; whoever is slower stops the other side's reading.
 */
import type { HeaderChange } from "../../config/mesh-config.ts";
import type { Timer } from "../../model/clock.ts";
import { FAILURES, type Failure } from "../../model/failures.ts";
import { BodyReader } from "../http1/body-reader.ts";
import type { HeadParser } from "../http1/head-parser.ts";
import { isIdempotent, mayRepeatSilently, mayRetry } from "../middleware/retry/retry.ts";
import { newDecision } from "../router/route-table.ts";
import type { Caller, Decision, EndpointState, ServicePortState } from "../router/types.ts";
import { resetSocket } from "../upstream/reset-socket.ts";
import type { UpstreamConnection, UpstreamUser } from "../upstream/upstream-connection.ts";
import { admit, newAdmission } from "./admission.ts";
import { AnswerRelay } from "./answer-relay.ts";
import type { Downstream } from "./downstream.ts";
import type { ExchangeRecord } from "./exchange-record.ts";
import { failureAnswer, type OwnAnswerOptions, redirectAnswer } from "./failure-answer.ts";
import { requestHead } from "./forwarded-head.ts";
import type { HttpShared } from "./http-options.ts";
import type { ParsedRequestView } from "./request-view.ts";
import { planRoute, type RoutePlan } from "./route-plan.ts";

const NO_CHANGES: readonly HeaderChange[] = [];

export class Exchange implements UpstreamUser, ExchangeRecord {
  readonly #shared: HttpShared;
  readonly #decision: Decision = newDecision();
  readonly #admission = newAdmission();
  readonly #requestBody = new BodyReader();
  readonly #answer: AnswerRelay;
  #downstream: Downstream | undefined;

  // the request
  entry!: ServicePortState;
  caller!: Caller;
  method = "";
  target = "";
  minor = 1;
  #keepAlive = false;
  upgrade = false;
  #head = "";
  #requestDone = false;
  /** Body bytes that no endpoint has yet; kept after sending while the request can be repeated with them. */
  #held: Buffer | undefined;

  // the tries
  attempts = 0;
  readonly #tried: EndpointState[] = [];
  endpoint: EndpointState | undefined;
  #upstream: UpstreamConnection | undefined;
  /** The head, and perhaps more, went out on the connection of this try. */
  #sent = false;
  /** This try may not use a waiting connection: the last one turned out closed. */
  #fresh = false;
  #waiting: Timer | undefined;
  #requestTimer: Timer | undefined;

  // the end
  status = 0;
  failure: Failure | "" = "";
  #startedAt = 0;
  durationMs = 0;
  #tunnel = false;
  #ended = false;
  /** The shared tick's time when a byte last moved, for the body time-out. */
  lastMoveAt = 0;

  constructor(shared: HttpShared) {
    this.#shared = shared;
    this.#answer = new AnswerRelay(shared.answerParser);
  }

  get path(): readonly ServicePortState[] {
    return this.#decision.path;
  }

  get wouldDeny(): boolean {
    return this.#decision.wouldDeny;
  }

  /** All of the request has been read. */
  get requestDone(): boolean {
    return this.#requestDone;
  }

  get isTunnel(): boolean {
    return this.#tunnel;
  }

  /** Takes up a request whose head was just parsed. */
  begin(downstream: Downstream, parser: HeadParser, bytes: Buffer): void {
    this.#downstream = downstream;
    this.entry = downstream.entry;
    this.caller = downstream.caller;
    this.method = bytes.toString("latin1", parser.methodStart, parser.methodEnd);
    this.target = bytes.toString("latin1", parser.targetStart, parser.targetEnd);
    this.minor = parser.minor;
    this.#keepAlive = !parser.close && (parser.minor === 1 || parser.keepAlive);
    this.upgrade = parser.upgrade;
    this.#requestBody.begin(parser.framing, parser.contentLength);
    this.#requestDone = this.#requestBody.done;
    this.#held = undefined;
    this.attempts = 0;
    this.#tried.length = 0;
    this.endpoint = undefined;
    this.#upstream = undefined;
    this.#sent = false;
    this.#fresh = false;
    this.status = 0;
    this.failure = "";
    this.#tunnel = false;
    this.#ended = false;
    this.#startedAt = this.#shared.clock.now();
    this.lastMoveAt = this.#startedAt;
    this.#answer.begin();
  }

  /**
   * Routes the request and sends it on its way. The parser still holds its head; the first bytes of its body, as many
   * as came with the head, have been given to `onRequestBytes`.
   */
  start(parser: HeadParser, bytes: Buffer, headStart: number, headEnd: number, view: ParsedRequestView): void {
    const { table, server } = this.#shared;
    const decision = this.#decision;
    view.set(bytes, this.method, bytes.toString("latin1", parser.pathStart, parser.targetEnd));
    table.routeHttp(this.entry, this.caller, view, decision);
    if (decision.failure !== "") {
      this.#refuse(decision.failure);
      return;
    }
    let plan: RoutePlan | undefined;
    if (decision.routes.length > 0) {
      plan = planRoute(decision, view, this.entry.config);
      if (plan.location !== "") {
        this.#redirect(plan);
        return;
      }
    }
    const admission = this.#admission;
    admit(decision.path, this.caller.address, admission);
    if (admission.failure !== "") {
      this.#refuse(admission.failure, admission.retryAfterSeconds);
      return;
    }
    const { config } = this.entry;
    this.#head = requestHead(parser, bytes.toString("latin1", headStart, headEnd), headStart, {
      server,
      callerAddress: this.caller.address,
      port: config.port,
      defaultHost: `${config.service}.${config.namespace}`,
      path: plan?.target,
      host: plan?.host,
      changes: plan?.requestChanges ?? NO_CHANGES,
    });
    this.#answer.changes = plan?.answerChanges ?? NO_CHANGES;
    if (plan !== undefined && plan.timeoutMs > 0)
      this.#requestTimer = this.#shared.clock.after(plan.timeoutMs, () => this.#timedOut());
    if (admission.waitMs === 0) this.#dispatch();
    else this.#wait(admission.waitMs);
  }

  /**
   * Body bytes of the request, or anything at all of a tunnel.
   * @returns index after those that belong to this request
   */
  onRequestBytes(bytes: Buffer, from: number, end: number): number {
    this.lastMoveAt = this.#shared.clock.now();
    if (this.#tunnel) {
      this.#sendUpstream(bytes.subarray(from, end));
      return end;
    }
    const body = this.#requestBody;
    const at = body.read(bytes, from, end);
    if (body.bad) {
      this.#badRequestBody();
      return at;
    }
    let pass = bytes.subarray(from, body.passEnd);
    if (body.done) {
      this.#requestDone = true;
      if (body.trailer.length > 0) pass = Buffer.concat([pass, body.trailer]);
    }
    if (pass.length > 0) {
      if (this.#sent) this.#sendUpstream(pass);
      else this.#hold(pass);
    }
    return at;
  }

  /** The caller ended its side. It still gets its answer if the request was whole. */
  onDownstreamEnd(): void {
    if (this.#tunnel) this.#upstream?.socket.end();
    else if (!this.#requestDone) this.#badRequestBody();
  }

  /** The caller's connection is gone. */
  onDownstreamClose(): void {
    if (!this.#ended) {
      if (this.failure === "") this.failure = "ClientGone";
      this.#end();
    }
    this.#downstream = undefined;
  }

  onDownstreamDrain(): void {
    this.lastMoveAt = this.#shared.clock.now();
    this.#upstream?.socket.resume();
  }

  /** Ends the exchange where a body that should move has not for too long. Called by the engine's tick. */
  checkProgress(now: number): void {
    const downstream = this.#downstream;
    if (downstream === undefined || now - this.lastMoveAt < this.#shared.limits.bodyTimeoutMs) return;
    if (this.#tunnel) {
      // A tunnel may be silent for ever, but not with one side gone.
      if (downstream.socket.readableEnded || this.#upstream?.socket.readableEnded) this.#abort("ClientGone");
      return;
    }
    const waitsForCaller = downstream.socket.writableNeedDrain || (!this.#requestDone && !downstream.socket.isPaused());
    if (!waitsForCaller) return;
    if (this.#answer.started) this.#abort("BodyTimeout");
    else {
      this.#dropUpstream();
      this.#refuse("BodyTimeout");
    }
  }

  // ── the upstream side ──

  onUpstreamConnect(): void {
    this.#send();
  }

  onUpstreamData(bytes: Buffer, length: number): void {
    this.lastMoveAt = this.#shared.clock.now();
    const downstream = this.#downstream as Downstream;
    if (this.#tunnel) {
      this.#flow(downstream.socket.write(Buffer.from(bytes.subarray(0, length))));
      return;
    }
    const outcome = this.#answer.onBytes(this, downstream.socket, bytes, length);
    if (outcome === "malformed") this.#attemptFailed("UpstreamMalformed");
    else if (outcome === "switched") this.#openTunnel();
    else if (outcome === "done") this.#completed();
    else this.#flow(!downstream.socket.writableNeedDrain);
  }

  onUpstreamEnd(): void {
    if (this.#tunnel) this.#downstream?.socket.end();
    else if (this.#answer.onEnd((this.#downstream as Downstream).socket)) this.#completed();
    else this.#attemptFailed("UpstreamReset");
  }

  onUpstreamFailure(failure: Failure): void {
    if (this.#tunnel) this.#abort(failure);
    else this.#attemptFailed(failure);
  }

  onUpstreamDrain(): void {
    this.lastMoveAt = this.#shared.clock.now();
    this.#downstream?.resumeReading();
  }

  // ── steps ──

  #wait(ms: number): void {
    if (!this.#requestDone) this.#downstream?.pauseReading();
    this.#waiting = this.#shared.clock.after(ms, () => {
      this.#waiting = undefined;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    const { table, pools } = this.#shared;
    const endpoint = table.pick(this.#decision.endpoints, this.#tried);
    if (endpoint === undefined) {
      this.#refuse("NoEndpoint");
      return;
    }
    this.endpoint = endpoint;
    endpoint.outstanding++;
    this.attempts++;
    this.#connect(this.#fresh ? undefined : pools.takeIdle(endpoint, this, isIdempotent(this.method)), endpoint);
  }

  #connect(waiting: UpstreamConnection | undefined, endpoint: EndpointState): void {
    if (waiting !== undefined) {
      this.#upstream = waiting;
      this.#send();
      return;
    }
    this.#upstream = this.#shared.pools.open(endpoint, this);
    if (!this.#requestDone) this.#downstream?.pauseReading();
  }

  #send(): void {
    const socket = (this.#upstream as UpstreamConnection).socket;
    this.#sent = true;
    let flowing: boolean;
    if (this.#held === undefined) flowing = socket.write(this.#head, "latin1");
    else {
      socket.cork();
      socket.write(this.#head, "latin1");
      flowing = socket.write(this.#held);
      socket.uncork();
      if (!this.#requestDone) this.#held = undefined;
    }
    if (flowing) this.#downstream?.resumeReading();
    else this.#downstream?.pauseReading();
  }

  #hold(bytes: Buffer): void {
    this.#held = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes]);
    // One read's worth is kept while the endpoint is being reached; the rest stays with the caller.
    if (!this.#requestDone) this.#downstream?.pauseReading();
  }

  #sendUpstream(bytes: Buffer): void {
    const socket = this.#upstream?.socket;
    if (socket === undefined || socket.destroyed) return;
    if (!socket.write(bytes)) this.#downstream?.pauseReading();
  }

  /** Stops or keeps reading from the endpoint, as the caller takes it. */
  #flow(flowing: boolean): void {
    if (!flowing) this.#upstream?.socket.pause();
  }

  #openTunnel(): void {
    this.#tunnel = true;
    this.status = 101;
    const unread = this.#downstream?.takeUnreadBytes();
    if (unread !== undefined) this.#sendUpstream(unread);
    // The caller may have ended its side while it waited for the answer.
    if (this.#downstream?.socket.readableEnded) this.#upstream?.socket.end();
    this.#downstream?.resumeReading();
  }

  // ── ends ──

  #completed(): void {
    const upstream = this.#upstream as UpstreamConnection;
    const answer = this.#answer;
    this.status = answer.status;
    this.#upstream = undefined;
    if (answer.upstreamReusable && this.#requestDone) this.#shared.pools.release(upstream);
    // An answer before the whole request is a no; what is still coming would be read as the next request there.
    else upstream.destroy();
    this.#end();
    this.#downstream?.exchangeEnded(!answer.close && this.#requestDone);
  }

  /** The try came to nothing. Another one, or our own answer, or a broken connection. */
  #attemptFailed(failure: Failure): void {
    const upstream = this.#upstream;
    const reused = upstream?.reused === true;
    this.#dropUpstream();
    if (this.#answer.started) {
      this.#abort(failure);
      return;
    }
    const endpoint = this.endpoint as EndpointState;
    endpoint.outstanding--;
    this.endpoint = undefined;
    const sent = this.#sent;
    const replayable = !sent || this.#requestDone;
    const answerBegun = this.#answer.anyByte;
    const idempotent = isIdempotent(this.method);
    this.#sent = false;
    if (reused && !answerBegun && mayRepeatSilently(idempotent, replayable, sent)) {
      // The endpoint closed an unused connection while we took it: no try of the user's is spent on that.
      this.attempts--;
      this.#fresh = true;
      this.#answer.begin();
      this.#dispatch();
      return;
    }
    // An endpoint that was taken out of the configuration meanwhile fails for our reasons, not for its own.
    const allowed = endpoint.removed ? this.attempts + 1 : this.#attemptsAllowed();
    if (mayRetry({ failure, attempts: this.attempts, allowed, sent, idempotent, replayable, answerBegun })) {
      this.#tried.push(endpoint);
      this.#answer.begin();
      this.#dispatch();
      return;
    }
    this.endpoint = endpoint;
    endpoint.outstanding++;
    this.#refuse(failure);
  }

  #attemptsAllowed(): number {
    let allowed = 1;
    for (const { attempts } of this.#decision.path) if (attempts > allowed) allowed = attempts;
    return allowed;
  }

  #timedOut(): void {
    this.#requestTimer = undefined;
    if (this.#ended) return;
    this.#dropUpstream();
    if (this.#answer.started) this.#abort("ResponseTimeout");
    else this.#refuse("ResponseTimeout");
  }

  /** The request's body broke its framing, or ended early. The endpoint must not take what it has for all of it. */
  #badRequestBody(): void {
    if (this.#ended) return;
    this.#dropUpstream();
    if (this.#answer.started) this.#abort("BadRequest");
    else this.#refuse("BadRequest");
  }

  /** Our own answer with the failure's status. */
  #refuse(failure: Failure, retryAfterSeconds = 0): void {
    this.failure = failure;
    const options = this.#ownAnswerOptions();
    this.#answerOurselves(failureAnswer(failure, retryAfterSeconds, options), FAILURES[failure].status, options.close);
  }

  #redirect(plan: RoutePlan): void {
    const options = this.#ownAnswerOptions();
    this.#answerOurselves(redirectAnswer(plan.status, plan.location, options), plan.status, options.close);
  }

  #ownAnswerOptions(): OwnAnswerOptions {
    return { head: this.method === "HEAD", close: !this.#mayKeepAlive(), wallMs: this.#shared.clock.wall() };
  }

  #answerOurselves(answer: string, status: number, close: boolean): void {
    this.status = status;
    this.#downstream?.socket.write(answer, "latin1");
    this.#end();
    this.#downstream?.exchangeEnded(!close);
  }

  /** Whether the connection can serve another request after this one's answer. */
  #mayKeepAlive(): boolean {
    return this.#keepAlive && this.#requestDone && !this.#requestBody.bad && !this.#shared.draining;
  }

  /** For the answer's head, when it is written. */
  get keepsAlive(): boolean {
    return this.#mayKeepAlive() && !this.entry.removed;
  }

  /** The caller has part of an answer: only a reset says that no more comes. */
  #abort(failure: Failure): void {
    if (this.#ended) return;
    this.failure = failure;
    this.status = this.#answer.status;
    this.#end();
    if (this.#downstream !== undefined) resetSocket(this.#downstream.socket);
  }

  #dropUpstream(): void {
    // A tunnel's last bytes still leave.
    if (this.#tunnel) this.#upstream?.release();
    // With a reset: a request cut short must not look whole to the endpoint.
    else if (this.#sent && !this.#requestDone) this.#upstream?.reset();
    else this.#upstream?.destroy();
    this.#upstream = undefined;
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting?.cancel();
    this.#requestTimer?.cancel();
    this.#waiting = this.#requestTimer = undefined;
    if (this.#upstream !== undefined) this.#dropUpstream();
    if (this.endpoint !== undefined) this.endpoint.outstanding--;
    this.#held = undefined;
    this.durationMs = this.#shared.clock.now() - this.#startedAt;
    this.#recordOutcome();
    this.#shared.onExchange?.(this);
  }

  /** Breakers judge what came of the endpoints, not what policy or the caller ended. */
  #recordOutcome(): void {
    const failure = this.failure;
    if (failure !== "" && FAILURES[failure].fault !== "upstream") return;
    if (this.attempts === 0) return;
    for (const { breaker } of this.#decision.path) breaker?.record(this.status, this.durationMs);
  }
}
