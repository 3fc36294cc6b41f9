/**
 * A caller's HTTP/1.1 connection: finds the heads in its bytes and runs one exchange after the other. A request that is
 * pipelined behind another waits unread, at most one read's worth of it in memory.
 */
import type net from "node:net";
import type { Failure } from "../../model/failures.ts";
import { CR, LF, TOKEN } from "../http1/bytes.ts";
import { type HeadFault, MAX_HEAD_BYTES } from "../http1/head-parser.ts";
import type { Caller, ServicePortState } from "../router/types.ts";
import type { Downstream } from "./downstream.ts";
import type { Exchange } from "./exchange.ts";
import { failureAnswer } from "./failure-answer.ts";
import type { HttpShared } from "./http-options.ts";

const FAILURE_OF_FAULT: Record<Exclude<HeadFault, "">, Failure> = {
  bad: "BadRequest",
  fields: "HeadTooLarge",
  coding: "TransferCoding",
  version: "HttpVersion",
};

/** What the engine keeps of its connections. */
export interface ConnectionOwner {
  takeExchange(): Exchange;
  giveBack(exchange: Exchange): void;
  /** A request that never became an exchange. */
  countRefused(failure: Failure): void;
  forget(connection: DownstreamConnection): void;
}

export class DownstreamConnection implements Downstream {
  readonly socket: net.Socket;
  readonly entry: ServicePortState;
  readonly #shared: HttpShared;
  readonly #owner: ConnectionOwner;
  #caller: Caller;
  #callerGeneration: number;
  #exchange: Exchange | undefined;
  /** Read, and not yet taken by a head or a body. */
  #unread: Buffer | undefined;
  /** When the head under way began to arrive, or the connection became idle. */
  #since: number;
  #headUnderWay = false;
  #pausedByBacklog = false;
  /** Our last answer is out: what the caller still sends is thrown away until it closes or `#since` is long ago. */
  #lingering = false;
  #reading = false;

  constructor(socket: net.Socket, entry: ServicePortState, shared: HttpShared, owner: ConnectionOwner) {
    this.socket = socket;
    this.entry = entry;
    this.#shared = shared;
    this.#owner = owner;
    this.#caller = shared.table.caller(socket.remoteAddress ?? "");
    this.#callerGeneration = shared.table.generation;
    this.#since = shared.clock.now();
    socket.on("data", (bytes: Buffer) => this.#onData(bytes));
    socket.on("end", () => this.#onEnd());
    socket.on("drain", () => this.#onDrain());
    // The close event follows every error and says enough.
    socket.on("error", () => {});
    socket.on("close", () => this.#onClose());
  }

  /** Who calls. An address may have come to mean another workload since the last request. */
  get caller(): Caller {
    const { table } = this.#shared;
    if (this.#callerGeneration !== table.generation) {
      this.#caller = table.caller(this.socket.remoteAddress ?? this.#caller.address);
      this.#callerGeneration = table.generation;
    }
    return this.#caller;
  }

  get idle(): boolean {
    return this.#exchange === undefined && this.#unread === undefined;
  }

  pauseReading(): void {
    this.socket.pause();
  }

  resumeReading(): void {
    if (!this.#pausedByBacklog) this.socket.resume();
  }

  takeUnreadBytes(): Buffer | undefined {
    const unread = this.#unread;
    this.#unread = undefined;
    this.#pausedByBacklog = false;
    return unread;
  }

  exchangeEnded(keepAlive: boolean): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (exchange !== undefined) this.#owner.giveBack(exchange);
    this.#since = this.#shared.clock.now();
    this.#pausedByBacklog = false;
    this.resumeReading();
    if (!keepAlive) this.#finish();
    else if (this.socket.readableEnded) {
      // A half-closed caller has its answers to everything that it sent.
      if (this.#unread === undefined) this.socket.end();
      else this.#readHeads();
    } else this.#readHeads();
  }

  /** Called by the engine's tick. */
  checkDeadline(now: number): void {
    const { headTimeoutMs, idleTimeoutMs, lingerMs } = this.#shared.limits;
    const elapsed = now - this.#since;
    if (this.#lingering) {
      if (elapsed > lingerMs) this.socket.destroy();
    } else if (this.#exchange !== undefined) this.#exchange.checkProgress(now);
    else if (this.#headUnderWay) {
      if (elapsed > headTimeoutMs) this.#refuse("HeadTimeout");
    } else if (elapsed > idleTimeoutMs) this.socket.destroy();
  }

  /** Ends it now if no exchange is under way; the one that is ends it. */
  drain(): void {
    if (this.idle && !this.#lingering) this.#finish();
  }

  #onData(bytes: Buffer): void {
    if (this.#lingering) return;
    const exchange = this.#exchange;
    if (exchange !== undefined) {
      if (exchange.isTunnel || !exchange.requestDone) {
        const at = exchange.onRequestBytes(bytes, 0, bytes.length);
        if (at < bytes.length && !this.#lingering) this.#keep(bytes.subarray(at));
      } else this.#keep(bytes);
      return;
    }
    this.#keepUnread(bytes);
    this.#readHeads();
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
  }

  /** @returns whether there may be more to read */
  #readHead(bytes: Buffer): boolean {
    let start = 0;
    // RFC 9112 §2.2: an empty line before the request line, a leftover of old clients, is passed over.
    if (bytes[0] === CR && bytes.length > 1 && bytes[1] === LF) start = 2;
    const found = bytes.indexOf("\r\n\r\n", start, "latin1");
    if (found < 0) return this.#awaitHead(bytes, start);
    const headEnd = found + 4;
    this.#headUnderWay = false;
    if (headEnd - start > MAX_HEAD_BYTES) return this.#refuse("HeadTooLarge");
    const { requestParser: parser, view } = this.#shared;
    const fault = parser.parseRequest(bytes, start, headEnd);
    if (fault !== "") return this.#refuse(FAILURE_OF_FAULT[fault]);

    const exchange = this.#owner.takeExchange();
    this.#exchange = exchange;
    this.#unread = undefined;
    exchange.begin(this, parser, bytes);
    const at = exchange.requestDone ? headEnd : exchange.onRequestBytes(bytes, headEnd, bytes.length);
    // A body that is bad from its first bytes has ended the exchange already.
    if (at < bytes.length && this.#exchange === exchange) this.#keep(bytes.subarray(at));
    if (this.#exchange === exchange) exchange.start(parser, bytes, start, headEnd, view);
    return true;
  }

  /** Not a whole head yet. What can no longer become one is refused at once rather than at the time-out. */
  #awaitHead(bytes: Buffer, start: number): boolean {
    if (!this.#headUnderWay) {
      this.#headUnderWay = true;
      this.#since = this.#shared.clock.now();
    }
    if (bytes.length - start > MAX_HEAD_BYTES) return this.#refuse("HeadTooLarge");
    if (bytes.length > start && bytes[start] !== CR && TOKEN[bytes[start] as number] !== 1)
      return this.#refuse("BadRequest");
    for (let at = bytes.indexOf(LF, start); at >= 0; at = bytes.indexOf(LF, at + 1))
      if (bytes[at - 1] !== CR) return this.#refuse("BadRequest");
    return false;
  }

  /** An answer to what is no request. Nothing after it on this connection can be trusted. */
  #refuse(failure: Failure): false {
    this.#owner.countRefused(failure);
    const wallMs = this.#shared.clock.wall();
    this.socket.write(failureAnswer(failure, 0, { head: false, close: true, wallMs }), "latin1");
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
    else this.socket.end();
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
