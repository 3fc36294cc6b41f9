/**
 * A caller's HTTP/1.1 connection: finds the heads in its bytes and runs one exchange after the other. A request that is
 * pipelined behind another waits unread, at most one read's worth of it in memory. A connection that begins with the
 * preface of HTTP/2 is handed on.
 */
import type net from "node:net";
import type { HeaderChange } from "../../../config/mesh-config.ts";
import type { Failure } from "../../../model/failures.ts";
import { BodyReader } from "../../http1/body-reader.ts";
import { CR, LF, SP, TOKEN } from "../../http1/bytes.ts";
import { bareLineFeed, type HeadFault, type HeadParser, MAX_HEAD_BYTES } from "../../http1/head-parser.ts";
import { PREFACE } from "../../http2/frames.ts";
import type { Caller, ServicePortState } from "../../router/types.ts";
import { resetSocket } from "../../socket/reset-socket.ts";
import type { SharedReadSocket } from "../../socket/shared-read.ts";
import { CallerLookup } from "../caller-lookup.ts";
import type { CallerConnection, ConnectionOwner } from "../connection-owner.ts";
import type { Downstream } from "../downstream.ts";
import type { Exchange } from "../exchange.ts";
import type { HttpShared } from "../http-options.ts";
import type { AnswerFraming, AnswerHead } from "../message-heads.ts";
import { failureAnswer, type OwnAnswer, ownAnswerText } from "../own-answer.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { trailerFields } from "./trailers.ts";

const FAILURE_OF_FAULT: Record<Exclude<HeadFault, "" | "alien">, Failure> = {
  bad: "BadRequest",
  fields: "HeadTooLarge",
  coding: "TransferCoding",
  version: "HttpVersion",
};

/**
 * A draining connection without a request has been quiet for so long before it is ended: the request that its caller opened
 * it for, or the next of a busy one, may be on its way, and would fail.
 */
const DRAIN_QUIET_MS = 1_000;

export class Http1CallerConnection implements CallerConnection, Downstream {
  readonly reader: SharedReadSocket;
  readonly socket: net.Socket;
  readonly entry: ServicePortState;
  readonly takesFraming = true;
  readonly mayRest = false;
  readonly isGrpc = false;
  readonly #shared: HttpShared;
  readonly #owner: ConnectionOwner;
  readonly #lookup: CallerLookup;
  readonly #answer: AnswerWriter;
  #body: BodyReader | undefined;
  #exchange: Exchange | undefined;
  /** Read, and not yet taken by a head or a body. In the thread's read buffer while that is handled, then a copy. */
  #unread: Buffer | undefined;
  /** When the head under way began to arrive, or the connection became idle. */
  #since: number;
  #headUnderWay = false;
  #pausedByBacklog = false;
  /** Our last answer is out: what the caller still sends is thrown away until it closes or `#since` is long ago. */
  #lingering = false;
  #reading = false;
  #draining = false;
  /** Nothing has been read yet that HTTP/2 does not begin with. */
  #fresh = true;
  readonly #listeners: { [event: string]: () => void };

  constructor(reader: SharedReadSocket, entry: ServicePortState, shared: HttpShared, owner: ConnectionOwner) {
    const { socket } = reader;
    this.reader = reader;
    this.socket = socket;
    this.entry = entry;
    this.#shared = shared;
    this.#owner = owner;
    this.#lookup = new CallerLookup(shared.table, socket);
    this.#answer = new AnswerWriter(socket, shared.buffers.write, shared.buffers.direct);
    this.#since = shared.clock.now();
    reader.onBytes = (bytes, length) => this.#onBytes(bytes, length);
    this.#listeners = {
      end: () => this.#onEnd(),
      drain: () => this.#onDrain(),
      // The close event follows every error and says enough.
      error: () => {},
      close: () => this.#onClose(),
    };
    for (const event in this.#listeners) socket.on(event, this.#listeners[event] as () => void);
  }

  get caller(): Caller {
    return this.#lookup.caller;
  }

