/** Whole lines that wait to be written, as bytes in chunks, with a bound. */

const CHUNK_BYTES = 64 * 1024;
const LINE_FEED = 10;

interface Chunk {
  readonly bytes: Buffer;
  /** Up to here it has lines. */
  length: number;
}

export class LineQueue {
  readonly #maxBytes: number;
  /** The last is being filled; the first is being taken from. */
  readonly #chunks: Chunk[] = [];
  #taken = 0;
  #waiting = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** That wait. */
  get bytes(): number {
    return this.#waiting;
  }

  /** @param line ASCII, with its line feed at the end and none before. @returns false: there is no room */
  add(line: string): boolean {
    const chunk = this.#roomFor(line.length);
    if (chunk === undefined) return false;
    chunk.length += chunk.bytes.write(line, chunk.length, "latin1");
    return true;
  }

  /** The same, of bytes that are free again afterwards. */
  addBytes(line: Uint8Array): boolean {
    const chunk = this.#roomFor(line.length);
    if (chunk === undefined) return false;
    chunk.bytes.set(line, chunk.length);
    chunk.length += line.length;
    return true;
  }

  /**
   * The lines that came first, as many as fit into so much, and at least one. They are the reader's own.
   * @returns undefined where there is none
   */
  take(maxBytes: number): Buffer | undefined {
    const [chunk] = this.#chunks;
    if (chunk === undefined) return undefined;
    const from = this.#taken;
    let to = chunk.length;
    if (to - from > maxBytes) {
      to = chunk.bytes.lastIndexOf(LINE_FEED, from + maxBytes - 1) + 1;
      if (to <= from) to = chunk.bytes.indexOf(LINE_FEED, from) + 1;
    }
    const lines = chunk.bytes.subarray(from, to);
    this.#waiting -= lines.length;
    this.#taken = to;
    if (to === chunk.length) {
      this.#chunks.shift();
      this.#taken = 0;
    }
    return lines;
  }

  #roomFor(length: number): Chunk | undefined {
    if (this.#waiting + length > this.#maxBytes) return undefined;
    this.#waiting += length;
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.length + length <= last.bytes.length) return last;
    const chunk = { bytes: Buffer.allocUnsafe(Math.max(CHUNK_BYTES, length)), length: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }
}
