/**
 * A try at an endpoint that speaks HTTP/1.1. The request goes out in the framing in which it came, or in one of ours;
 * the answer's heads are judged and re-serialised, its content is passed on in its framing where the caller takes that.
 */
import type net from "node:net";
import type { Failure } from "../../../model/failures.ts";
import { BodyReader } from "../../http1/body-reader.ts";
import { bareLineFeed, CHUNKED, type HeadFault, MAX_HEAD_BYTES, UNTIL_CLOSE } from "../../http1/head-parser.ts";
import type { EndpointState } from "../../router/types.ts";
import { wasReset } from "../../socket/reset-socket.ts";
import type { UpstreamConnection, UpstreamPools, UpstreamUser } from "../../upstream/upstream-connection.ts";
import type { AnswerOwner, TryOwner, UpstreamTry } from "../upstream-try.ts";
import type { ParsedAnswerHead } from "./parsed-answer-head.ts";
import { trailerFields, trailerText } from "./trailers.ts";

export class Http1Try implements UpstreamTry, UpstreamUser {
  readonly resetCode = undefined;
  readonly #owner: TryOwner;
  readonly #answer: AnswerOwner;
  readonly #pools: UpstreamPools;
  readonly #head: ParsedAnswerHead;
  readonly #body = new BodyReader();
  #connection: UpstreamConnection | undefined;
  /** Head bytes that are not yet a whole head. */
  #unread: Buffer | undefined;
  /** What is wrong with the head that the parser has just read. */
  #fault: HeadFault = "";
  /** The final head was read. */
  #headRead = false;
  /** The content's framing is taken off. */
  #unframes = false;
  #tunnel = false;
  /** The connection can take another request after this answer. */
  #reusable = false;
  answerBegun = false;
  status = 0;

  constructor(owner: TryOwner, answer: AnswerOwner, pools: UpstreamPools, head: ParsedAnswerHead) {
    this.#owner = owner;
    this.#answer = answer;
    this.#pools = pools;
    this.#head = head;
  }

  /** @param connection one that waited, or undefined to open another, after which the owner hears of it */
  begin(endpoint: EndpointState, connection: UpstreamConnection | undefined): void {
    this.#unread = undefined;
    this.#headRead = false;
    this.#tunnel = false;
    this.#reusable = false;
    this.answerBegun = false;
    this.status = 0;
    this.#connection = connection ?? this.#pools.open(endpoint, this, this.#owner.outgoing.upgrade);
  }

  get reused(): boolean {
    return this.#connection?.reused === true;
  }

  get ended(): boolean {
    return this.#connection?.socket.readableEnded === true;
  }

  // ── the request ──

