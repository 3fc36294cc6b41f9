/**
 * The chunked transfer coding, RFC 9112 §7.1, checked byte by byte as it passes.
 *
 * The proxy sends chunked bodies on in the framing they came in, so the scanner does not decode into new buffers: it
 * says how far the input is good and where its data lies. What it lets through is read in one way by every parser: a CR
 * only before an LF, an LF only after a CR, sizes of digits alone, extensions of printable bytes. The trailer section
 * is held back until it is whole and found free of fields that framing, routing or identity stand on (RFC 9110 §6.5.1).
 */
import { COLON, CR, FIELD_VALUE, HEX, HTAB, LF, SP, TOKEN } from "./bytes.ts";
import { isForbiddenTrailer } from "./fields.ts";

const SIZE_FIRST = 0;
const SIZE = 1;
const EXTENSION = 2;
const SIZE_LF = 3;
const DATA = 4;
const DATA_CR = 5;
const DATA_LF = 6;
const TRAILER = 7;
const DONE = 8;
const BAD = 9;

/** 2^48 − 1, far below where doubles lose integers. */
const MAX_CHUNK_BYTES = 0xffff_ffff_ffff;
/** Of one chunk. Signed uploads carry some 90 bytes in each. */
const MAX_EXTENSION_BYTES = 4096;
const MAX_TRAILER_BYTES = 16 * 1024;

const EMPTY = Buffer.alloc(0);

export class ChunkScanner {
  #state = SIZE_FIRST;
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  #trailer: Buffer = EMPTY;

  /** The last span of data found by `scan`, as indexes into its input; equal where it found none. */
  spanStart = 0;
  spanEnd = 0;
  /** Input before this index may be passed on in its framing; what `scan` read beyond it is trailer, or bad. */
  passEnd = 0;

  reset(): void {
    this.#state = SIZE_FIRST;
    this.#size = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#trailer = EMPTY;
    this.spanStart = 0;
    this.spanEnd = 0;
  }

  get done(): boolean {
    return this.#state === DONE;
  }

  get bad(): boolean {
    return this.#state === BAD;
  }

  /**
   * The bytes after the last chunk's line, once `done`: field lines and the empty line that ends them. They are not
   * among those that `scan` let through.
   */
  get trailer(): Buffer {
    return this.#trailer;
  }

  /**
   * Reads on until it has passed a span of data, or the input or the body ends, or it turns bad.
   * @returns index after the last byte read. Trailer bytes are kept by the scanner: a caller that passes the framing
   *   on takes them from `trailer` when `done`.
   */
  scan(input: Uint8Array, from: number, end: number): number {
    let at = from;
    this.spanStart = this.spanEnd = this.passEnd = from;
    while (at < end && this.#state < DONE) {
      if (this.#state === DATA) {
        const length = Math.min(this.#size, end - at);
        this.spanStart = at;
        this.spanEnd = this.passEnd = at + length;
        this.#size -= length;
        if (this.#size === 0) this.#state = DATA_CR;
        return at + length;
      }
      if (this.#state === TRAILER) return this.#scanTrailer(input, at, end);
      this.#step(input[at] as number);
      if (this.#state !== BAD) this.passEnd = ++at;
    }
    return at;
  }

  #step(byte: number): void {
    switch (this.#state) {
      case SIZE_FIRST:
      case SIZE: {
        const digit = HEX[byte] as number;
        if (digit !== 255) {
          this.#size = this.#size * 16 + digit;
          // Leading zeros are digits too: a bound on their number keeps the line short.
          this.#state = ++this.#digits > 16 || this.#size > MAX_CHUNK_BYTES ? BAD : SIZE;
        } else if (this.#state === SIZE_FIRST) this.#state = BAD;
        else if (byte === CR) this.#state = SIZE_LF;
        else if (byte === 59) this.#state = EXTENSION;
        else this.#state = BAD;
        return;
      }
      case EXTENSION:
        // RFC 9112 §7.1.1: a recipient ignores what it does not know. White space before ";" is "bad" and refused.
        if (byte === CR) this.#state = SIZE_LF;
        else if (FIELD_VALUE[byte] !== 1 || ++this.#extensionBytes > MAX_EXTENSION_BYTES) this.#state = BAD;
        return;
      case SIZE_LF:
        if (byte !== LF) this.#state = BAD;
        else this.#startChunk();
        return;
      case DATA_CR:
        this.#state = byte === CR ? DATA_LF : BAD;
        return;
      case DATA_LF:
        this.#state = byte === LF ? SIZE_FIRST : BAD;
        this.#digits = 0;
        return;
    }
  }

  #startChunk(): void {
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#state = this.#size === 0 ? TRAILER : DATA;
  }

  #scanTrailer(input: Uint8Array, from: number, end: number): number {
    const held = this.#trailer.length;
    const room = MAX_TRAILER_BYTES - held;
    const joined = Buffer.concat([this.#trailer, input.subarray(from, Math.min(end, from + room))]);
    const stop = endOfTrailer(joined, Math.max(0, held - 3));
    if (stop < 0) {
      this.#trailer = joined;
      if (joined.length >= MAX_TRAILER_BYTES) this.#state = BAD;
      return Math.min(end, from + room);
    }
    this.#trailer = joined.subarray(0, stop);
    this.#state = isGoodTrailer(this.#trailer) ? DONE : BAD;
    return from + stop - held;
  }
}

/** Index after the empty line that ends the section, or -1. */
function endOfTrailer(bytes: Buffer, from: number): number {
  if (bytes.length >= 2 && bytes[0] === CR && bytes[1] === LF) return 2;
  const at = bytes.indexOf("\r\n\r\n", from, "latin1");
  return at < 0 ? -1 : at + 4;
}

/** Field lines as RFC 9112 §5 has them, none of a forbidden name. */
function isGoodTrailer(bytes: Buffer): boolean {
  let at = 0;
  const end = bytes.length - 2;
  while (at < end) {
    const nameStart = at;
    while (TOKEN[bytes[at] as number] === 1) at++;
    if (at === nameStart || bytes[at] !== COLON) return false;
    if (isForbiddenTrailer(bytes, nameStart, at)) return false;
    at++;
    while (bytes[at] === SP || bytes[at] === HTAB) at++;
    while (FIELD_VALUE[bytes[at] as number] === 1) at++;
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return false;
    at += 2;
  }
  return true;
}
