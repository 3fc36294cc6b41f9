/** The memory in which frames wait for their socket. */
export const CHUNK_BYTES = 32 * 1024;
/** A chunk with less room than this is not worth passing on. */
const WORTH_KEEPING_BYTES = 2 * 1024;
const MAX_SPARE_CHUNKS = 16;

export interface Chunk {
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