  sendHead(content: Buffer | undefined, done: boolean, trailers: readonly string[] | undefined): boolean {
    const connection = this.#connection as UpstreamConnection;
    const { socket } = connection;
    const { text } = this.#owner.outgoing;
    if (content === undefined && !(done && this.#wraps)) return connection.writeText(text);
    socket.cork();
    const flowing = content === undefined ? socket.write(text, "latin1") : this.#writeContent(socket, text, content);
    if (done) this.sendEnd(trailers);
    socket.uncork();
    return flowing;
  }

  sendContent(bytes: Buffer): boolean {
    const socket = this.#connection?.socket;
    return socket === undefined || socket.destroyed || this.#writeContent(socket, "", bytes);
  }

  #writeContent(socket: net.Socket, head: string, bytes: Buffer): boolean {
    const { write } = this.#pools.buffers;
    if (!this.#wraps) return write.write(socket, head, bytes, 0, bytes.length);
    socket.cork();
    write.write(socket, `${head}${bytes.length.toString(16)}\r\n`, bytes, 0, bytes.length);
    const flowing = socket.write("\r\n", "latin1");
    socket.uncork();
    return flowing;
  }

  sendEnd(trailers: readonly string[] | undefined): void {
    const socket = this.#connection?.socket;
    if (this.#wraps && socket?.destroyed === false) socket.write(`0\r\n${trailerText(trailers)}`, "latin1");
  }

  endTunnel(): void {
    this.#connection?.socket.end();
  }

  pauseReading(): void {
    this.#connection?.socket.pause();
  }

  resumeReading(): void {
    this.#connection?.socket.resume();
  }

  finish(requestDone: boolean, now: number): void {
    const connection = this.#connection as UpstreamConnection;
    this.#connection = undefined;
    if (this.#reusable && requestDone) this.#pools.release(connection, now);
    // An answer before the whole request is a no; what is still coming would be read as the next request there.
    else connection.destroy();
  }

  drop(cut: boolean): void {
    if (cut) this.#connection?.reset();
    else this.#connection?.destroy();
    this.#connection = undefined;
  }

  dropTunnel(): void {
    this.#connection?.release();
    this.#connection = undefined;
  }

  // ── the connection ──

  onUpstreamConnect(): void {
    const connection = this.#connection as UpstreamConnection;
    if (connection.isHttp2) {
      this.#connection = undefined;
      this.#owner.onHttp2(connection);
    } else this.#owner.onTryReady();
  }

  onUpstreamData(bytes: Buffer, length: number): void {
    this.#answer.onTryProgress();
    if (this.#tunnel) {
      this.#answer.onTunnelBytes(bytes.subarray(0, length));
      return;
    }
    this.answerBegun = true;
    if (this.#headRead) this.#onContent(bytes, 0, length);
    else this.#onHeadBytes(bytes, length);
  }

  onUpstreamEnd(): void {
    this.#answer.onTryProgress();
    if (this.#tunnel) this.#answer.onTunnelEnd();
    else if (this.#headRead && this.#body.end() && !wasReset((this.#connection as UpstreamConnection).socket)) {
      this.#reusable = false;
      this.#ended();
    } else this.#owner.onTryFailed("UpstreamReset", false);
  }

  onUpstreamFailure(failure: Failure): void {
    this.#owner.onTryFailed(failure, false);
  }

  onUpstreamDrain(): void {
    this.#answer.onTryDrain();
  }

  // ── the answer ──

  /** The content is in chunks of ours. */
  get #wraps(): boolean {
    const { framed, lengthKnown } = this.#owner.outgoing;
    return !framed && !lengthKnown;
  }

  #onHeadBytes(bytes: Buffer, length: number): void {
    let input = bytes;
    let end = length;
    let from = 0;
    if (this.#unread !== undefined) {
      input = Buffer.concat([this.#unread, bytes.subarray(0, length)]);
      end = input.length;
      this.#unread = undefined;
    }
    while (from >= 0) {
      if (this.#readHead(input, from, end)) from = this.#onHead(input, from, end);
      else {
        this.#awaitHead(input, from, end);
        return;
      }
    }
  }

  /** @returns false where there is no whole head, and none that is bad */
  #readHead(input: Buffer, from: number, end: number): boolean {
    const { parser } = this.#head;
    const toHead = this.#owner.outgoing.method === "HEAD";
    this.#fault = parser.parseResponse(input, from, end, toHead);
    if (this.#fault === "") return parser.headEnd - from <= MAX_HEAD_BYTES;
    // What is wrong may be that it is not whole: up to its end, it is judged by itself.
    const headEnd = input.subarray(0, end).indexOf("\r\n\r\n", from, "latin1") + 4;
    if (headEnd < 4 || headEnd - from > MAX_HEAD_BYTES) return false;
    this.#fault = parser.parseResponse(input, from, headEnd, toHead);
    return true;
  }

  #awaitHead(input: Buffer, from: number, end: number): void {
    if (end - from > MAX_HEAD_BYTES || !looksLikeHttp(input, from, end) || bareLineFeed(input, from, end) >= 0) {
      this.#malformed();
      return;
    }
    if (end > from) this.#unread = Buffer.from(input.subarray(from, end));
    this.#flush();
  }

  /** @returns index where another head begins, after an interim one; -1 when heads are over */
  #onHead(input: Buffer, from: number, end: number): number {
    const { parser } = this.#head;
    const { outgoing } = this.#owner;
    const { downstream } = this.#answer;
    const { headEnd } = parser;
    this.#head.set(input, from, headEnd);
    // RFC 9110 §7.8: no switch that was not asked for.
    if (this.#fault !== "" || (parser.status === 101 && !outgoing.upgrade)) this.#malformed();
    else if (parser.status === 101) this.#switch(input, headEnd, end);
    else if (parser.status >= 200) this.#onFinalHead(input, headEnd, end);
    else {
      downstream.writeInterim(this.#head);
      return headEnd;
    }
    return -1;
  }

  #switch(input: Buffer, headEnd: number, end: number): void {
    const { outgoing } = this.#owner;
    const { downstream } = this.#answer;
    this.#headRead = true;
    this.#tunnel = true;
    this.status = 101;
    this.#owner.takesAnswer(101);
    downstream.writeHead(this.#head, "asSaid", outgoing.answerChanges, true);
    downstream.flush();
    this.#answer.onSwitched();
    if (end > headEnd) this.#answer.onTunnelBytes(input.subarray(headEnd, end));
  }

  #onFinalHead(input: Buffer, headEnd: number, end: number): void {
    const { parser } = this.#head;
    const { outgoing } = this.#owner;
    const { downstream, mayFollow } = this.#answer;
    const { framing } = parser;
    this.#unframes = framing === CHUNKED && !downstream.takesChunks;
    this.#reusable =
      framing !== UNTIL_CLOSE && !parser.close && (parser.minor === 1 || parser.keepAlive) && !outgoing.upgrade;
    this.#headRead = true;
    this.status = parser.status;
    this.#body.begin(framing, parser.contentLength, parser.nominated);
    if (!this.#owner.takesAnswer(parser.status)) {
      this.#decline(input, headEnd, end);
      return;
    }
    const told = framing !== UNTIL_CLOSE && !this.#unframes;
    downstream.writeHead(this.#head, told ? "asSaid" : "untold", outgoing.answerChanges, mayFollow);
    this.#onContent(input, headEnd, end);
  }

  /** An answer that is here whole leaves its connection usable; waiting for the rest of another is not worth it. */
  #decline(input: Buffer, from: number, end: number): void {
    const body = this.#body;
    const at = body.read(input, from, end);
    if (at < end) this.#reusable = false;
    this.#owner.onAnswerDeclined(body.done && !body.bad);
  }

  #onContent(input: Buffer, from: number, end: number): void {
    const body = this.#body;
    const { downstream } = this.#answer;
    const contentBefore = body.contentBytes;
    let at = from;
    if (this.#unframes) {
      while (at < end && !body.done && !body.bad) {
        at = body.readSpan(input, at, end);
        downstream.writeContent(input, body.spanStart, body.spanEnd);
      }
    } else {
      at = body.read(input, from, end);
      if (!body.bad) downstream.writeContent(input, from, body.passEnd);
      if (body.done && body.trailer.length > 0) downstream.writeContent(body.trailer, 0, body.trailer.length);
    }
    this.#answer.onAnswerContent(body.contentBytes - contentBefore);
    if (body.bad) this.#malformed();
    else if (body.done) {
      // More than the answer: nobody asked for it, and it must not be taken for the next one (RFC 9112 §9.2).
      if (at < end) this.#reusable = false;
      this.#ended();
    } else this.#flush();
  }

  #ended(): void {
    const { downstream } = this.#answer;
    const trailers = this.#unframes ? trailerFields(this.#body.trailer) : undefined;
    if (trailers !== undefined) this.#answer.onAnswerTrailers(trailers);
    downstream.writeEnd(trailers);
    downstream.flush();
    this.#answer.onAnswered();
  }

  /** What has not left yet of the answer never will; if that is all of it, the caller can still be told. */
  #malformed(): void {
    this.#answer.downstream.discard();
    this.#owner.onTryFailed("UpstreamMalformed", false);
  }

  #flush(): void {
    if (!this.#answer.downstream.flush()) this.pauseReading();
  }
}

/** Tells an endpoint that speaks something else before it has sent a head's worth of it. */
function looksLikeHttp(bytes: Buffer, from: number, end: number): boolean {
  const start = "HTTP/1.";
  for (let at = 0; at < start.length && from + at < end; at++)
    if (bytes[from + at] !== start.charCodeAt(at)) return false;
  return true;
}
