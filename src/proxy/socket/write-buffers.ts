/**
 * Buffers that bytes wait in on their way into a socket. What a socket reads lies in a buffer that the next read
 * overwrites, so what is passed on is copied; into buffers that were used a moment ago, because that costs a tenth of
 * what fresh memory does, which has to be asked for, zeroed and collected.
 */
import type net from "node:net";
import { READ_BYTES } from "./shared-read.ts";

/** What is read at once where much moves. */
export const WIDE_READ_BYTES = 256 * 1024;
/** What a socket reads at once fits, with a head before it. */
const HEAD_ROOM_BYTES = 16 * 1024;
const USUAL_BYTES = READ_BYTES + HEAD_ROOM_BYTES;
const WIDE_BYTES = WIDE_READ_BYTES + HEAD_ROOM_BYTES;
/** Kept for reuse. */
const MAX_SPARE = 64;
/**
 * There are no more of them, so that many slow readers do not hold four times the memory: 8.5 MiB. A piece that was read wide
 * when the last of them went has memory of its own, so a few more may wait.
 */
const MAX_WIDE = 32;
/**
 * Up to here a piece has memory of its own size. A buffer is taken until its write is done, and how much a socket holds
 * is counted in bytes: small pieces of a sender that drips would take thousands of buffers.
 */
const SMALL_BYTES = 8 * 1024;

interface WriteBuffer {
  readonly bytes: Buffer;
  /** For `socket.write`, when all of it has left. */
  readonly written: () => void;
}

/** Of one thread. */
export class WriteBuffers {
  readonly #usual = new Spare(USUAL_BYTES, MAX_SPARE, Number.POSITIVE_INFINITY);
  readonly #wide = new Spare(WIDE_BYTES, MAX_WIDE, MAX_WIDE);

  /** Whether what a wide read gives will find a buffer. */
  get takesWide(): boolean {
    return this.#wide.isLeft;
  }

  /**
   * Writes text, a character a byte, and a copy of `bytes` after it.
   * @param bytes from `from` to `end`; free again when this returns
   * @returns as `socket.write`: false where the socket should drain first
   */
  write(socket: net.Socket, text: string, bytes: Buffer, from: number, end: number): boolean {
    const length = text.length + end - from;
    if (length <= SMALL_BYTES) {
      const small = Buffer.allocUnsafe(length);
      if (text !== "") small.write(text, 0, "latin1");
      bytes.copy(small, text.length, from, end);
      return socket.write(small);
    }
    const spare = length <= USUAL_BYTES ? this.#usual : this.#wide;
    if (length > WIDE_BYTES || !spare.isLeft) return writeFresh(socket, text, bytes, from, end);
    const buffer = spare.take();
    if (text !== "") buffer.bytes.write(text, 0, "latin1");
    bytes.copy(buffer.bytes, text.length, from, end);
    return socket.write(buffer.bytes.subarray(0, length), buffer.written);
  }
}

/** Buffers of one size. */
class Spare {
  readonly #bytes: number;
  readonly #maxKept: number;
  readonly #maxTaken: number;
  readonly #buffers: WriteBuffer[] = [];
  #taken = 0;

  constructor(bytes: number, maxKept: number, maxTaken: number) {
    this.#bytes = bytes;
    this.#maxKept = maxKept;
    this.#maxTaken = maxTaken;
  }

  get isLeft(): boolean {
    return this.#taken < this.#maxTaken;
  }

  take(): WriteBuffer {
    this.#taken++;
    return this.#buffers.pop() ?? this.#make();
  }

  #make(): WriteBuffer {
    const buffer: WriteBuffer = {
      bytes: Buffer.allocUnsafeSlow(this.#bytes),
      written: () => {
        this.#taken--;
        if (this.#buffers.length < this.#maxKept) this.#buffers.push(buffer);
      },
    };
    return buffer;
  }
}

/** A head or content of unusual length. */
function writeFresh(socket: net.Socket, text: string, bytes: Buffer, from: number, end: number): boolean {
  socket.cork();
  socket.write(text, "latin1");
  const flowing = socket.write(Buffer.from(bytes.subarray(from, end)));
  socket.uncork();
  return flowing;
}
