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
  /** Of a generator of our own (sfc32), which needs no call for each number; it begins by chance. */
  readonly #state = new Int32Array(4);
  readonly #bytes: Buffer;
  /** Of each trace, for `isInRatio`. */
  readonly #places = new Float64Array(COUNT);
  #text = "";
  #at = COUNT;

  constructor(random: Random) {
    this.#random = random;
    for (let index = 0; index < this.#state.length; index++) this.#state[index] = this.#drawn();
    const line = `${BEFORE}${"0".repeat(TRACE_ID_LENGTH)}-${"0".repeat(SPAN_ID_LENGTH)}${AFTER}`;
    this.#bytes = Buffer.from(line.repeat(COUNT), "latin1");
  }

  /** The ids that the others are of from here on. */
  next(): void {
    this.#at++;
    if (this.#at >= COUNT) this.#fill();
  }

  /** A text of its own: a part of the lot's would keep all of that, for as long as a span waits to be sent. */
  get traceId(): string {
    const from = this.#at * LINE_LENGTH + TRACE_ID_AT;
    return this.#bytes.toString("latin1", from, from + TRACE_ID_LENGTH);
  }

  /** A text of its own, as `traceId`. */
  get spanId(): string {
    const from = this.#at * LINE_LENGTH + SPAN_ID_AT;
    return this.#bytes.toString("latin1", from, from + SPAN_ID_LENGTH);
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
    this.#put(TRACE_ID_AT, this.#drawn());
    this.#put(TRACE_ID_AT + 8, this.#drawn());
    this.#put(SPAN_ID_AT, this.#drawn());
    bytes.fill(bytes.subarray(0, LINE_LENGTH), LINE_LENGTH);
    for (let index = 0; index < COUNT; index++) {
      const from = index * LINE_LENGTH;
      const high = this.#generated();
      // Ids of nothing but zeros mean none.
      const low = this.#generated() | 1;
      this.#places[index] = (high >>> 0) * 2 ** 21 + (low >>> 11);
      this.#put(from + TRACE_ID_AT + 16, high);
      this.#put(from + TRACE_ID_AT + 24, low);
      this.#put(from + SPAN_ID_AT + 8, this.#generated() | 1);
    }
    this.#text = bytes.toString("latin1");
    this.#at = 0;
  }

  /** 32 bits by chance. */
  #drawn(): number {
    return Math.floor(this.#random() * TWO_32) | 0;
  }

  /** The generator's next 32 bits. */
  #generated(): number {
    const state = this.#state as unknown as [number, number, number, number];
    const a = state[0];
    const b = state[1];
    const c = state[2];
    const count = state[3];
    const next = (((a + b) | 0) + count) | 0;
    state[0] = b ^ (b >>> 9);
    state[1] = (c + (c << 3)) | 0;
    state[2] = (((c << 21) | (c >>> 11)) + next) | 0;
    state[3] = (count + 1) | 0;
    return next;
  }

  /** Writes 32 bits there, as eight digits. */
  #put(at: number, word: number): void {
    const bytes = this.#bytes;
    let rest = word;
    for (let index = at + 7; index >= at; index--) {
      bytes[index] = DIGITS[rest & 15] as number;
      rest >>>= 4;
    }
  }
}
