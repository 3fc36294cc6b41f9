/**
 * One request and its answer, on the way through the proxy. The exchange is the state machine between the two sides,
 * whatever each of them speaks:
 *
 *   begin: route → (content) → start: access, rate limit, breaker → dispatch: endpoint, connection, request sent
 *         → answer's head → answer's content → answered
 *
 * with an edge to `refuse` before dispatch, to `onTryFailed` (another try, or an answer of ours) until the answer's
 * head went out, and to `abort` after that, when only a broken connection can still tell the caller the truth.
 * Content is passed on as it comes; whoever is slower stops the other side's reading.
 */
import type { HeaderChange, Origin } from "../../config/mesh-config.ts";
import type { Timer } from "../../model/clock.ts";
import { FAILURES, type Failure } from "../../model/failures.ts";
import type { ConnectionLimit, ConnectionWaiter } from "../middleware/connection-limit/connection-limit.ts";
import { isIdempotent, mayRepeatSilently, maySendAgain } from "../middleware/retry/retry.ts";
import { newDecision } from "../router/route-table.ts";
import type { Caller, Decision, EndpointState, ServicePortState } from "../router/types.ts";
import { ExchangeTrace } from "../tracing/exchange-trace.ts";
import type { UpstreamConnection } from "../upstream/upstream-connection.ts";
import { admit, newAdmission } from "./admission.ts";
import type { Downstream } from "./downstream.ts";
import type { ExchangeRecord, HttpProtocol } from "./exchange-record.ts";
import { grpcStatusOf } from "./grpc-status.ts";
import type { HttpShared } from "./http-options.ts";
import { Http1Try } from "./http1/http1-try.ts";
import { Http2Try } from "./http2/http2-try.ts";
import type { AddedFields, ForwardOptions, RequestHead } from "./message-heads.ts";
import { failureAnswer, type OwnAnswer, ownContent, redirectAnswer } from "./own-answer.ts";
import { shortestTimeout } from "./path-timeouts.ts";
import { RequestContent } from "./request-content.ts";
import { planRoute, type RoutePlan } from "./route-plan.ts";
import type { OutgoingRequest, TryOwner, UpstreamTry } from "./upstream-try.ts";

const NO_CHANGES: readonly HeaderChange[] = [];
const NO_FIELDS: readonly string[] = [];
const NOTHING_ADDED: AddedFields = { addedLines: "", addedFields: NO_FIELDS };
type Scheme = ServicePortState["config"]["scheme"];

export class Exchange implements TryOwner, ExchangeRecord, ConnectionWaiter {
  readonly #shared: HttpShared;
  readonly #decision: Decision = newDecision();
  readonly #admission = newAdmission();
  /** Undefined where there is no tracing. */
  readonly #trace: ExchangeTrace | undefined;
  #downstream: Downstream | undefined;

  // the request
  entry!: ServicePortState;
  caller!: Caller;
  protocol: HttpProtocol = "HTTP/1.1";
  method = "";
  target = "";
  host = "";
  /** What readers of the record asked for, and what the request has of that. */
  #fieldNames = NO_FIELDS;
  readonly #fieldValues: (string | undefined)[] = [];
  #upgrade = false;
  /** How the endpoints are spoken to. */
  #scheme: Scheme = "http";
  readonly outgoing: { -readonly [Key in keyof OutgoingRequest]: OutgoingRequest[Key] } = {
    method: "",
    text: "",
    fields: NO_FIELDS,
    framed: false,
    lengthKnown: true,
    upgrade: false,
    answerChanges: NO_CHANGES,
  };
  #requestDone = false;
  readonly #content: RequestContent;
  #trailers: readonly string[] | undefined;

  // the tries
  attempts = 0;
  readonly #tried: EndpointState[] = [];
  endpoint: EndpointState | undefined;
  /** Where that is measured. */
  #triedAt = 0;
  readonly #http1: Http1Try;
  #http2: Http2Try | undefined;
  #try: UpstreamTry | undefined;
  /** The head, and perhaps more, went out with this try. */
  #sent = false;
  /** This try may not use a connection that has served before: the last one turned out closed. */
  #fresh = false;
  /** For the limiter, or for a connection. */
  #waiting: Timer | undefined;
  /** Where it waits for a connection. */
  #queue: ConnectionLimit | undefined;
  #requestTimer: Timer | undefined;
  #tryTimer: Timer | undefined;
  /** Made once, not for each request. */
  readonly #onRequestTimeout = () => this.#timedOut();
  readonly #onWaitedTooLong = () => this.#refuse("Overloaded");
  readonly #onTryTimeout = () => this.#tryTimedOut();

