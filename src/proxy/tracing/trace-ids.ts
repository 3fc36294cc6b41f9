import type { Random } from "../../model/clock.ts";

const TRACE_ID_BYTES = 16;
const BYTES = TRACE_ID_BYTES + 8;
/** Made at once: a call into the runtime for each id would cost more than all the rest. */
const COUNT = 32;
const TWO_32 = 2 ** 32;
const TWO_53 = 2 ** 53;

/** Ids of a trace and of a span, made together. They need be unlike, not secret. */
export class TraceIds {
  readonly #random: Random;
  readonly #bytes = Buffer.alloc(COUNT * BYTES);
  #text = "";
  #at = COUNT;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The ids that the others are of from here on. */
  next(): void {
    this.#at++;
    if (this.#at >= COUNT) this.#fill();
  }

  get traceId(): string {
    const from = this.#at * BYTES * 2;
    return this.#text.slice(from, from + TRACE_ID_BYTES * 2);
  }

  get spanId(): string {
    const from = this.#at * BYTES * 2;
    return this.#text.slice(from + TRACE_ID_BYTES * 2, from + BYTES * 2);
  }

  /** As `isInRatio` says of `traceId`. */
  isInRatio(ratio: number): boolean {
    const from = this.#at * BYTES + TRACE_ID_BYTES / 2;
    const high = this.#bytes.readUInt32BE(from);
    return high * 2 ** 21 + (this.#bytes.readUInt32BE(from + 4) >>> 11) < ratio * TWO_53;
  }

  #fill(): void {
    const bytes = this.#bytes;
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32BE(Math.floor(this.#random() * TWO_32), at);
    // Ids of nothing but zeros mean none.
    for (let at = BYTES; at <= bytes.length; at += BYTES) {
      bytes[at - 9] = (bytes[at - 9] as number) | 1;
      bytes[at - 1] = (bytes[at - 1] as number) | 1;
    }
    this.#text = bytes.toString("hex");
    this.#at = 0;
  }
}
