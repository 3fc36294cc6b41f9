/**
 * One request and its answer, on the way through the proxy. The exchange is the state machine between the two sides,
 * whatever each of them speaks:
 *
 *   begin: route → (content) → start: access, rate limit, breaker → tries: endpoint, connection, request sent
 *         → answer's head → answer's content → answered
 *
 * with an edge to `refuse` until the answer's head went out, and to `abort` after that, when only a broken connection can
 * still tell the caller the truth. Content is passed on as it comes; whoever is slower stops the other side's reading.
 */
import type { Origin } from "../../config/mesh-config.ts";
import type { Timer } from "../../model/clock.ts";
import { FAILURES, type Failure } from "../../model/failures.ts";
import { newDecision } from "../router/route-table.ts";
import type { Caller, Decision, EndpointState, ServicePortState } from "../router/types.ts";
import { ExchangeTrace } from "../tracing/exchange-trace.ts";
import { admit, newAdmission, recordOutcome } from "./admission.ts";
import type { Downstream } from "./downstream.ts";
import type { ExchangeRecord, HttpProtocol } from "./exchange-record.ts";
import { grpcStatusOf } from "./grpc-status.ts";
import type { HttpShared } from "./http-options.ts";
import type { AddedFields, ForwardOptions, RequestHead } from "./message-heads.ts";
import { NO_CHANGES, OutgoingRequest } from "./outgoing-request.ts";
import { failureAnswer, type OwnAnswer, ownContent, redirectAnswer } from "./own-answer.ts";
import { shortestTimeout } from "./path-timeouts.ts";
import { planRoute, type RoutePlan } from "./route-plan.ts";
import { Tries, type TriesOwner } from "./tries.ts";

const NO_FIELDS: readonly string[] = [];
const NOTHING_ADDED: AddedFields = { addedLines: "", addedFields: NO_FIELDS };

export class Exchange implements TriesOwner, ExchangeRecord {
  readonly #shared: HttpShared;
  readonly #decision: Decision = newDecision();
  readonly #admission = newAdmission();
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
  readonly #outgoing: OutgoingRequest;

  readonly #tries: Tries;
  #requestTimer: Timer | undefined;
  /** Made once, not for each request. */
  readonly #onRequestTimeout = () => this.#timedOut();

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
  ended = false;
  /** The clock's time when a byte last moved, for the body time-out. */
  lastMoveAt = 0;

