/**
 * Bytes to frames, RFC 9113 §4 and §6: whatever of a frame can be judged by itself is judged here. The content of DATA is
 * passed on as it comes; other frames are read whole, and a field block with all of its continuations.
 */
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_BYTES,
  FRAME_SIZE_ERROR,
  GOAWAY,
  HAS_PRIORITY,
  HEADERS,
  MAX_FIELD_LIST_BYTES,
  PADDED,
  PING,
  PRIORITY,
  PROTOCOL_ERROR,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "./frames.ts";

/** A block in more pieces than this is an attack (CVE-2024-27316). */
const MAX_CONTINUATIONS = 64;
const STREAM_ID = 0x7fff_ffff;

/** What came. Bytes are valid during the call. */
export interface FrameHandler {
  /** A DATA frame begins. @param length of its payload, padding included */
  onData(id: number, length: number, ends: boolean): void;
  /** Content of the DATA frame under way. */
  onDataBytes(bytes: Buffer, from: number, to: number): void;
  onDataEnd(): void;
  /** @param dependsOnItself by the priority that it carries (RFC 9113 §5.3.1) */
  onFieldBlock(id: number, ends: boolean, dependsOnItself: boolean, bytes: Buffer, from: number, to: number): void;
  /** @param dependency the stream that it names, or undefined where the frame has a wrong size: an error of the stream */
  onPriority(id: number, dependency: number | undefined): void;
  onRst(id: number, code: number): void;
  /** @param bytes settings of six bytes each */
  onSettings(bytes: Buffer, from: number, to: number): void;
  /** @param bytes eight of them, from `from` */
  onPing(ack: boolean, bytes: Buffer, from: number): void;
  onGoaway(lastStream: number): void;
  onWindowUpdate(id: number, increment: number): void;
  /** An error of the connection (§5.4.1). Nothing is read after it. */
  onFault(code: number, reason: string): void;
}

export class FrameReader {
  readonly #handler: FrameHandler;
  #partial: Buffer | undefined;
  #settingsSeen = false;
  /** Nothing more is read. */
  #stopped = false;

  // the DATA frame under way
  #dataLeft = 0;
  #padding = 0;
  #paddingUnread = false;

  // the field block under way
  #block: Buffer | undefined;
  #blockStream = 0;
  #blockEnds = false;
  #blockDependsOnItself = false;
  #continuations = 0;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** A field block is under way. */
  get blockUnderWay(): boolean {
    return this.#block !== undefined;
  }

  stop(): void {
    this.#stopped = true;
    this.#partial = this.#block = undefined;
  }

