import type { Random } from "../../model/clock.ts";

const TRACE_ID_BYTES = 16;
const WORDS = 6;
const TWO_32 = 2 ** 32;

/** Ids of a trace and of its first span, made together. They need be unlike, not secret. */
export class TraceIds {
  readonly #random: Random;
  readonly #bytes = Buffer.alloc(WORDS * 4);
  traceId = "";
  spanId = "";

  constructor(random: Random) {
    this.#random = random;
  }

  /** Fills `traceId` and `spanId`. */
  next(): void {
    this.#fill(0);
    const text = this.#bytes.toString("hex");
    this.traceId = text.slice(0, TRACE_ID_BYTES * 2);
    this.spanId = text.slice(TRACE_ID_BYTES * 2);
  }

  /** Of another span of a trace. */
  nextSpanId(): string {
    this.#fill(TRACE_ID_BYTES / 4);
    return this.#bytes.toString("hex", TRACE_ID_BYTES);
  }

  #fill(fromWord: number): void {
    for (let word = fromWord; word < WORDS; word++)
      this.#bytes.writeUInt32BE(Math.floor(this.#random() * TWO_32), word * 4);
    // Ids of nothing but zeros mean none.
    this.#bytes[TRACE_ID_BYTES - 1] = (this.#bytes[TRACE_ID_BYTES - 1] as number) | 1;
    this.#bytes[WORDS * 4 - 1] = (this.#bytes[WORDS * 4 - 1] as number) | 1;
  }
}
