/** Frames on their way out: collected in one buffer, so that what is written within one step leaves as one write. */
import type net from "node:net";
import { FRAME_HEADER_BYTES } from "./frames.ts";

const CHUNK_BYTES = 32 * 1024;
/** A chunk with less room than this is not worth passing on. */
const WORTH_KEEPING_BYTES = 2 * 1024;
const MAX_SPARE_CHUNKS = 16;

interface Chunk {
  readonly bytes: Buffer;
  used: number;
}

/**
 * Chunks with room left, of all connections of a thread. What was flushed of a chunk is never written again, so a socket
 * may take its time with it.
 */
export class OutputChunks {
  readonly #spare: Chunk[] = [];

  take(): Chunk {
    return this.#spare.pop() ?? { bytes: Buffer.allocUnsafeSlow(CHUNK_BYTES), used: 0 };
  }

  giveBack(chunk: Chunk): void {
    if (CHUNK_BYTES - chunk.used >= WORTH_KEEPING_BYTES && this.#spare.length < MAX_SPARE_CHUNKS)
      this.#spare.push(chunk);
  }
}

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

  /** A frame's header; the payload follows with `text` and `bytes`. (RFC 9113 §4.1) */
  header(payloadBytes: number, type: number, flags: number, streamId: number): void {
    const { bytes, used } = this.#room(FRAME_HEADER_BYTES);
    bytes[used] = payloadBytes >>> 16;
    bytes[used + 1] = payloadBytes >>> 8;
    bytes[used + 2] = payloadBytes;
    bytes[used + 3] = type;
    bytes[used + 4] = flags;
    bytes.writeUInt32BE(streamId, used + 5);
    this.#advance(FRAME_HEADER_BYTES);
  }

  uint32(value: number): void {
    const { bytes, used } = this.#room(4);
    bytes.writeUInt32BE(value, used);
    this.#advance(4);
  }

  uint16(value: number): void {
    const { bytes, used } = this.#room(2);
    bytes.writeUInt16BE(value, used);
    this.#advance(2);
  }

  /** @param text one character a byte, at most a frame's payload */
  text(text: string): void {
    const { bytes, used } = this.#room(text.length);
    bytes.write(text, used, "latin1");
    this.#advance(text.length);
  }

  /** Copies at most a frame's payload. */
  bytes(source: Uint8Array, from: number, end: number): void {
    const { bytes, used } = this.#room(end - from);
    bytes.set(source.subarray(from, end), used);
    this.#advance(end - from);
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
