/**
 * Frames (RFC 9113 §6) on their way out: collected in one buffer, so that what is written within one step leaves as one
 * write.
 */
import type net from "node:net";
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_BYTES,
  GOAWAY,
  HEADERS,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "./frames.ts";
import { CHUNK_BYTES, type Chunk, type OutputChunks } from "./output-chunks.ts";

const PING_BYTES = 8;

export class FrameOutput {
  readonly #socket: net.Socket;
  readonly #chunks: OutputChunks;
  #chunk: Chunk | undefined;
  /** Where what is not yet flushed begins in the chunk. */
  #from = 0;
  #corked = false;
  #scheduled = false;
  readonly #flushLater = () => {
    this.#scheduled = false;
    this.flush();
  };

  constructor(socket: net.Socket, chunks: OutputChunks) {
    this.#socket = socket;
    this.#chunks = chunks;
  }

  /** What a client says first. */
  preface(): void {
    this.#text(PREFACE);
  }

  /** @param pairs setting, value, setting, value … */
  settings(pairs: readonly number[]): void {
    this.#header(pairs.length * 3, SETTINGS, 0, 0);
    for (let at = 0; at < pairs.length; at += 2) {
      this.#uint16(pairs[at] as number);
      this.#uint32(pairs[at + 1] as number);
    }
    this.scheduleFlush();
  }

  settingsAck(): void {
    this.#header(0, SETTINGS, ACK, 0);
    this.scheduleFlush();
  }

  /** @param block fields as HPACK writes them, one character a byte; in as many frames as it takes */
  headers(streamId: number, block: string, end: boolean): void {
    let type = HEADERS;
    let flags = end ? END_STREAM : 0;
    for (let at = 0; at < block.length; at += FRAME_PAYLOAD_BYTES) {
      const piece = block.slice(at, at + FRAME_PAYLOAD_BYTES);
      if (at + piece.length === block.length) flags |= END_HEADERS;
      this.#header(piece.length, type, flags, streamId);
      this.#text(piece);
      type = CONTINUATION;
      flags = 0;
    }
    this.scheduleFlush();
  }

  /** Copies at most a frame's payload. */
  data(streamId: number, bytes: Uint8Array, from: number, to: number, end: boolean): void {
    this.#header(to - from, DATA, end ? END_STREAM : 0, streamId);
    if (to > from) this.#bytes(bytes, from, to);
    this.scheduleFlush();
  }

  rstStream(streamId: number, code: number): void {
    this.#header(4, RST_STREAM, 0, streamId);
    this.#uint32(code);
    this.scheduleFlush();
  }

  /** @param streamId 0 for the connection's window */
  windowUpdate(streamId: number, bytes: number): void {
    this.#header(4, WINDOW_UPDATE, 0, streamId);
    this.#uint32(bytes);
    this.scheduleFlush();
  }

  /** @param payload of eight characters */
  ping(payload: string): void {
    this.#header(PING_BYTES, PING, 0, 0);
    this.#text(payload);
    this.scheduleFlush();
  }

  /** @param bytes what the ping had, from `from` on */
  pingAck(bytes: Buffer, from: number): void {
    this.#header(PING_BYTES, PING, ACK, 0);
    this.#bytes(bytes, from, from + PING_BYTES);
    this.scheduleFlush();
  }

  /** @param reason for whoever reads the peer's log; one character a byte */
  goaway(lastStream: number, code: number, reason: string): void {
    this.#header(8 + reason.length, GOAWAY, 0, 0);
    this.#uint32(lastStream);
    this.#uint32(code);
    if (reason !== "") this.#text(reason);
    this.scheduleFlush();
  }

  /** Has what was written leave once all sockets that are readable now were read, so that more of it leaves at once. */
  scheduleFlush(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flushLater);
  }

  flush(): void {
    const chunk = this.#chunk;
    if (chunk === undefined) return;
    this.#chunk = undefined;
    this.#write(chunk);
    this.#chunks.giveBack(chunk);
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
  }

  // ── bytes of a frame ──

  /** A frame's header; the payload follows with `#text` and `#bytes`. (RFC 9113 §4.1) */
  #header(payloadBytes: number, type: number, flags: number, streamId: number): void {
    const { bytes, used } = this.#room(FRAME_HEADER_BYTES);
    bytes[used] = payloadBytes >>> 16;
    bytes[used + 1] = payloadBytes >>> 8;
    bytes[used + 2] = payloadBytes;
    bytes[used + 3] = type;
    bytes[used + 4] = flags;
    bytes.writeUInt32BE(streamId, used + 5);
    this.#advance(FRAME_HEADER_BYTES);
  }

  #uint32(value: number): void {
    const { bytes, used } = this.#room(4);
    bytes.writeUInt32BE(value, used);
    this.#advance(4);
  }

  #uint16(value: number): void {
    const { bytes, used } = this.#room(2);
    bytes.writeUInt16BE(value, used);
    this.#advance(2);
  }

  /** @param text one character a byte, at most a frame's payload */
  #text(text: string): void {
    const { bytes, used } = this.#room(text.length);
    bytes.write(text, used, "latin1");
    this.#advance(text.length);
  }

  /** Copies at most a frame's payload. */
  #bytes(source: Uint8Array, from: number, end: number): void {
    const { bytes, used } = this.#room(end - from);
    bytes.set(source.subarray(from, end), used);
    this.#advance(end - from);
  }

  #room(length: number): Chunk {
    let chunk = this.#chunk;
    if (chunk !== undefined && CHUNK_BYTES - chunk.used >= length) return chunk;
    if (chunk !== undefined) {
      if (!this.#corked) this.#socket.cork();
      this.#corked = true;
      this.#write(chunk);
    }
    do chunk = this.#chunks.take();
    while (CHUNK_BYTES - chunk.used < length);
    this.#chunk = chunk;
    this.#from = chunk.used;
    return chunk;
  }

  #advance(length: number): void {
    (this.#chunk as Chunk).used += length;
  }

  #write(chunk: Chunk): void {
    if (chunk.used > this.#from && this.#socket.writable)
      this.#socket.write(chunk.bytes.subarray(this.#from, chunk.used));
  }
}
