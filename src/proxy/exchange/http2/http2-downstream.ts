/** A caller's HTTP/2 connection, and the streams on it, each with an exchange. */
import type net from "node:net";
import type { HeaderChange } from "../../../config/mesh-config.ts";
import type { Failure } from "../../../model/failures.ts";
import { INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR } from "../../http2/frames.ts";
import { Http2Connection } from "../../http2/http2-connection.ts";
import type { Http2Owner } from "../../http2/http2-owner.ts";
import type { Http2Stream, Http2StreamUser } from "../../http2/http2-stream.ts";
import type { MessageHead } from "../../http2/message-rules.ts";
import type { Caller, ServicePortState } from "../../router/types.ts";
import type { SharedReadSocket } from "../../socket/shared-read.ts";
import { CallerLookup } from "../caller-lookup.ts";
import type { CallerConnection, ConnectionOwner } from "../connection-owner.ts";
import type { Downstream } from "../downstream.ts";
import type { Exchange } from "../exchange.ts";
import type { HttpShared } from "../http-options.ts";
import type { AnswerFraming, AnswerHead } from "../message-heads.ts";
import { failureAnswer, grpcAnswerFields, type OwnAnswer, ownAnswerFields } from "../own-answer.ts";

/** Of one caller at once. */
const MAX_STREAMS = 250;
const NO_CHANGES: readonly HeaderChange[] = [];

export class Http2CallerConnection implements CallerConnection, Http2Owner {
  readonly entry: ServicePortState;
  readonly #socket: net.Socket;
  readonly #shared: HttpShared;
  readonly #owner: ConnectionOwner;
  readonly #http2: Http2Connection;
  readonly #lookup: CallerLookup;
  readonly #requests = new Set<Http2Request>();
  /** When the last byte came, or the last request ended. */
  #movedAt: number;
  /** Nothing more is read: it closes when the caller does, or after the linger time. */
  #lingering = false;

  constructor(reader: SharedReadSocket, entry: ServicePortState, shared: HttpShared, owner: ConnectionOwner) {
    const { socket } = reader;
    this.entry = entry;
    this.#socket = socket;
    this.#shared = shared;
    this.#owner = owner;
    this.#lookup = new CallerLookup(shared.table, socket);
    this.#movedAt = shared.clock.now();
    this.#http2 = new Http2Connection("server", socket, this, shared.sessions.shared, MAX_STREAMS);
    // Streams keep parts of it.
    reader.onBytes = (bytes, length) => this.#onData(Buffer.from(bytes.subarray(0, length)));
    socket.on("drain", () => this.#http2.onSocketDrain());
    // RFC 9113 §5.4: without its other half the connection is of no use to streams under way.
    socket.on("end", () => this.#onGone());
    // The close event follows every error and says enough.
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#onGone();
      owner.forget(this);
    });
  }

  /** @param unread what came after the preface */
  start(unread: Buffer): void {
    this.#http2.start();
    this.#onData(unread);
  }

  get caller(): Caller {
    return this.#lookup.caller;
  }