  constructor(shared: HttpShared) {
    this.#shared = shared;
    this.#trace = shared.tracer === undefined ? undefined : new ExchangeTrace(shared.tracer);
    this.#outgoing = new OutgoingRequest(shared.kept);
    this.#tries = new Tries(this, shared, {
      decision: this.#decision,
      outgoing: this.#outgoing,
      trace: this.#trace,
    });
  }

  get downstream(): Downstream {
    return this.#downstream as Downstream;
  }

  /** Of the try under way, or of the last. */
  get endpoint(): EndpointState | undefined {
    return this.#tries.endpoint;
  }

  get attempts(): number {
    return this.#tries.attempts;
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
    return this.#outgoing.done;
  }

  get isTunnel(): boolean {
    return this.#tunnel;
  }

  get isAnswering(): boolean {
    return this.#tunnel || this.#downstream?.answerStarted === true;
  }

  /** The content is wanted in the framing in which it comes, so long as that is HTTP/1.1's. */
  get wantsFraming(): boolean {
    return this.#outgoing.framed;
  }

  get mayFollow(): boolean {
    return this.#outgoing.done && !this.#shared.draining && !this.entry.removed;
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
    this.#startedAt = this.#shared.clock.now();
    this.#trace?.begin(head.view, head.hasTraceContext, this.#startedAt);
    this.#tries.begin();
    this.status = 0;
    this.grpcStatus = -1;
    this.failure = "";
    this.bytesUp = 0;
    this.bytesDown = 0;
    this.firstByteMs = -1;
    this.#tunnel = false;
    this.ended = false;
    this.lastMoveAt = this.#startedAt;
    this.#shared.table.routeHttp(this.entry, this.caller, head.view, this.#decision);
    const scheme = this.#decision.path.at(-1)?.config.scheme ?? "http";
    this.#outgoing.begin(head, scheme, downstream.takesFraming);
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
    this.#outgoing.content.own();
  }

  #start(head: RequestHead): void {
    if (this.ended) return;
    const decision = this.#decision;
    if (decision.failure !== "") {
      this.refuse(decision.failure);
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
      this.refuse(admission.failure, admission.retryAfterSeconds);
      return;
    }
    this.#prepare(head, plan);
    const timeoutMs = this.#requestTimeoutMs(plan);
    if (timeoutMs > 0) this.#requestTimer = this.#shared.clock.after(timeoutMs, this.#onRequestTimeout);
    this.#tries.start(admission.waitMs, this.#startedAt);
  }

  /** @returns 0 for no bound */
  #requestTimeoutMs(plan: RoutePlan | undefined): number {
    const ofPath = shortestTimeout(this.#decision.path, "requestMs");
    const ofRoutes = plan?.timeoutMs ?? 0;
    return ofPath === 0 || ofRoutes === 0 ? ofPath + ofRoutes : Math.min(ofPath, ofRoutes);
  }

  #prepare(head: RequestHead, plan: RoutePlan | undefined): void {
    const { config } = this.entry;
    const outgoing = this.#outgoing;
    const changes = plan?.requestChanges ?? NO_CHANGES;
    const options: ForwardOptions = {
      server: this.#shared.server,
      callerAddress: this.caller.address,
      port: config.port,
      scheme: outgoing.scheme === "https" ? "https" : "http",
      defaultHost: `${config.service}.${config.namespace}`,
      path: plan?.target,
      host: plan?.host,
      changes,
      added: this.#trace ?? NOTHING_ADDED,
    };
    outgoing.write(head, options, plan?.answerChanges ?? NO_CHANGES);
    this.#trace?.prepare(outgoing, changes.length > 0);
  }

  // ── the caller's side ──

  /**
   * Content of the request, or anything at all of a tunnel.
   * @param bytes valid during the call
   * @param contentBytes how much of that is content, the rest being its framing
   */
  onContent(bytes: Buffer, contentBytes = bytes.length): void {
    this.lastMoveAt = this.#shared.clock.now();
    if (this.ended || bytes.length === 0) return;
    this.bytesUp += contentBytes;
    const outgoing = this.#outgoing;
    const { sent, current } = this.#tries;
    if (outgoing.content.repeatable && !this.#tunnel) {
      outgoing.content.add(bytes);
      if (sent) outgoing.noteSent();
    }
    if (sent) {
      if (current?.sendContent(bytes) === false) this.#downstream?.pauseReading();
    } else if (!outgoing.done) {
      // One read's worth is kept while the endpoint is being reached; the rest stays with the caller.
      this.#downstream?.pauseReading();
    }
  }

  onContentEnd(trailers: readonly string[] | undefined): void {
    if (this.ended) return;
    this.#outgoing.done = true;
    this.#outgoing.trailers = trailers;
    if (this.#tries.sent) this.#tries.current?.sendEnd(trailers);
    // Nothing more is to come of it, and who reads hears that the caller has gone.
    else this.#downstream?.resumeReading();
  }

  /** The request's content broke its framing, or ended early. The endpoint must not take what it has for all of it. */
  onBadContent(): void {
    if (this.ended) return;
    this.#tries.drop();
    if (this.#downstream?.answerStarted) this.#abort("BadRequest");
    else this.refuse("BadRequest");
  }

  /** The caller ended its side. It still gets its answer if the request was whole. */
  onDownstreamEnd(): void {
    if (this.#tunnel) this.#tries.current?.endTunnel();
    else if (!this.#outgoing.done) this.onBadContent();
  }

  /** The caller's connection is gone. */
  onDownstreamClose(failure: Failure = "ClientGone"): void {
    if (!this.ended) {
      if (this.failure === "") this.failure = failure;
      this.#end();
    }
    this.#downstream = undefined;
  }

  onDownstreamDrain(): void {
    this.lastMoveAt = this.#shared.clock.now();
    this.#tries.current?.resumeReading();
  }

  /** Ends the exchange where content that should move has not for too long. Called by the engine's tick. */
  checkProgress(now: number): void {
    const downstream = this.#downstream;
    if (downstream === undefined) return;
    const silentMs = now - this.lastMoveAt;
    const idleMs = this.#tries.sent ? shortestTimeout(this.#decision.path, "idleMs") : 0;
    const isIdle = idleMs > 0 && silentMs >= idleMs;
    const isStuck = silentMs >= this.#shared.limits.bodyTimeoutMs;
    if (this.#tunnel) {
      // A tunnel may be silent for ever, but not with one side gone.
      if (isStuck && (downstream.ended || this.#tries.current?.ended)) this.#abort("ClientGone");
      else if (isIdle) this.#abort("IdleTimeout");
      return;
    }
    const waitsForCaller =
      downstream.blocked || (!this.#outgoing.done && !downstream.readingPaused && !downstream.mayRest);
    if (waitsForCaller && (isStuck || isIdle)) this.#giveUp("BodyTimeout");
    else if (isIdle) this.#giveUp("IdleTimeout");
  }

  // ── the endpoint's side ──

  onAnswerHead(): void {
    this.firstByteMs = this.lastMoveAt - this.#startedAt;
    this.bytesDown = 0;
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

  onAnswered(): void {
    const { downstream } = this;
    // The last byte came in this step, so there is no need to look at the clock again.
    const now = this.lastMoveAt;
    this.status = this.#tries.finish(now);
    this.#end(now);
    downstream.exchangeEnded(this.#outgoing.done, now);
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
    if (this.#downstream?.ended) this.#tries.current?.endTunnel();
    this.#downstream?.resumeReading();
  }

  onTunnelBytes(bytes: Buffer): void {
    this.bytesDown += bytes.length;
    if (this.#downstream?.writeTunnel(bytes) === false) this.#tries.current?.pauseReading();
  }

  onTunnelEnd(): void {
    this.#downstream?.endTunnel();
  }

  onAnswerBroken(failure: Failure, status: number, resetCode: number | undefined): void {
    this.status = status;
    this.#abort(failure, resetCode);
  }

  // ── ends ──

  #timedOut(): void {
    this.#requestTimer = undefined;
    if (this.ended) return;
    const { current, endpoint } = this.#tries;
    if (current?.status === 0) endpoint?.owner.balancer.failed(endpoint, "ResponseTimeout");
    this.#giveUp("ResponseTimeout");
  }

  /** No more tries, whatever comes. */
  #giveUp(failure: Failure): void {
    const status = this.#tries.current?.status ?? 0;
    this.#tries.drop();
    if (this.#downstream?.answerStarted) {
      this.status = status;
      this.#abort(failure);
    } else this.refuse(failure);
  }

  /** Our own answer with the failure's status. */
  refuse(failure: Failure, retryAfterSeconds = 0): void {
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
    downstream?.writeOwnAnswer(answer, this.mayFollow);
    const now = this.#shared.clock.now();
    this.#end(now);
    downstream?.exchangeEnded(this.#outgoing.done, now);
  }

  /** The caller has part of an answer: only a broken connection says that no more comes. */
  #abort(failure: Failure, resetCode?: number): void {
    if (this.ended) return;
    this.failure = failure;
    const { current } = this.#tries;
    if (current !== undefined) this.status = current.status;
    this.#end();
    this.#downstream?.abort(failure, resetCode);
  }

  #end(now = this.#shared.clock.now()): void {
    if (this.ended) return;
    this.ended = true;
    this.#requestTimer?.cancel();
    this.#requestTimer = undefined;
    this.#tries.end();
    this.#outgoing.content.forget();
    this.durationMs = now - this.#startedAt;
    this.#recordOutcome();
    this.#trace?.end(this);
    this.#shared.onExchange?.(this);
    this.endpoint?.owner.connections.freed();
  }

  /** Breakers judge what came of the endpoints, not what policy or the caller ended. */
  #recordOutcome(): void {
    const failure = this.failure;
    if (failure !== "" && FAILURES[failure].fault !== "upstream") return;
    if (this.attempts > 0) recordOutcome(this.#decision.path, this.status, this.durationMs);
  }
}
