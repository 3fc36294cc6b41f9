import type { Random } from "../../model/clock.ts";

/** Made at once: a call into the runtime for each id would cost more than all the rest. */
const COUNT = 64;
/** A line of W3C's Trace Context, which says that nothing is recorded, with the ids in it. */
const BEFORE = "traceparent: 00-";
const AFTER = "-00\r\n";
const TRACE_ID_LENGTH = 32;
const SPAN_ID_LENGTH = 16;
const TRACE_ID_AT = BEFORE.length;
const SPAN_ID_AT = TRACE_ID_AT + TRACE_ID_LENGTH + 1;
const LINE_LENGTH = SPAN_ID_AT + SPAN_ID_LENGTH + AFTER.length;
const TWO_32 = 2 ** 32;
const TWO_53 = 2 ** 53;
const DIGITS = Buffer.from("0123456789abcdef", "latin1");

/** Ids of a trace and of a span, made together. They need be unlike, not secret. */
export class TraceIds {
  readonly #random: Random;
  readonly #bytes: Buffer;
  /** Of each trace, for `isInRatio`. */
  readonly #places = new Float64Array(COUNT);
  #text = "";
  #at = COUNT;

  constructor(random: Random) {
    this.#random = random;
    const line = `${BEFORE}${"0".repeat(TRACE_ID_LENGTH)}-${"0".repeat(SPAN_ID_LENGTH)}${AFTER}`;
    this.#bytes = Buffer.from(line.repeat(COUNT), "latin1");
  }

  /** The ids that the others are of from here on. */
  next(): void {
    this.#at++;
    if (this.#at >= COUNT) this.#fill();
  }

  get traceId(): string {
    const from = this.#at * LINE_LENGTH + TRACE_ID_AT;
    return this.#text.slice(from, from + TRACE_ID_LENGTH);
  }

  get spanId(): string {
    const from = this.#at * LINE_LENGTH + SPAN_ID_AT;
    return this.#text.slice(from, from + SPAN_ID_LENGTH);
  }

  /** The field line of `traceparent` with these ids, of a trace that is not recorded. */
  get unrecordedLine(): string {
    const from = this.#at * LINE_LENGTH;
    return this.#text.slice(from, from + LINE_LENGTH);
  }

  /** As `isInRatio` says of `traceId`. */
  isInRatio(ratio: number): boolean {
    return (this.#places[this.#at] as number) < ratio * TWO_53;
  }

  /** Half of each id is new with each, and half with each lot. */
  #fill(): void {
    const bytes = this.#bytes;
    this.#word(TRACE_ID_AT, 0);
    this.#word(TRACE_ID_AT + 8, 0);
    this.#word(SPAN_ID_AT, 0);
    bytes.fill(bytes.subarray(0, LINE_LENGTH), LINE_LENGTH);
    for (let index = 0; index < COUNT; index++) {
      const from = index * LINE_LENGTH;
      const high = this.#word(from + TRACE_ID_AT + 16, 0);
      // Ids of nothing but zeros mean none.
      const low = this.#word(from + TRACE_ID_AT + 24, 1);
      this.#places[index] = high * 2 ** 21 + (low >>> 11);
      this.#word(from + SPAN_ID_AT + 8, 1);
    }
    this.#text = bytes.toString("latin1");
    this.#at = 0;
  }

  /** Puts 32 bits there by chance, in eight digits. @param ones bits that are set in any case. @returns them */
  #word(at: number, ones: number): number {
    const word = (Math.floor(this.#random() * TWO_32) | ones) >>> 0;
    const bytes = this.#bytes;
    let rest = word;
    for (let index = at + 7; index >= at; index--) {
      bytes[index] = DIGITS[rest & 15] as number;
      rest >>>= 4;
    }
    return word;
  }
}