  /** @param bytes valid during the call */
  read(bytes: Buffer, from: number, end: number): void {
    let input = bytes;
    let at = from;
    let to = end;
    if (this.#partial !== undefined) {
      input = Buffer.concat([this.#partial, bytes.subarray(from, end)]);
      this.#partial = undefined;
      at = 0;
      to = input.length;
    }
    while (at < to && !this.#stopped) {
      const next = this.#dataLeft > 0 ? this.#readData(input, at, to) : this.#readFrame(input, at, to);
      if (next < 0) {
        if (!this.#stopped) this.#partial = Buffer.from(input.subarray(at, to));
        return;
      }
      at = next;
    }
  }

  /** @returns index after the frame (after its header, for DATA), or -1 where it is not whole or at fault */
  #readFrame(input: Buffer, at: number, to: number): number {
    if (to - at < FRAME_HEADER_BYTES) return -1;
    const length = input.readUIntBE(at, 3);
    const type = input[at + 3] as number;
    const flags = input[at + 4] as number;
    const id = input.readUInt32BE(at + 5) & STREAM_ID;
    const start = at + FRAME_HEADER_BYTES;
    if (length > FRAME_PAYLOAD_BYTES) return this.#fault(FRAME_SIZE_ERROR, "a frame is larger than we take");
    // §3.4: nothing comes before the peer's settings.
    if (!this.#settingsSeen && (type !== SETTINGS || (flags & ACK) !== 0))
      return this.#fault(PROTOCOL_ERROR, "the first frame is not SETTINGS");
    if (this.#block !== undefined && (type !== CONTINUATION || id !== this.#blockStream))
      return this.#fault(PROTOCOL_ERROR, "a field block was interrupted");
    if (type === DATA) return this.#beginData(id, flags, length, start);
    const end = start + length;
    if (end > to) return -1;
    const fault = this.#onFrame(type, flags, id, input, start, end);
    return fault < 0 ? fault : end;
  }

  /** @returns negative after a fault */
  #onFrame(type: number, flags: number, id: number, input: Buffer, start: number, end: number): number {
    switch (type) {
      case HEADERS:
        return this.#onHeaders(flags, id, input, start, end);
      case CONTINUATION:
        return this.#onContinuation(flags, id, input, start, end);
      case SETTINGS:
        return this.#onSettings(flags, id, input, start, end);
      case PING:
        if (id !== 0) return this.#fault(PROTOCOL_ERROR, "PING on a stream");
        if (end - start !== 8) return this.#fault(FRAME_SIZE_ERROR, "PING of a wrong size");
        this.#handler.onPing((flags & ACK) !== 0, input, start);
        return 0;
      case PRIORITY:
        if (id === 0) return this.#fault(PROTOCOL_ERROR, "PRIORITY on stream 0");
        this.#handler.onPriority(id, end - start === 5 ? input.readUInt32BE(start) & STREAM_ID : undefined);
        return 0;
      case RST_STREAM:
        if (id === 0) return this.#fault(PROTOCOL_ERROR, "RST_STREAM on stream 0");
        if (end - start !== 4) return this.#fault(FRAME_SIZE_ERROR, "RST_STREAM of a wrong size");
        this.#handler.onRst(id, input.readUInt32BE(start));
        return 0;
      case GOAWAY:
        if (id !== 0) return this.#fault(PROTOCOL_ERROR, "GOAWAY on a stream");
        if (end - start < 8) return this.#fault(FRAME_SIZE_ERROR, "GOAWAY of a wrong size");
        this.#handler.onGoaway(input.readUInt32BE(start) & STREAM_ID);
        return 0;
      case WINDOW_UPDATE:
        if (end - start !== 4) return this.#fault(FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size");
        this.#handler.onWindowUpdate(id, input.readUInt32BE(start) & STREAM_ID);
        return 0;
      case PUSH_PROMISE:
        return this.#fault(PROTOCOL_ERROR, "a push that was not enabled");
      default:
        // §4.1: unknown types are ignored.
        return 0;
    }
  }

  #beginData(id: number, flags: number, length: number, start: number): number {
    if (id === 0) return this.#fault(PROTOCOL_ERROR, "DATA on stream 0");
    const padded = (flags & PADDED) !== 0;
    if (padded && length === 0) return this.#fault(FRAME_SIZE_ERROR, "padding without its length");
    this.#dataLeft = length;
    this.#padding = 0;
    this.#paddingUnread = padded;
    this.#handler.onData(id, length, (flags & END_STREAM) !== 0);
    if (length === 0) this.#handler.onDataEnd();
    return start;
  }

  #readData(input: Buffer, from: number, to: number): number {
    let at = from;
    if (this.#paddingUnread) {
      this.#paddingUnread = false;
      this.#padding = input[at++] as number;
      if (--this.#dataLeft < this.#padding) return this.#fault(PROTOCOL_ERROR, "more padding than payload");
    }
    const until = Math.min(to, at + this.#dataLeft - this.#padding);
    if (until > at) this.#handler.onDataBytes(input, at, until);
    const next = Math.min(to, at + this.#dataLeft);
    this.#dataLeft -= next - at;
    if (this.#dataLeft === 0) this.#handler.onDataEnd();
    return next;
  }

  #onHeaders(flags: number, id: number, input: Buffer, start: number, end: number): number {
    if ((id & 1) === 0) return this.#fault(PROTOCOL_ERROR, "HEADERS on a stream that no client begins");
    let from = start;
    let to = end;
    if ((flags & PADDED) !== 0) {
      if (from === to) return this.#fault(FRAME_SIZE_ERROR, "padding without its length");
      to -= input[from++] as number;
    }
    this.#blockDependsOnItself = false;
    if ((flags & HAS_PRIORITY) !== 0) {
      if (end - from < 5) return this.#fault(FRAME_SIZE_ERROR, "HEADERS without its priority");
      this.#blockDependsOnItself = (input.readUInt32BE(from) & STREAM_ID) === id;
      from += 5;
    }
    if (to < from) return this.#fault(PROTOCOL_ERROR, "more padding than payload");
    this.#blockStream = id;
    this.#blockEnds = (flags & END_STREAM) !== 0;
    this.#continuations = 0;
    if ((flags & END_HEADERS) === 0) this.#block = Buffer.from(input.subarray(from, to));
    else this.#handler.onFieldBlock(id, this.#blockEnds, this.#blockDependsOnItself, input, from, to);
    return 0;
  }

  #onContinuation(flags: number, id: number, input: Buffer, start: number, end: number): number {
    const before = this.#block;
    if (before === undefined) return this.#fault(PROTOCOL_ERROR, "CONTINUATION of nothing");
    if (++this.#continuations > MAX_CONTINUATIONS || before.length + end - start > MAX_FIELD_LIST_BYTES)
      return this.#fault(ENHANCE_YOUR_CALM, "a field block is too long");
    const block = Buffer.concat([before, input.subarray(start, end)]);
    if ((flags & END_HEADERS) === 0) {
      this.#block = block;
      return 0;
    }
    this.#block = undefined;
    this.#handler.onFieldBlock(id, this.#blockEnds, this.#blockDependsOnItself, block, 0, block.length);
    return 0;
  }

  #onSettings(flags: number, id: number, input: Buffer, start: number, end: number): number {
    if (id !== 0) return this.#fault(PROTOCOL_ERROR, "SETTINGS on a stream");
    this.#settingsSeen = true;
    const ack = (flags & ACK) !== 0;
    if ((end - start) % 6 !== 0 || (ack && end > start))
      return this.#fault(FRAME_SIZE_ERROR, "SETTINGS of a wrong size");
    if (!ack) this.#handler.onSettings(input, start, end);
    return 0;
  }

  #fault(code: number, reason: string): number {
    this.stop();
    this.#handler.onFault(code, reason);
    return -1;
  }
}