  // the end
  status = 0;
  grpcStatus = -1;
  failure: Failure | "" = "";
  bytesUp = 0;
  bytesDown = 0;
  #startedAt = 0;
  durationMs = 0;
  firstByteMs = -1;
  #tunnel = false;
  #ended = false;
  /** The clock's time when a byte last moved, for the body time-out. */
  lastMoveAt = 0;

  constructor(shared: HttpShared) {
    this.#shared = shared;
    this.#trace = shared.tracer === undefined ? undefined : new ExchangeTrace(shared.tracer);
    this.#content = new RequestContent(shared.kept);
    this.#http1 = new Http1Try(this, shared.pools, shared.answerHead);
  }

  get downstream(): Downstream {
    return this.#downstream as Downstream;
  }

  get path(): readonly ServicePortState[] {
    return this.#decision.path;
  }

  get origin(): Origin | undefined {
    return this.#decision.origin;
  }

  get traceId(): string {
    return this.#trace === undefined ? "" : this.#trace.traceId;
  }

  get wouldDeny(): boolean {
    return this.#decision.wouldDeny;
  }

  requestField(name: string): string | undefined {
    const index = this.#fieldNames.indexOf(name);
    return index < 0 ? undefined : this.#fieldValues[index];
  }

  /** All of the request has been read. */
  get requestDone(): boolean {
    return this.#requestDone;
  }

  get isTunnel(): boolean {
    return this.#tunnel;
  }

  /** The content is wanted in the framing in which it comes, so long as that is HTTP/1.1's. */
  get wantsFraming(): boolean {
    return this.outgoing.framed;
  }

  get mayFollow(): boolean {
    return this.#requestDone && !this.#shared.draining && !this.entry.removed;
  }

