/**
 * Buffers that bytes wait in on their way into a socket. What a socket reads lies in a buffer that the next read
 * overwrites, so what is passed on is copied; into buffers that were used a moment ago, because that costs a tenth of
 * what fresh memory does, which has to be asked for, zeroed and collected.
 */
import type net from "node:net";

/** What a socket reads at once fits, with a head before it. */
const WRITE_BYTES = 80 * 1024;
/** Kept for reuse. */
const MAX_SPARE = 64;
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
  readonly #spare: WriteBuffer[] = [];

  /**
   * Writes text, a character a byte, and a copy of `bytes` after it.
   * @param bytes from `from` to `end`; free again when this returns
   * @returns as `socket.write`: false where the socket should drain first
   */
  write(socket: net.Socket, text: string, bytes: Buffer, from: number, end: number): boolean {
    const length = text.length + end - from;
    if (length > WRITE_BYTES) return writeFresh(socket, text, bytes, from, end);
    if (length <= SMALL_BYTES) {
      const small = Buffer.allocUnsafe(length);
      if (text !== "") small.write(text, 0, "latin1");
      bytes.copy(small, text.length, from, end);
      return socket.write(small);
    }
    const buffer = this.#spare.pop() ?? this.#make();
    if (text !== "") buffer.bytes.write(text, 0, "latin1");
    bytes.copy(buffer.bytes, text.length, from, end);
    return socket.write(buffer.bytes.subarray(0, length), buffer.written);
  }

  #make(): WriteBuffer {
    const buffer: WriteBuffer = {
      bytes: Buffer.allocUnsafeSlow(WRITE_BYTES),
      written: () => {
        if (this.#spare.length < MAX_SPARE) this.#spare.push(buffer);
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
