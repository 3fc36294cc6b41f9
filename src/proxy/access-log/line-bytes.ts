/**
 * A line on its way to bytes, in one buffer that is used again for each. Strings joined from forty pieces cost more to
 * make, flatten and collect than the rest of a line's way; digits and short texts are written where they will stand.
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

export class LineBytes {
  #bytes = Buffer.allocUnsafe(2_048);
  #length = 0;

  /** What was written since it was cleared. Valid until the next write. */
  get written(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  bytes(part: Uint8Array): void {
    const at = this.#grow(part.length);
    const to = this.#bytes;
    if (part.length > SHORT_BYTES) to.set(part, at);
    else for (let index = 0; index < part.length; index++) to[at + index] = part[index] as number;
  }

  /** @param text of ASCII, as it is */
  ascii(text: string): void {
    const at = this.#grow(text.length);
    this.#bytes.write(text, at, "latin1");
  }

  /** As JSON, quotes included, in ASCII. */
  jsonText(text: string): void {
    const from = this.#grow(text.length + 2);
    const to = this.#bytes;
    let at = from;
    to[at++] = QUOTE;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code < 32 || code > TILDE || code === QUOTE || code === BACKSLASH) {
        this.#length = from;
        this.ascii(jsonText(text));
        return;
      }
      to[at++] = code;
    }
    to[at] = QUOTE;
  }

  /** As JavaScript writes it. */
  number(value: number): void {
    // Shares of a thousandth are what durations have.
    const thousandths = Math.round(value * 1_000);
    if (value >= 0 && thousandths < MAX_PLAIN && thousandths / 1_000 === value) {
      const fraction = thousandths % 1_000;
      this.#digits((thousandths - fraction) / 1_000);
      if (fraction > 0) this.#fraction(fraction);
    } else this.ascii(String(value));
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
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    return at;
  }
}