  checkDeadline(now: number): void {
    const { headTimeoutMs, idleTimeoutMs, lingerMs } = this.#shared.limits;
    const elapsed = now - this.#movedAt;
    if (this.#lingering) {
      if (elapsed > lingerMs) this.#socket.destroy();
      return;
    }
    for (const request of [...this.#requests]) request.exchange?.checkProgress(now);
    if (this.#http2.headUnderWay && elapsed > headTimeoutMs) this.#http2.fail(PROTOCOL_ERROR, "a field block stopped");
    else if (this.#requests.size === 0 && elapsed > idleTimeoutMs) this.#finish();
  }

  drain(): void {
    if (this.#lingering) return;
    this.#http2.drain();
    this.#finishIfDrained();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onReady(): void {
    if (this.#shared.draining) this.#http2.drain();
  }

  onRequest(stream: Http2Stream, head: MessageHead, fields: string[]): void {
    const { fieldsHead } = this.#shared;
    const exchange = this.#owner.takeExchange();
    fieldsHead.set(head, fields, stream.remoteEnded);
    const request = new Http2Request(this, stream, exchange, fieldsHead.isGrpc);
    this.#requests.add(request);
    exchange.begin(request, fieldsHead);
    exchange.start(fieldsHead);
  }

  onHeadTooLarge(stream: Http2Stream): void {
    this.#owner.countRefused("HeadTooLarge", this.entry, this.caller);
    const { fields, content } = ownAnswerFields(failureAnswer("HeadTooLarge", 0, false, this.#shared.clock.wall()));
    stream.sendHead(fields, false);
    stream.sendData(Buffer.from(content), 0, content.length);
    stream.refuseRest();
    stream.sendEnd(undefined);
  }

  onStreamOver(): void {
    this.#finishIfDrained();
  }

  /** RFC 9113 §6.8: the caller will begin no more; what is under way goes on. */
  onGoaway(): void {
    this.drain();
  }

  onFatal(): void {
    this.#owner.countRefused("BadRequest", this.entry, this.caller);
    this.#linger();
  }

  requestEnded(request: Http2Request, exchange: Exchange): void {
    if (!this.#requests.delete(request)) return;
    this.#owner.giveBack(exchange);
    this.#movedAt = this.#shared.clock.now();
    if (this.entry.removed || this.#shared.draining) this.#http2.drain();
  }

  #onData(bytes: Buffer): void {
    if (this.#lingering) {
      // One read a turn: what is thrown away still costs memory until it is collected.
      this.#socket.pause();
      setImmediate(() => this.#socket.resume());
      return;
    }
    this.#movedAt = this.#shared.clock.now();
    this.#http2.onBytes(bytes, 0, bytes.length);
  }

  #onGone(): void {
    this.#http2.onSocketGone();
    if (!this.#socket.destroyed) this.#socket.destroySoon();
  }

  #finishIfDrained(): void {
    if (!this.#lingering && this.#http2.drained) this.#finish();
  }

  #finish(): void {
    this.#http2.fail(NO_ERROR, "");
  }

  /** Our side ends; what still comes is read and dropped, or a reset would eat what we said last. */
  #linger(): void {
    this.#lingering = true;
    this.#movedAt = this.#shared.clock.now();
    this.#socket.end();
    this.#socket.resume();
  }
}

/** One stream: a request and its answer. */
class Http2Request implements Downstream, Http2StreamUser {
  readonly #connection: Http2CallerConnection;
  readonly #stream: Http2Stream;
  readonly isGrpc: boolean;
  exchange: Exchange | undefined;
  /** The final head, not yet sent. */
  #head: readonly string[] | undefined;
  readonly takesFraming = false;
  readonly takesChunks = false;
  readonly ended = false;
  readingPaused = false;
  blocked = false;
  answerStarted = false;

  constructor(connection: Http2CallerConnection, stream: Http2Stream, exchange: Exchange, isGrpc: boolean) {
    this.#connection = connection;
    this.#stream = stream;
    this.isGrpc = isGrpc;
    this.exchange = exchange;
    stream.user = this;
  }

  get mayRest(): boolean {
    return this.isGrpc;
  }

  get entry(): ServicePortState {
    return this.#connection.entry;
  }

  get caller(): Caller {
    return this.#connection.caller;
  }

  // ── the stream ──

  onData(bytes: Buffer, from: number, end: number): void {
    this.exchange?.onContent(bytes.subarray(from, end));
  }

  onEnd(trailers: string[] | undefined): void {
    this.exchange?.onContentEnd(trailers);
  }

  onReset(_code: number, byPeer: boolean): void {
    const { exchange } = this;
    this.exchange = undefined;
    if (exchange === undefined) return;
    exchange.onDownstreamClose(byPeer ? "ClientGone" : "BadRequest");
    this.#connection.requestEnded(this, exchange);
  }

  onDrain(): void {
    this.blocked = false;
    this.exchange?.onDownstreamDrain();
  }

  /** Of a client's stream only. */
  onHead(): void {}
  onInterim(): void {}

  // ── the exchange ──

  pauseReading(): void {
    this.readingPaused = true;
    this.#stream.pause();
  }

  resumeReading(): void {
    this.readingPaused = false;
    this.#stream.resume();
  }

  writeInterim(head: AnswerHead): void {
    this.#stream.sendHead(head.toHttp2(NO_CHANGES), false);
  }

  writeHead(head: AnswerHead, _framing: AnswerFraming, changes: readonly HeaderChange[]): void {
    this.#head = head.toHttp2(changes);
  }

  writeContent(bytes: Buffer, from: number, end: number): void {
    if (from === end) return;
    this.#sendHead(false);
    if (!this.#stream.sendData(bytes, from, end)) this.blocked = true;
  }

  writeEnd(trailers: readonly string[] | undefined): void {
    const headAlone = this.#head !== undefined && trailers === undefined;
    this.#sendHead(headAlone);
    if (!headAlone) this.#stream.sendEnd(trailers);
  }

  flush(): boolean {
    this.#sendHead(false);
    return !this.blocked;
  }

  discard(): void {
    this.#head = undefined;
  }

  writeOwnAnswer(answer: OwnAnswer): void {
    this.answerStarted = true;
    if (this.isGrpc && answer.failure !== "") {
      this.#stream.sendHead(grpcAnswerFields(answer.failure, answer), true);
      return;
    }
    const { fields, content } = ownAnswerFields(answer);
    this.#stream.sendHead(fields, content === "");
    if (content === "") return;
    this.#stream.sendData(Buffer.from(content), 0, content.length);
    this.#stream.sendEnd(undefined);
  }

  exchangeEnded(requestDone: boolean): void {
    const { exchange } = this;
    this.exchange = undefined;
    this.#stream.user = undefined;
    if (!requestDone) this.#stream.refuseRest();
    if (exchange !== undefined) this.#connection.requestEnded(this, exchange);
  }

  abort(_failure: Failure, resetCode: number | undefined): void {
    const { exchange } = this;
    this.exchange = undefined;
    this.#stream.reset(resetCode ?? INTERNAL_ERROR);
    if (exchange === undefined) return;
    exchange.onDownstreamClose();
    this.#connection.requestEnded(this, exchange);
  }

  // Streams are never switched to another protocol.
  takeUnreadBytes(): undefined {}
  writeTunnel(): boolean {
    return true;
  }
  endTunnel(): void {}

  #sendHead(end: boolean): void {
    const head = this.#head;
    if (head === undefined) return;
    this.#head = undefined;
    this.answerStarted = true;
    this.#stream.sendHead(head, end);
  }
}
