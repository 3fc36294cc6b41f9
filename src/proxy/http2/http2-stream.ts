import {
  CANCEL,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_PAYLOAD_BYTES,
  MAX_WINDOW_BYTES,
  NO_ERROR,
  PROTOCOL_ERROR,
  STREAM_CLOSED,
} from "./frames.ts";
import { encodeFields } from "./hpack-encoder.ts";
import { areTrailers, type MessageHead, UNKNOWN_LENGTH } from "./message-rules.ts";

/** What a stream asks of its connection. */
export interface StreamCarrier {
  /** Bytes that the connection's window and socket take now. */
  readonly sendRoom: number;
  /** The socket has taken all that was written. */
  readonly socketReady: boolean;
  writeHeaders(stream: Http2Stream, block: string, end: boolean): void;
  writeData(stream: Http2Stream, bytes: Uint8Array, from: number, to: number, end: boolean): void;
  writeReset(stream: Http2Stream, code: number): void;
  writeCredit(stream: Http2Stream, bytes: number): void;
  /** The stream has bytes that no window takes. */
  waitForRoom(stream: Http2Stream): void;
  /** Both sides ended, or it was reset. */
  streamOver(stream: Http2Stream): void;
}

/** Who uses a stream. Nothing is called after `onEnd` or a head that ended it, but `onReset` and `onDrain`. */
export interface Http2StreamUser {
  /** Of a client's stream: the final response. `fields` has `:status` first. @param ended nothing follows */
  onHead(status: number, fields: string[], ended: boolean): void;
  /** Of a client's stream: 1xx. */
  onInterim(status: number, fields: string[]): void;
  /** @param bytes valid during the call */
  onData(bytes: Buffer, from: number, end: number): void;
  onEnd(trailers: string[] | undefined): void;
  /** It is over, both ways, before its end. @param code of RFC 9113 §7; @param byPeer or by us, for what the peer did */
  onReset(code: number, byPeer: boolean): void;
  /** What `sendData` could not pass on has left. */
  onDrain(): void;
}

/** One stream of a connection, RFC 9113 §5: its two ends, what may come on it, its windows, and what waits for them. */
export class Http2Stream {
  readonly id: number;
  readonly #carrier: StreamCarrier;
  user: Http2StreamUser | undefined;
  localEnded = false;
  remoteEnded = false;
  /** Reset, or the connection is gone. */
  over = false;
  /** The final head of the peer came: what follows are content and trailers. */
  headSeen = false;
  /** Bytes of content still to come, of a message that says how many. */
  expected = UNKNOWN_LENGTH;
  /** It was opened with HEAD, so a length in its answer announces nothing (RFC 9110 §9.3.2). */
  ofHead = false;

  /** Bytes that the peer takes; negative after it made its window smaller (§6.9.2). */
  sendWindow: number;
  /** Bytes that the peer may still send. */
  receiveWindow: number;
  readonly #windowBytes: number;
  /** Bytes received that the peer has no credit for yet. */
  #owed = 0;
  #paused = false;

  readonly #pending: Uint8Array[] = [];
  #pendingAt = 0;
  /** What comes after the pending bytes: nothing yet, the end, or trailers. */
  #pendingEnd: readonly string[] | true | undefined;
  #refusesRest = false;
  /** `sendData` said no. */
  #wantsDrain = false;

  constructor(id: number, carrier: StreamCarrier, sendWindow: number, windowBytes: number) {
    this.id = id;
    this.#carrier = carrier;
    this.sendWindow = sendWindow;
    this.receiveWindow = windowBytes;
    this.#windowBytes = windowBytes;
  }

  /** A head, final or interim. @param fields with pseudo fields first */
  sendHead(fields: readonly string[], end: boolean): void {
    if (this.over || this.localEnded) return;
    this.#carrier.writeHeaders(this, encodeFields(fields), end);
    if (end) this.#endLocal();
  }

