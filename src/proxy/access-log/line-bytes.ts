/**
 * A line on its way to bytes, written where it will wait to be taken: in a chunk that has the lines before it. Strings
 * joined from forty pieces cost more to make, flatten and collect than the rest of a line's way, and so does a buffer of
 * each line's own.
 */
import { jsonText } from "./escaped-text.ts";

const QUOTE = 34;
const DOT = 46;
const ZERO = 48;
const BACKSLASH = 92;
const TILDE = 126;

/** Up to here a loop is quicker than a copy by the runtime. */
const SHORT_BYTES = 48;
/** Whose digits are written one by one. */
const MAX_PLAIN = 2 ** 31;
const ALONE_BYTES = 2_048;

export class LineBytes {
  readonly #roomFor: (length: number) => Buffer;
  #bytes: Buffer;
  #from = 0;
  #length = 0;

  /**
   * @param chunk where the first line goes
   * @param roomFor gives another chunk for a line that does not fit where it began, at least so long; what is written of
   *   it is copied there
   */
  constructor(chunk: Buffer, roomFor: (length: number) => Buffer) {
    this.#bytes = chunk;
    this.#roomFor = roomFor;
  }

  /** For one line at a time, that is taken as text. */
  static alone(): LineBytes {
    return new LineBytes(Buffer.allocUnsafe(ALONE_BYTES), (length) => Buffer.allocUnsafe(length));
  }

  get chunk(): Buffer {
    return this.#bytes;
  }

  /** Where this line begins in the chunk, after the lines before it. */
  get from(): number {
    return this.#from;
  }

  /** Of this line, up to now. */
  get length(): number {
    return this.#length - this.#from;
  }

  /** It is whole: what is written now is the next one. */
  end(): void {
    this.#from = this.#length;
  }

  /** What was written of it, and it begins anew. */
  takeText(): string {
    const text = this.#bytes.toString("latin1", this.#from, this.#length);
    this.drop();
    return text;
  }

  /** What was written of it is not wanted. */
  drop(): void {
    this.#length = this.#from;
  }

  /** @param offset in the line. @returns a copy of what was written from there on */
  copyFrom(offset: number): Uint8Array {
    return Uint8Array.from(this.#bytes.subarray(this.#from + offset, this.#length));
  }

  /** The same, into `to`. @returns how many bytes, or -1 where there are more than fit */
  copyInto(to: Uint8Array, offset: number): number {
    const from = this.#from + offset;
    const length = this.#length - from;
    if (length > to.length) return -1;
    for (let index = 0; index < length; index++) to[index] = this.#bytes[from + index] as number;
    return length;
  }

  /** @param byte in the place of the one at `offset` in the line */
  replace(offset: number, byte: number): void {
    this.#bytes[this.#from + offset] = byte;
  }

  /** @param length of the part that is meant */
  bytes(part: Uint8Array, length = part.length): void {
    const at = this.#grow(length);
    const to = this.#bytes;
    if (length > SHORT_BYTES && length === part.length) to.set(part, at);
    else for (let index = 0; index < length; index++) to[at + index] = part[index] as number;
  }

  /** @param text of ASCII, as it is */
  ascii(text: string): void {
    const at = this.#grow(text.length);
    const to = this.#bytes;
    if (text.length > SHORT_BYTES) to.write(text, at, "latin1");
    else for (let index = 0; index < text.length; index++) to[at + index] = text.charCodeAt(index);
  }

  /** As JSON, quotes included, in ASCII. */
  jsonText(text: string): void {
    let at = this.#grow(text.length + 2);
    const to = this.#bytes;
    to[at++] = QUOTE;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code < 32 || code > TILDE || code === QUOTE || code === BACKSLASH) {
        this.#length -= text.length + 2;
        this.ascii(jsonText(text));
        return;
      }
      to[at++] = code;
    }
    to[at] = QUOTE;
  }

  /** As JavaScript writes it. @param value a whole number, or any other that is seldom */
  number(value: number): void {
    if (value >= 0 && value < MAX_PLAIN && Math.floor(value) === value) this.#digits(value);
    else this.ascii(String(value));
  }

  /** A thousandth of it, as JavaScript writes that. @param count a whole number of them */
  thousandths(count: number): void {
    if (count >= 0 && count < MAX_PLAIN) {
      const whole = (count / 1_000) | 0;
      this.#digits(whole);
      if (count > whole * 1_000) this.#fraction(count - whole * 1_000);
    } else this.ascii(String(count / 1_000));
  }

  /** With zeros before it. @param value 0 to 999 */
  threeDigits(value: number): void {
    const at = this.#grow(3);
    const to = this.#bytes;
    to[at] = ZERO + ((value / 100) | 0);
    to[at + 1] = ZERO + (((value / 10) | 0) % 10);
    to[at + 2] = ZERO + (value % 10);
  }

  #digits(value: number): void {
    let count = 1;
    for (let rest = value; rest >= 10; rest = (rest / 10) | 0) count++;
    let at = this.#grow(count) + count;
    let rest = value;
    do {
      const tens = (rest / 10) | 0;
      this.#bytes[--at] = ZERO + rest - tens * 10;
      rest = tens;
    } while (rest > 0);
  }

  /** @param thousandths 1 to 999 */
  #fraction(thousandths: number): void {
    const first = (thousandths / 100) | 0;
    const second = ((thousandths / 10) | 0) % 10;
    const third = thousandths % 10;
    const places = third > 0 ? 3 : second > 0 ? 2 : 1;
    const at = this.#grow(1 + places);
    const to = this.#bytes;
    to[at] = DOT;
    to[at + 1] = ZERO + first;
    if (places > 1) to[at + 2] = ZERO + second;
    if (places > 2) to[at + 3] = ZERO + third;
  }

  /** @returns where the room begins */
  #grow(count: number): number {
    const at = this.#length;
    if (at + count <= this.#bytes.length) {
      this.#length = at + count;
      return at;
    }
    return this.#move(count);
  }

  #move(count: number): number {
    const { length } = this;
    const begun = this.#bytes.subarray(this.#from, this.#length);
    // A long line is not to be moved for each of its fields.
    this.#bytes = this.#roomFor(Math.max(length + count, length * 2));
    this.#bytes.set(begun);
    this.#from = 0;
    this.#length = length + count;
    return length;
  }
}
