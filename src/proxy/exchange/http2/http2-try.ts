/** A try at an endpoint that speaks HTTP/2: a stream of a connection that others share. */
import type { Failure } from "../../../model/failures.ts";
import { CANCEL, REFUSED_STREAM } from "../../http2/frames.ts";
import type { Http2Stream, Http2StreamUser } from "../../http2/http2-stream.ts";
import type { EndpointState } from "../../router/types.ts";
import type { Http2Session, Http2Sessions, SessionUser } from "../../upstream/http2-sessions.ts";
import type { UpstreamConnection } from "../../upstream/upstream-connection.ts";
import type { AnswerFraming } from "../message-heads.ts";
import type { AnswerOwner, TryOwner, UpstreamTry } from "../upstream-try.ts";
import type { FieldsAnswerHead } from "./fields-heads.ts";

export class Http2Try implements UpstreamTry, Http2StreamUser, SessionUser {
  readonly #owner: TryOwner;
  readonly #answer: AnswerOwner;
  readonly #sessions: Http2Sessions;
  readonly #head: FieldsAnswerHead;
  #session: Http2Session | undefined;
  #stream: Http2Stream | undefined;
  /** Where it waits for a session. */
  #waitsAt: EndpointState | undefined;
  reused = false;
  answerBegun = false;
  status = 0;
  resetCode: number | undefined;
  /** Streams are no tunnels. */
  readonly ended = false;

  constructor(owner: TryOwner, answer: AnswerOwner, sessions: Http2Sessions, head: FieldsAnswerHead) {
    this.#owner = owner;
    this.#answer = answer;
    this.#sessions = sessions;
    this.#head = head;
  }

  /** @param fresh an earlier try met a connection that had closed. @returns whether it can send at once */
  begin(endpoint: EndpointState, fresh: boolean): boolean {
    this.#reset();
    this.#session = this.#sessions.acquire(endpoint, this);
    if (this.#session === undefined) this.#waitsAt = endpoint;
    else this.reused = this.#session.served && !fresh;
    return this.#session !== undefined;
  }

  /** As `begin`, on a connection that stands; the owner hears when it can send. */
  adopt(connection: UpstreamConnection): void {
    this.#reset();
    this.#waitsAt = connection.endpoint;
    this.#sessions.adopt(connection, this);
  }

  onSession(session: Http2Session): void {
    this.#waitsAt = undefined;
    this.#session = session;
    this.#owner.onTryReady();
  }

  onSessionFull(): void {
    this.#waitsAt = undefined;
    this.#owner.onTryUnplaced();
  }

  onSessionFailed(failure: Failure): void {
    this.#waitsAt = undefined;
    this.#owner.onTryFailed(failure, true);
  }

  // ── the request ──

  sendHead(content: Buffer | undefined, done: boolean, trailers: readonly string[] | undefined): boolean {
    const { outgoing } = this.#owner;
    const stream = (this.#session as Http2Session).open(outgoing.method === "HEAD");
    this.#stream = stream;
    stream.user = this;
    const headAlone = done && content === undefined && trailers === undefined;
    stream.sendHead(outgoing.fields, headAlone);
    if (headAlone) return true;
    const flowing = content === undefined || this.sendContent(content);
    if (done) this.sendEnd(trailers);
    return flowing;
  }

  sendContent(bytes: Buffer): boolean {
    return this.#stream === undefined || this.#stream.sendData(bytes, 0, bytes.length);
  }

  sendEnd(trailers: readonly string[] | undefined): void {
    this.#stream?.sendEnd(trailers);
  }

  endTunnel(): void {}

  pauseReading(): void {
    this.#stream?.pause();
  }

  resumeReading(): void {
    this.#stream?.resume();
  }

  finish(requestDone: boolean): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream === undefined) return;
    stream.user = undefined;
    // What is still to come of the request is of no use to the endpoint: it has answered.
    if (!requestDone || !stream.localEnded) stream.reset(CANCEL);
  }

  drop(): void {
    if (this.#waitsAt !== undefined) this.#sessions.cancel(this.#waitsAt, this);
    this.#waitsAt = undefined;
    this.#stream?.reset(CANCEL);
    this.#stream = undefined;
  }

  dropTunnel(): void {
    this.drop();
  }

  // ── the answer ──

  onInterim(status: number, fields: string[]): void {
    this.#answer.onTryProgress();
    this.answerBegun = true;
    const { downstream } = this.#answer;
    this.#head.set(status, fields);
    downstream.writeInterim(this.#head);
    downstream.flush();
  }

  onHead(status: number, fields: string[], ended: boolean): void {
    this.#answer.onTryProgress();
    this.answerBegun = true;
    this.status = status;
    if (!this.#owner.takesAnswer(status)) {
      this.#owner.onAnswerDeclined(ended);
      return;
    }
    const { outgoing } = this.#owner;
    const { downstream, mayFollow } = this.#answer;
    this.#head.set(status, fields);
    downstream.writeHead(this.#head, this.#framing(status, ended), outgoing.answerChanges, mayFollow);
    if (ended) {
      this.#answer.onAnswerTrailers(fields);
      this.#ended(undefined);
    } else this.#flush();
  }

  onData(bytes: Buffer, from: number, end: number): void {
    this.#answer.onTryProgress();
    this.#answer.onAnswerContent(end - from);
    this.#answer.downstream.writeContent(bytes, from, end);
    this.#flush();
  }

  onEnd(trailers: string[] | undefined): void {
    this.#answer.onTryProgress();
    this.#ended(trailers);
  }

  #ended(trailers: string[] | undefined): void {
    const { downstream } = this.#answer;
    if (trailers !== undefined) this.#answer.onAnswerTrailers(trailers);
    downstream.writeEnd(trailers);
    downstream.flush();
    this.#answer.onAnswered();
  }

  onReset(code: number, byPeer: boolean): void {
    this.#stream = undefined;
    this.resetCode = code;
    // A stream reset on a connection that stands is the endpoint's word, and no connection that closed while we took it.
    if (this.#session?.retired === false) this.reused = false;
    this.#owner.onTryFailed(byPeer ? "UpstreamReset" : "UpstreamMalformed", code === REFUSED_STREAM && byPeer);
  }

  onDrain(): void {
    this.#answer.onTryDrain();
  }

  #framing(status: number, ended: boolean): AnswerFraming {
    const bodiless = this.#owner.outgoing.method === "HEAD" || status === 204 || status === 304;
    if (bodiless || this.#head.saysLength) return "asSaid";
    return ended ? "empty" : "untold";
  }

  #flush(): void {
    if (!this.#answer.downstream.flush()) this.pauseReading();
  }

  #reset(): void {
    this.#session = undefined;
    this.#stream = undefined;
    this.#waitsAt = undefined;
    this.reused = false;
    this.answerBegun = false;
    this.status = 0;
    this.resetCode = undefined;
  }
}