  /**
   * Content. What the peer does not take now is copied and waits.
   * @returns whether all of it went out; if not, `onDrain` says when more is welcome
   */
  sendData(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.over || this.localEnded) return true;
    let at = from;
    if (this.#pending.length === 0) at = this.#write(bytes, from, to, false);
    if (at < to) {
      this.#pending.push(Uint8Array.prototype.slice.call(bytes, at, to));
      this.#carrier.waitForRoom(this);
    } else if (this.#pending.length === 0 && this.#carrier.socketReady) return true;
    this.#wantsDrain = true;
    return false;
  }

  /** The end of the content. */
  sendEnd(trailers: readonly string[] | undefined): void {
    if (this.over || this.localEnded || this.#pendingEnd !== undefined) return;
    if (this.#pending.length > 0) this.#pendingEnd = trailers ?? true;
    else this.#writeEnd(trailers);
  }

  /** Tells the peer, once our side has ended, that the rest of its content is of no use (RFC 9113 §8.1). */
  refuseRest(): void {
    if (this.localEnded && !this.remoteEnded) this.reset(NO_ERROR);
    else this.#refusesRest = true;
  }

  /** Ends both sides at once. The user hears nothing more. */
  reset(code = CANCEL): void {
    if (this.over) return;
    this.user = undefined;
    this.over = true;
    this.#carrier.writeReset(this, code);
    this.#dropPending();
    this.#carrier.streamOver(this);
  }

  /** No more content than the window still holds. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#giveCredit();
  }

  // ── what comes on it: each returns NO_ERROR, or the code of what is wrong, with which the connection resets it ──

  /** A frame of content comes. @param length with its padding */
  takeData(length: number): number {
    if (this.remoteEnded) return STREAM_CLOSED;
    if (!this.headSeen) return PROTOCOL_ERROR;
    if (length > this.receiveWindow) return FLOW_CONTROL_ERROR;
    this.receiveWindow -= length;
    this.#owed += length;
    return NO_ERROR;
  }

  /** Content of such a frame. @param bytes valid during the call */
  takeContent(bytes: Buffer, from: number, to: number): number {
    if (this.expected !== UNKNOWN_LENGTH) {
      // §8.1.1: more content than was announced.
      if (to - from > this.expected) return PROTOCOL_ERROR;
      this.expected -= to - from;
    }
    this.user?.onData(bytes, from, to);
    return NO_ERROR;
  }

  /** The message is over. */
  takeEnd(trailers: string[] | undefined): number {
    if (this.expected > 0) return PROTOCOL_ERROR;
    const { user } = this;
    this.endRemote();
    user?.onEnd(trailers);
    return NO_ERROR;
  }

  /** Fields that are no request: a response, or trailers. @param head to read them with; @param tooLarge they are not whole */
  takeFields(head: MessageHead, fields: string[], ends: boolean, tooLarge: boolean): number {
    if (this.remoteEnded) return STREAM_CLOSED;
    if (tooLarge) return ENHANCE_YOUR_CALM;
    if (!this.headSeen) return this.#takeResponse(head, fields, ends);
    // §8.1: trailers end the message.
    return ends && areTrailers(fields) ? this.takeEnd(fields) : PROTOCOL_ERROR;
  }

  #takeResponse(head: MessageHead, fields: string[], ends: boolean): number {
    const wellFormed = head.readResponse(fields);
    const { status, contentLength } = head;
    if (!wellFormed || (status < 200 && ends)) return PROTOCOL_ERROR;
    const { user } = this;
    if (status < 200) {
      user?.onInterim(status, fields);
      return NO_ERROR;
    }
    this.headSeen = true;
    const bodiless = this.ofHead || status === 204 || status === 304;
    this.expected = bodiless ? 0 : contentLength;
    if (ends && this.expected > 0) return PROTOCOL_ERROR;
    if (ends) this.endRemote();
    user?.onHead(status, fields, ends);
    return NO_ERROR;
  }

  // ── what the connection calls ──

  /** After content was passed on: the peer may send as much again, unless whoever takes it is behind. */
  creditReceived(): void {
    if (!this.#paused && this.#owed >= this.#windowBytes >>> 1) this.#giveCredit();
  }

  /** The peer ended its side. */
  endRemote(): void {
    this.remoteEnded = true;
    if (this.localEnded && !this.over) this.#carrier.streamOver(this);
  }

  /** The peer, or the end of the connection, ended it. */
  abandon(code: number, byPeer: boolean): void {
    if (this.over) return;
    this.over = true;
    this.#dropPending();
    const { user } = this;
    this.user = undefined;
    this.#carrier.streamOver(this);
    user?.onReset(code, byPeer);
  }

  /** @returns whether the window stays within bounds (§6.9.1) */
  widen(bytes: number): boolean {
    this.sendWindow += bytes;
    return this.sendWindow <= MAX_WINDOW_BYTES;
  }

  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  /** Sends of what waits as much as the windows take, at most a frame. @returns whether it could use more room */
  sendPending(): boolean {
    const bytes = this.#pending[0];
    if (bytes === undefined) return false;
    const to = Math.min(bytes.length, this.#pendingAt + FRAME_PAYLOAD_BYTES);
    const last = this.#pending.length === 1 && to === bytes.length && this.#pendingEnd === true;
    const at = this.#write(bytes, this.#pendingAt, to, last);
    const moved = at > this.#pendingAt;
    this.#pendingAt = at;
    if (at < bytes.length) return moved && at === to;
    this.#pending.shift();
    this.#pendingAt = 0;
    if (this.#pending.length > 0) return true;
    const end = this.#pendingEnd;
    if (end === true) this.#endLocal();
    else if (end !== undefined) this.#writeEnd(end);
    this.drain();
    return false;
  }

  /** The socket takes more. */
  drain(): void {
    if (!this.#wantsDrain || this.#pending.length > 0 || !this.#carrier.socketReady) return;
    this.#wantsDrain = false;
    this.user?.onDrain();
  }

  /** @returns index after what was sent */
  #write(bytes: Uint8Array, from: number, to: number, end: boolean): number {
    let at = from;
    while (at < to) {
      const room = Math.min(this.sendWindow, this.#carrier.sendRoom, FRAME_PAYLOAD_BYTES);
      if (room <= 0) break;
      const until = Math.min(to, at + room);
      this.sendWindow -= until - at;
      this.#carrier.writeData(this, bytes, at, until, end && until === to);
      at = until;
    }
    return at;
  }

  #writeEnd(trailers: readonly string[] | undefined): void {
    if (trailers === undefined) this.#carrier.writeData(this, NOTHING, 0, 0, true);
    else this.#carrier.writeHeaders(this, encodeFields(trailers), true);
    this.#endLocal();
  }

  #endLocal(): void {
    this.localEnded = true;
    this.#pendingEnd = undefined;
    if (this.over) return;
    if (this.remoteEnded) this.#carrier.streamOver(this);
    else if (this.#refusesRest) this.reset(NO_ERROR);
  }

  #giveCredit(): void {
    if (this.#owed === 0 || this.over || this.remoteEnded) return;
    this.#carrier.writeCredit(this, this.#owed);
    this.receiveWindow += this.#owed;
    this.#owed = 0;
  }

  #dropPending(): void {
    this.#pending.length = 0;
    this.#pendingAt = 0;
    this.#pendingEnd = undefined;
  }
}

const NOTHING = new Uint8Array();