  /** Takes up a request and routes it. Content that has come already is given to it next, then `start` is called. */
  begin(downstream: Downstream, head: RequestHead): void {
    this.#downstream = downstream;
    this.entry = downstream.entry;
    this.caller = downstream.caller;
    this.protocol = head.protocol;
    this.method = head.method;
    this.target = head.target;
    this.#takeWanted(head);
    this.#trace?.begin(head.view, head);
    this.#upgrade = head.upgrade;
    this.#requestDone = head.bodyless;
    this.#content.begin();
    this.#trailers = undefined;
    this.attempts = 0;
    if (this.#tried.length > 0) this.#tried.length = 0;
    this.endpoint = undefined;
    this.#try = undefined;
    this.#sent = false;
    this.#fresh = false;
    this.status = 0;
    this.grpcStatus = -1;
    this.failure = "";
    this.bytesUp = 0;
    this.bytesDown = 0;
    this.firstByteMs = -1;
    this.#tunnel = false;
    this.#ended = false;
    this.#startedAt = this.#shared.clock.now();
    this.lastMoveAt = this.#startedAt;
    this.#shared.table.routeHttp(this.entry, this.caller, head.view, this.#decision);
    this.#scheme = this.#decision.path.at(-1)?.config.scheme ?? "http";
    this.outgoing.framed = this.#scheme === "http" && downstream.takesFraming;
  }

  /** The head's bytes are the thread's: what the record is to have of them is taken now. */
  #takeWanted({ view }: RequestHead): void {
    const { host, requestFields } = this.#shared.wants;
    this.host = host ? (view.header("host") ?? "") : "";
    this.#fieldNames = requestFields;
    if (this.#fieldValues.length > 0) this.#fieldValues.length = 0;
    for (let index = 0; index < requestFields.length; index++)
      this.#fieldValues.push(view.header(requestFields[index] as string));
  }

  /** Sends the request on its way. Content that came before may be in a buffer that is overwritten after this. */
  start(head: RequestHead): void {
    this.#start(head);
    this.#content.own();
  }

  #start(head: RequestHead): void {
    if (this.#ended) return;
    const decision = this.#decision;
    if (decision.failure !== "") {
      this.#refuse(decision.failure);
      return;
    }
    let plan: RoutePlan | undefined;
    if (decision.changes) {
      plan = planRoute(decision, head.view, this.entry.config);
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
    this.#noteRequest();
    this.#prepare(head, plan);
    const timeoutMs = this.#requestTimeoutMs(plan);
    if (timeoutMs > 0) this.#requestTimer = this.#shared.clock.after(timeoutMs, this.#onRequestTimeout);
    if (admission.waitMs === 0) this.#dispatch();
    else this.#wait(admission.waitMs);
  }

  /** @returns 0 for no bound */
  #requestTimeoutMs(plan: RoutePlan | undefined): number {
    const ofPath = shortestTimeout(this.#decision.path, "requestMs");
    const ofRoutes = plan?.timeoutMs ?? 0;
    return ofPath === 0 || ofRoutes === 0 ? ofPath + ofRoutes : Math.min(ofPath, ofRoutes);
  }

  /** The head's bytes are the thread's: what goes out is written now, in each form that the endpoint may ask for. */
  #prepare(head: RequestHead, plan: RoutePlan | undefined): void {
    const { config } = this.entry;
    const scheme = this.#scheme;
    const options: ForwardOptions = {
      server: this.#shared.server,
      callerAddress: this.caller.address,
      port: config.port,
      scheme: scheme === "https" ? "https" : "http",
      defaultHost: `${config.service}.${config.namespace}`,
      path: plan?.target,
      host: plan?.host,
      changes: plan?.requestChanges ?? NO_CHANGES,
      added: this.#trace ?? NOTHING_ADDED,
    };
    const { outgoing } = this;
    outgoing.method = this.method;
    outgoing.lengthKnown = head.lengthKnown;
    // What asks for another protocol can only be sent in HTTP/1.1.
    outgoing.upgrade = this.#upgrade && scheme !== "h2c";
    outgoing.text = scheme === "h2c" ? "" : head.toHttp1(options);
    outgoing.fields = scheme === "http" || outgoing.upgrade ? NO_FIELDS : head.toHttp2(options);
    outgoing.answerChanges = plan?.answerChanges ?? NO_CHANGES;
    this.#trace?.prepare(outgoing);
  }

  // ── the caller's side ──

  /**
   * Content of the request, or anything at all of a tunnel.
   * @param bytes valid during the call
   * @param contentBytes how much of that is content, the rest being its framing
   */
  onContent(bytes: Buffer, contentBytes = bytes.length): void {
    this.lastMoveAt = this.#shared.clock.now();
    if (this.#ended || bytes.length === 0) return;
    this.bytesUp += contentBytes;
    if (this.#content.repeatable && !this.#tunnel) this.#keep(bytes);
    if (this.#sent) {
      if (this.#try?.sendContent(bytes) === false) this.#downstream?.pauseReading();
    } else if (!this.#requestDone) {
      // One read's worth is kept while the endpoint is being reached; the rest stays with the caller.
      this.#downstream?.pauseReading();
    }
  }

  onContentEnd(trailers: readonly string[] | undefined): void {
    if (this.#ended) return;
    this.#requestDone = true;
    this.#trailers = trailers;
    if (this.#sent) this.#try?.sendEnd(trailers);
    // Nothing more is to come of it, and who reads hears that the caller has gone.
    else this.#downstream?.resumeReading();
  }

  /** The request's content broke its framing, or ended early. The endpoint must not take what it has for all of it. */
  onBadContent(): void {
    if (this.#ended) return;
    this.#dropTry();
    if (this.#downstream?.answerStarted) this.#abort("BadRequest");
    else this.#refuse("BadRequest");
  }

  /** The caller ended its side. It still gets its answer if the request was whole. */
  onDownstreamEnd(): void {
    if (this.#tunnel) this.#try?.endTunnel();
    else if (!this.#requestDone) this.onBadContent();
  }

  /** The caller's connection is gone. */
  onDownstreamClose(failure: Failure = "ClientGone"): void {
    if (!this.#ended) {
      if (this.failure === "") this.failure = failure;
      this.#end();
    }
    this.#downstream = undefined;
  }

  onDownstreamDrain(): void {
    this.lastMoveAt = this.#shared.clock.now();
    this.#try?.resumeReading();
  }

  /** Ends the exchange where content that should move has not for too long. Called by the engine's tick. */
  checkProgress(now: number): void {
    const downstream = this.#downstream;
    if (downstream === undefined) return;
    const silentMs = now - this.lastMoveAt;
    const idleMs = this.#sent ? shortestTimeout(this.#decision.path, "idleMs") : 0;
    const isIdle = idleMs > 0 && silentMs >= idleMs;
    const isStuck = silentMs >= this.#shared.limits.bodyTimeoutMs;
    if (this.#tunnel) {
      // A tunnel may be silent for ever, but not with one side gone.
      if (isStuck && (downstream.ended || this.#try?.ended)) this.#abort("ClientGone");
      else if (isIdle) this.#abort("IdleTimeout");
      return;
    }
    const waitsForCaller =
      downstream.blocked || (!this.#requestDone && !downstream.readingPaused && !downstream.mayRest);
    if (waitsForCaller && (isStuck || isIdle)) this.#giveUp("BodyTimeout");
    else if (isIdle) this.#giveUp("IdleTimeout");
  }

  // ── the endpoint's side ──

  onTryReady(): void {
    this.#send();
  }

  takesAnswer(status: number): boolean {
    this.#tryTimer?.cancel();
    this.#tryTimer = undefined;
    const endpoint = this.endpoint as EndpointState;
    const { balancer } = endpoint.owner;
    this.firstByteMs = this.lastMoveAt - this.#startedAt;
    this.bytesDown = 0;
    this.#trace?.tryAnswers(status);
    balancer.answered(endpoint, status, balancer.measures ? this.#shared.clock.now() - this.#triedAt : 0);
    // An endpoint that answers may have acted, whatever it says.
    if (status < 400 || !this.#content.repeatable || !isIdempotent(this.method)) return true;
    return !this.#takeRetry("UpstreamReset", status, true);
  }

  onAnswerDeclined(whole: boolean): void {
    const declined = this.#try as UpstreamTry;
    if (whole) {
      this.#try = undefined;
      declined.finish(this.#requestDone, this.lastMoveAt);
    } else this.#dropTry();
    this.#trace?.tryEnds("");
    this.#sent = false;
    this.#tried.push(this.#leaveEndpoint());
    this.#dispatch();
  }

  onTryUnplaced(): void {
    this.#dropTry();
    this.#trace?.tryIsVoid();
    this.#leaveEndpoint();
    this.attempts--;
    this.#dispatch();
  }

  onTryProgress(): void {
    this.lastMoveAt = this.#shared.clock.now();
  }

  onAnswerContent(bytes: number): void {
    this.bytesDown += bytes;
  }

  onAnswerTrailers(fields: readonly string[]): void {
    this.grpcStatus = grpcStatusOf(fields);
  }

  onTryDrain(): void {
    this.lastMoveAt = this.#shared.clock.now();
    this.#downstream?.resumeReading();
  }

  onHttp2(connection: UpstreamConnection): void {
    const http2 = this.#http2Try();
    this.#try = http2;
    http2.adopt(connection);
  }

  onAnswered(): void {
    const { downstream } = this;
    const done = this.#try as UpstreamTry;
    this.status = done.status;
    this.#try = undefined;
    // The last byte came in this step, so there is no need to look at the clock again.
    const now = this.lastMoveAt;
    done.finish(this.#requestDone, now);
    this.#end(now);
    downstream.exchangeEnded(this.#requestDone, now);
  }

  onSwitched(): void {
    this.#tunnel = true;
    this.status = 101;
    // A tunnel lasts as long as its sides want.
    this.#requestTimer?.cancel();
    this.#requestTimer = undefined;
    const unread = this.#downstream?.takeUnreadBytes();
    if (unread !== undefined) this.onContent(unread);
    // The caller may have ended its side while it waited for the answer.
    if (this.#downstream?.ended) this.#try?.endTunnel();
    this.#downstream?.resumeReading();
  }

  onTunnelBytes(bytes: Buffer): void {
    this.bytesDown += bytes.length;
    if (this.#downstream?.writeTunnel(bytes) === false) this.#try?.pauseReading();
  }

  onTunnelEnd(): void {
    this.#downstream?.endTunnel();
  }

  /** The try came to nothing. Another one, or our own answer, or a broken connection. */
  onTryFailed(failure: Failure, untouched: boolean): void {
    const failed = this.#try;
    const resetCode = failed?.resetCode;
    const reused = failed?.reused === true;
    const answerBegun = failed?.answerBegun === true;
    const status = failed?.status ?? 0;
    this.#dropTry();
    this.#trace?.tryEnds(failure);
    if (this.#tunnel || this.#downstream?.answerStarted) {
      this.status = status;
      this.#abort(failure, resetCode);
      return;
    }
    const endpoint = this.#leaveEndpoint();
    const wasSent = this.#sent;
    const sent = wasSent && !untouched;
    const replayable = this.#content.repeatable;
    const idempotent = isIdempotent(this.method);
    this.#sent = false;
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
    this.#refuse(failure);
  }

  #leaveEndpoint(): EndpointState {
    const endpoint = this.endpoint as EndpointState;
    endpoint.outstanding--;
    this.endpoint = undefined;
    return endpoint;
  }

  // ── steps ──

  #wait(ms: number): void {
    if (!this.#requestDone) this.#downstream?.pauseReading();
    this.#waiting = this.#shared.clock.after(ms, () => {
      this.#waiting = undefined;
      this.#dispatch();
    });
  }

  /** @param isTurn it has waited for a connection, and another may be free now */
  #dispatch(isTurn = false): void {
    const endpoint = this.#shared.table.pick(this.#decision.endpoints, this.#tried);
    if (endpoint === undefined) {
      this.#refuse("NoEndpoint");
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
      this.#refuse("Overloaded");
      return;
    }
    this.#queue = owner.connections;
    this.#waiting ??= clock.after(pools.connectTimeoutMs(owner), this.#onWaitedTooLong);
    if (!this.#requestDone) this.#downstream?.pauseReading();
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
    return !this.#fresh && pools.hasIdle(endpoint, isIdempotent(this.method));
  }

  #tryAt(endpoint: EndpointState): void {
    this.#waiting?.cancel();
    this.#waiting = undefined;
    this.endpoint = endpoint;
    endpoint.outstanding++;
    this.attempts++;
    this.#trace?.tryBegins(endpoint);
    if (endpoint.owner.balancer.measures) this.#triedAt = this.#shared.clock.now();
    const tryMs = shortestTimeout(this.#decision.path, "tryMs");
    if (tryMs > 0) this.#tryTimer = this.#shared.clock.after(tryMs, this.#onTryTimeout);
    if (this.#beginTry(endpoint)) this.#send();
    else if (!this.#requestDone) this.#downstream?.pauseReading();
  }

  /** @returns whether it can send at once */
  #beginTry(endpoint: EndpointState): boolean {
    const { pools } = this.#shared;
    if (this.#usesHttp2(endpoint)) {
      const http2 = this.#http2Try();
      this.#try = http2;
      return http2.begin(endpoint, this.#fresh);
    }
    this.#try = this.#http1;
    const waiting = this.#fresh ? undefined : pools.takeIdle(endpoint, this.#http1, isIdempotent(this.method));
    this.#http1.begin(endpoint, waiting);
    return waiting !== undefined;
  }

  #usesHttp2(endpoint: EndpointState): boolean {
    if (this.#scheme !== "https") return this.#scheme === "h2c";
    return !this.outgoing.upgrade && this.#shared.sessions.speaksHttp2(endpoint);
  }

  #http2Try(): Http2Try {
    this.#http2 ??= new Http2Try(this, this.#shared.sessions, this.#shared.answerFields);
    return this.#http2;
  }

  #send(): void {
    this.#sent = true;
    const content = this.#content.joined();
    this.#noteSent();
    this.#trace?.trySends(this.outgoing, this.#try === this.#http1 ? "1.1" : "2");
    const flowing = (this.#try as UpstreamTry).sendHead(content, this.#requestDone, this.#trailers);
    if (this.#ended) return;
    if (flowing) this.#downstream?.resumeReading();
    else this.#downstream?.pauseReading();
  }

  #keep(bytes: Buffer): void {
    this.#content.add(bytes);
    if (this.#sent) this.#noteSent();
  }

  #noteSent(): void {
    // Over HTTP/2 an endpoint can say that it has not acted on what it got, so that is kept whatever the method.
    this.#content.sent(this.#scheme !== "http" || isIdempotent(this.method));
  }

  // ── ends ──

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

  #noteRequest(): void {
    const { path } = this.#decision;
    for (let index = 0; index < path.length; index++) path[index]?.retry?.budget.note(this.#startedAt);
  }

  #timedOut(): void {
    this.#requestTimer = undefined;
    if (this.#ended) return;
    const { endpoint } = this;
    if (this.#try?.status === 0) endpoint?.owner.balancer.failed(endpoint, "ResponseTimeout");
    this.#giveUp("ResponseTimeout");
  }

  #tryTimedOut(): void {
    this.#tryTimer = undefined;
    if (!this.#ended) this.onTryFailed(this.#sent ? "ResponseTimeout" : "ConnectTimeout", false);
  }

  /** No more tries, whatever comes. */
  #giveUp(failure: Failure): void {
    const status = this.#try?.status ?? 0;
    this.#dropTry();
    if (this.#downstream?.answerStarted) {
      this.status = status;
      this.#abort(failure);
    } else this.#refuse(failure);
  }

  /** Our own answer with the failure's status. */
  #refuse(failure: Failure, retryAfterSeconds = 0): void {
    this.failure = failure;
    this.#answerOurselves(failureAnswer(failure, retryAfterSeconds, this.method === "HEAD", this.#shared.clock.wall()));
  }

  #redirect(plan: RoutePlan): void {
    const head = this.method === "HEAD";
    this.#answerOurselves(redirectAnswer(plan.status, plan.location, head, this.#shared.clock.wall()));
  }

  #answerOurselves(answer: OwnAnswer): void {
    const downstream = this.#downstream;
    this.status = answer.status;
    this.firstByteMs = -1;
    // Of an endpoint's answer that broke before any of it left, nothing counts.
    this.bytesDown = 0;
    if (downstream?.isGrpc === true && answer.failure !== "") this.grpcStatus = FAILURES[answer.failure].grpcStatus;
    else this.bytesDown = ownContent(answer).length;
    downstream?.discard();
    downstream?.writeOwnAnswer(answer, this.#requestDone && !this.#shared.draining);
    const now = this.#shared.clock.now();
    this.#end(now);
    downstream?.exchangeEnded(this.#requestDone, now);
  }

  /** The caller has part of an answer: only a broken connection says that no more comes. */
  #abort(failure: Failure, resetCode?: number): void {
    if (this.#ended) return;
    this.failure = failure;
    if (this.#try !== undefined) this.status = this.#try.status;
    this.#end();
    this.#downstream?.abort(failure, resetCode);
  }

  #dropTry(): void {
    const dropped = this.#try;
    this.#try = undefined;
    this.#tryTimer?.cancel();
    this.#tryTimer = undefined;
    // A tunnel's last bytes still leave.
    if (this.#tunnel) dropped?.dropTunnel();
    else dropped?.drop(this.#sent && !this.#requestDone);
  }

  #end(now = this.#shared.clock.now()): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting?.cancel();
    this.#requestTimer?.cancel();
    this.#tryTimer?.cancel();
    this.#waiting = this.#requestTimer = this.#tryTimer = undefined;
    this.#queue?.leave(this);
    this.#queue = undefined;
    if (this.#try !== undefined) this.#dropTry();
    const { endpoint } = this;
    if (endpoint !== undefined) endpoint.outstanding--;
    this.#content.forget();
    this.durationMs = now - this.#startedAt;
    this.#recordOutcome();
    this.#trace?.end(this);
    this.#shared.onExchange?.(this);
    endpoint?.owner.connections.freed();
  }

  /** Breakers judge what came of the endpoints, not what policy or the caller ended. */
  #recordOutcome(): void {
    const failure = this.failure;
    if (failure !== "" && FAILURES[failure].fault !== "upstream") return;
    if (this.attempts === 0) return;
    const { path } = this.#decision;
    for (let index = 0; index < path.length; index++) path[index]?.breaker?.record(this.status, this.durationMs);
  }
}
