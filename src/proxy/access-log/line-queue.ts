/** Whole lines that wait to be written, as bytes in chunks, with a bound. */
import { LineBytes } from "./line-bytes.ts";

export const LINE_FEED = 10;

interface Chunk {
  readonly bytes: Buffer;
  /** Up to here it has lines. */
  readonly length: number;
}

export class LineQueue {
  readonly #maxBytes: number;
  readonly #chunkBytes: number;
  /** Those that are full, in order; lines are taken from the first of them, or from the one being written. */
  readonly #full: Chunk[] = [];
  /** Written to the end, and free to be used again: while lines go as they come, two take turns. */
  #spare: Buffer | undefined;
  /** The chunk that was taken to its end, whose reader may still be at it. */
  #leaving: Buffer | undefined;
  /** Of the chunk that lines are taken from. */
  #taken = 0;
  #waiting = 0;
  /** The line that is being written. */
  readonly line: LineBytes;

  /**
   * @param maxBytes that may wait
   * @param chunkBytes that are written, and taken, together at most, but for a longer line
   */
  constructor(maxBytes: number, chunkBytes: number) {
    this.#maxBytes = maxBytes;
    this.#chunkBytes = chunkBytes;
    this.line = new LineBytes(Buffer.allocUnsafe(chunkBytes), (length) => this.#nextChunk(length));
  }

  /** That wait. */
  get bytes(): number {
    return this.#waiting;
  }

  /**
   * What was written to `line` waits now. It is ASCII, with a line feed at the end and none before.
   * @returns false: there is no room, and it is gone
   */
  add(): boolean {
    const { line } = this;
    if (this.#waiting + line.length > this.#maxBytes) {
      line.drop();
      return false;
    }
    this.#waiting += line.length;
    line.end();
    return true;
  }

  /**
   * The lines that came first, as many as fit into so much, and at least one. They are the reader's until it takes more.
   * @returns undefined where there is none
   */
  take(maxBytes: number): Buffer | undefined {
    if (this.#leaving?.length === this.#chunkBytes) this.#spare = this.#leaving;
    this.#leaving = undefined;
    if (this.#waiting === 0) return undefined;
    let [chunk] = this.#full;
    if (chunk !== undefined && this.#taken === chunk.length) {
      this.#pass(chunk);
      [chunk] = this.#full;
    }
    const bytes = chunk?.bytes ?? this.line.chunk;
    const end = chunk?.length ?? this.line.from;
    const from = this.#taken;
    let to = end;
    if (to - from > maxBytes) {
      to = bytes.lastIndexOf(LINE_FEED, from + maxBytes - 1) + 1;
      if (to <= from) to = bytes.indexOf(LINE_FEED, from) + 1;
    }
    this.#waiting -= to - from;
    this.#taken = to;
    if (chunk !== undefined && to === end) this.#pass(chunk);
    return bytes.subarray(from, to);
  }

  /** That wait. It looks through all of them. */
  countLines(): number {
    let lines = 0;
    let from = this.#taken;
    for (const { bytes, length } of [...this.#full, { bytes: this.line.chunk, length: this.line.from }]) {
      lines += linesIn(bytes, from, length);
      from = 0;
    }
    return lines;
  }

  #pass({ bytes }: Chunk): void {
    this.#full.shift();
    this.#taken = 0;
    this.#leaving = bytes;
  }

  /** The line that is being written goes on in another. */
  #nextChunk(length: number): Buffer {
    const { chunk, from } = this.line;
    if (from > 0) this.#full.push({ bytes: chunk, length: from });
    const spare = this.#spare;
    if (spare === undefined || length > spare.length) return Buffer.allocUnsafe(Math.max(this.#chunkBytes, length));
    this.#spare = undefined;
    return spare;
  }
}

/** How many end between `from` and `to`. */
export function linesIn(bytes: Buffer, from: number, to: number): number {
  let lines = 0;
  for (let at = bytes.indexOf(LINE_FEED, from); at >= 0 && at < to; at = bytes.indexOf(LINE_FEED, at + 1)) lines++;
  return lines;
}