  get #idle(): boolean {
    return this.#exchange === undefined && this.#unread === undefined;
  }

  // ── the exchange's view ──

  pauseReading(): void {
    this.socket.pause();
  }

  resumeReading(): void {
    // Most of the time it is not paused at all, and to say so to the stream costs something.
    if (!this.#pausedByBacklog && this.socket.readableFlowing !== true) this.socket.resume();
  }

  takeUnreadBytes(): Buffer | undefined {
    const unread = this.#unread;
    this.#unread = undefined;
    this.#pausedByBacklog = false;
    return unread;
  }

  get readingPaused(): boolean {
    return this.socket.isPaused();
  }

  get takesChunks(): boolean {
    return this.#answer.takesChunks;
  }

  writeInterim(head: AnswerHead): void {
    this.#answer.writeInterim(head);
  }

  writeHead(head: AnswerHead, framing: AnswerFraming, changes: readonly HeaderChange[], mayFollow: boolean): void {
    this.#answer.writeHead(head, framing, changes, mayFollow);
  }

  writeContent(bytes: Buffer, from: number, end: number): void {
    this.#answer.writeContent(bytes, from, end);
  }

  writeEnd(trailers: readonly string[] | undefined): void {
    this.#answer.writeEnd(trailers);
  }

  flush(): boolean {
    return this.#answer.flush();
  }

  get blocked(): boolean {
    return this.socket.writableNeedDrain;
  }

  get answerStarted(): boolean {
    return this.#answer.started;
  }

  discard(): void {
    this.#answer.discard();
  }

  writeOwnAnswer(answer: OwnAnswer, mayFollow: boolean): void {
    const close = !mayFollow || !this.#answer.mayKeepAlive;
    this.#answer.writeOwn(ownAnswerText(answer, close), close);
  }

  abort(): void {
    resetSocket(this.socket);
  }

  writeTunnel(bytes: Buffer): boolean {
    return this.#shared.buffers.write.write(this.socket, "", bytes, 0, bytes.length);
  }

  endTunnel(): void {
    this.socket.end();
  }

  get ended(): boolean {
    return this.socket.readableEnded;
  }

  exchangeEnded(requestDone: boolean, now: number): void {
    const keepAlive = requestDone && !this.#answer.close;
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (exchange !== undefined) this.#owner.giveBack(exchange);
    this.#since = now;
    this.#pausedByBacklog = false;
    this.resumeReading();
    if (keepAlive) this.#readHeads();
    else this.#finish();
  }

  // ── the engine's view ──

  checkDeadline(now: number): void {
    const { headTimeoutMs, idleTimeoutMs, lingerMs } = this.#shared.limits;
    const elapsed = now - this.#since;
    if (this.#lingering) {
      if (elapsed > lingerMs) this.socket.destroy();
    } else if (this.#exchange !== undefined) this.#exchange.checkProgress(now);
    else if (this.#headUnderWay) {
      if (elapsed > headTimeoutMs) this.#refuse("HeadTimeout");
    } else if (this.#draining && elapsed >= DRAIN_QUIET_MS) this.#finish();
    else if (elapsed > idleTimeoutMs) this.socket.destroy();
  }

  drain(): void {
    this.#draining = true;
    if (this.#idle && !this.#lingering) this.checkDeadline(this.#shared.clock.now());
  }

  destroy(): void {
    this.socket.destroy();
  }

  // ── the socket ──

  #onBytes(buffer: Buffer, length: number): void {
    if (this.#lingering) {
      this.#discard();
      return;
    }
    if (!this.#readRequest(buffer, length)) this.#onData(buffer.subarray(0, length));
    // The next read of whatever connection overwrites it.
    if (this.#unread?.buffer === buffer.buffer) this.#unread = Buffer.from(this.#unread);
  }

  /**
   * The usual case, in which the bytes are looked at once: a request begins with them, and its head is here whole.
   * @returns false for any other, and for a head that is bad: those are told apart one after the other
   */
  #readRequest(buffer: Buffer, length: number): boolean {
    if (!this.#idle || this.socket.writableNeedDrain) return false;
    const { requestParser: parser } = this.#shared;
    if (parser.parseRequest(buffer, 0, length) !== "" || parser.headEnd > MAX_HEAD_BYTES) return false;
    const { headEnd } = parser;
    this.#reading = true;
    this.#begin(headEnd === length ? buffer : buffer.subarray(0, length), headEnd, length);
    this.#reading = false;
    this.#readHeads();
    return true;
  }

  #onData(bytes: Buffer): void {
    const exchange = this.#exchange;
    if (exchange !== undefined) {
      if (exchange.isTunnel) exchange.onContent(bytes);
      else if (exchange.requestDone) this.#keep(bytes);
      else {
        const at = this.#readContent(exchange, bytes, 0, bytes.length);
        if (at < bytes.length && !this.#lingering) this.#keep(bytes.subarray(at));
      }
      return;
    }
    this.#keepUnread(bytes);
    this.#readHeads();
  }

  /** One read of them at a time: what is thrown away still costs memory until it is collected. */
  #discard(): void {
    this.socket.pause();
    setImmediate(() => this.socket.resume());
  }

  /** Bytes of the next request while one is under way. */
  #keep(bytes: Buffer): void {
    this.#keepUnread(bytes);
    if (this.#exchange === undefined) {
      this.#readHeads();
      return;
    }
    this.#pauseForBacklog();
  }

  #pauseForBacklog(): void {
    this.#pausedByBacklog = true;
    this.socket.pause();
  }

  #onDrain(): void {
    if (this.#exchange !== undefined) this.#exchange.onDownstreamDrain();
    else if (!this.#lingering) {
      this.#pausedByBacklog = false;
      this.socket.resume();
      this.#readHeads();
    }
  }

  #keepUnread(bytes: Buffer): void {
    this.#unread = this.#unread === undefined ? bytes : Buffer.concat([this.#unread, bytes]);
  }

  /** Starts as many exchanges as there are whole heads, one at a time. */
  #readHeads(): void {
    // An exchange that is answered at once calls back into here: the loop goes on instead of nesting.
    if (this.#reading) return;
    this.#reading = true;
    while (this.#unread !== undefined && this.#exchange === undefined && !this.#lingering) {
      // Who pipelines and does not read its answers gets no more of them.
      if (this.socket.writableNeedDrain) this.#pauseForBacklog();
      if (this.socket.writableNeedDrain || !this.#readHead(this.#unread)) break;
    }
    this.#reading = false;
    const waits = this.#unread === undefined || this.#headUnderWay;
    // A half-closed caller has its answers to everything that it sent.
    if (waits && this.socket.readableEnded && this.#exchange === undefined && !this.#lingering) this.#onEnd();
  }

  /** @returns whether there may be more to read */
  #readHead(unread: Buffer): boolean {
    const start = afterEmptyLines(unread);
    if (start > 0) this.#fresh = false;
    if (start === unread.length) {
      this.#unread = undefined;
      this.#headUnderWay = false;
      return false;
    }
    const bytes = start === 0 ? unread : unread.subarray(start);
    this.#unread = bytes;
    if (this.#fresh && this.#isPreface(bytes)) return false;
    const headEnd = bytes.indexOf("\r\n\r\n", 0, "latin1") + 4;
    if (headEnd < 4 || headEnd > MAX_HEAD_BYTES) return this.#awaitHead(bytes);
    this.#headUnderWay = false;
    const fault = this.#shared.requestParser.parseRequest(bytes, 0, headEnd);
    if (fault !== "") return this.#refuseHead(fault);
    this.#begin(bytes, headEnd, bytes.length);
    return true;
  }

  /** @param bytes of which the parser has just read the head, from 0 to `headEnd`; `end` is that of what was received */
  #begin(bytes: Buffer, headEnd: number, end: number): void {
    const { requestParser: parser, requestHead } = this.#shared;
    const exchange = this.#owner.takeExchange();
    this.#fresh = false;
    this.#exchange = exchange;
    this.#unread = undefined;
    this.#answer.begin(parser.minor, !parser.close && (parser.minor === 1 || parser.keepAlive));
    requestHead.set(bytes, 0, headEnd);
    exchange.begin(this, requestHead);
    const at = exchange.requestDone ? headEnd : this.#beginContent(exchange, parser, bytes, headEnd, end);
    // A body that is bad from its first bytes has ended the exchange already.
    if (at < end && this.#exchange === exchange) this.#keep(bytes.subarray(at, end));
    if (this.#exchange === exchange) exchange.start(requestHead);
  }

  #beginContent(exchange: Exchange, parser: HeadParser, bytes: Buffer, from: number, end: number): number {
    this.#body ??= new BodyReader();
    this.#body.begin(parser.framing, parser.contentLength, parser.nominated);
    if (this.#body.done) {
      exchange.onContentEnd(undefined);
      return from;
    }
    return this.#readContent(exchange, bytes, from, end);
  }

  /** Gives the exchange what is its request's. @returns index after it */
  #readContent(exchange: Exchange, bytes: Buffer, from: number, end: number): number {
    const body = this.#body as BodyReader;
    const framed = exchange.wantsFraming;
    const contentBefore = body.contentBytes;
    let at = from;
    if (framed) at = body.read(bytes, from, end);
    else {
      while (at < end && !body.done && !body.bad) {
        at = body.readSpan(bytes, at, end);
        exchange.onContent(bytes.subarray(body.spanStart, body.spanEnd));
      }
    }
    if (body.bad) {
      exchange.onBadContent();
      return at;
    }
    if (framed) {
      const pass = bytes.subarray(from, body.passEnd);
      const all = body.done && body.trailer.length > 0 ? Buffer.concat([pass, body.trailer]) : pass;
      exchange.onContent(all, body.contentBytes - contentBefore);
    }
    if (body.done) exchange.onContentEnd(framed ? undefined : trailerFields(body.trailer));
    return at;
  }

  /** Whether the connection begins as HTTP/2 does (RFC 9113 §3.4), so far as it has come. */
  #isPreface(bytes: Buffer): boolean {
    const length = Math.min(bytes.length, PREFACE.length);
    for (let at = 0; at < length; at++) if (bytes[at] !== PREFACE.charCodeAt(at)) return false;
    if (length < PREFACE.length) {
      this.#awaitHead(bytes);
      return true;
    }
    this.#unread = undefined;
    // From here on the socket is another's.
    for (const event in this.#listeners) this.socket.off(event, this.#listeners[event] as () => void);
    this.#owner.becomesHttp2(this, Buffer.from(bytes.subarray(length)));
    return true;
  }

  /** Not a whole head yet. What can no longer become one is refused at once rather than at the time-out. */
  #awaitHead(bytes: Buffer): boolean {
    if (!this.#headUnderWay) {
      this.#headUnderWay = true;
      this.#since = this.#shared.clock.now();
    }
    if (bytes[0] !== CR && TOKEN[bytes[0] as number] !== 1) return this.#refuse("BadRequest");
    const bare = bareLineFeed(bytes, 0, Math.min(bytes.length, MAX_HEAD_BYTES));
    // The end is put beyond the LF, where the parser stops, so that it does not take the line before for the last one.
    if (bare >= 0) return this.#refuseHead(this.#shared.requestParser.parseRequest(bytes, 0, bare + 3) || "bad");
    if (bytes.length > MAX_HEAD_BYTES) return this.#refuse(isTargetLong(bytes) ? "TargetTooLong" : "HeadTooLarge");
    return false;
  }

  #refuseHead(fault: Exclude<HeadFault, "">): false {
    return fault === "alien" ? this.#leave() : this.#refuse(FAILURE_OF_FAULT[fault]);
  }

  /** An answer to what is no request. Nothing after it on this connection can be trusted. */
  #refuse(failure: Failure): false {
    this.#owner.countRefused(failure, this.entry, this.caller);
    this.socket.write(ownAnswerText(failureAnswer(failure, 0, false, this.#shared.clock.wall()), true), "latin1");
    this.#finish();
    return false;
  }

  /** What does not even claim to be HTTP could not read an answer either. */
  #leave(): false {
    this.#owner.countRefused("BadRequest", this.entry, this.caller);
    this.#finish();
    return false;
  }

  /** Closes our side; the rest of what the caller sends is read and dropped, or a reset would eat the answer. */
  #finish(): void {
    this.#unread = undefined;
    this.#headUnderWay = false;
    this.#lingering = true;
    this.#since = this.#shared.clock.now();
    this.socket.end();
    this.socket.resume();
  }

  #onEnd(): void {
    if (this.#exchange !== undefined) this.#exchange.onDownstreamEnd();
    else if (this.#headUnderWay) this.#refuse("BadRequest");
    // To end it once more is an error, which the runtime makes with its whole stack, and nobody reads.
    else if (!this.socket.writableEnded) this.socket.end();
  }

  #onClose(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#unread = undefined;
    if (exchange !== undefined) {
      exchange.onDownstreamClose();
      this.#owner.giveBack(exchange);
    }
    this.#owner.forget(this);
  }
}

/** RFC 9112 §2.2: empty lines before the request line, a leftover of old clients, are passed over. */
function afterEmptyLines(bytes: Buffer): number {
  let at = 0;
  while (bytes[at] === CR && bytes[at + 1] === LF) at += 2;
  return at;
}

/** Whether a head beyond the bound is all method and target (RFC 9112 §3). */
function isTargetLong(bytes: Buffer): boolean {
  const target = bytes.indexOf(SP) + 1;
  if (target === 0 || target > MAX_HEAD_BYTES) return false;
  const end = bytes.indexOf(SP, target);
  const lineEnd = bytes.indexOf(CR);
  return (end < 0 || end > MAX_HEAD_BYTES) && (lineEnd < 0 || lineEnd > MAX_HEAD_BYTES);
}
