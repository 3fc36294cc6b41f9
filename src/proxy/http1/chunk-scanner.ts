/**
 * The chunked transfer coding, RFC 9112 §7.1, checked byte by byte as it passes.
 *
 * The proxy sends chunked bodies on in the framing they came in, so the scanner does not decode into new buffers: it
 * says how far the input is good and where its data lies. What it lets through is read in one way by every parser: a CR
 * only before an LF, an LF only after a CR, sizes of digits alone, extensions as the grammar has them. The trailer
 * section is held back until it is whole and found free of fields that framing, routing or identity stand on
 * (RFC 9110 §6.5.1).
 */
import { COLON, CR, FIELD_VALUE, HEX, LF, TOKEN } from "./bytes.ts";
import { isForbiddenTrailer } from "./fields.ts";

const QUOTE = 34;

const SIZE_FIRST = 0;
const SIZE = 1;
const EXTENSION_FIRST = 2;
const EXTENSION = 3;
const VALUE_FIRST = 4;
const VALUE = 5;
const QUOTED = 6;
const QUOTED_PAIR = 7;
const QUOTED_END = 8;
const SIZE_LF = 9;
const DATA = 10;
const DATA_CR = 11;
const DATA_LF = 12;
/** From here on bytes are the trailer section's. */
const TRAILER_FIRST = 13;
const TRAILER_NAME = 14;
const TRAILER_VALUE = 15;
const TRAILER_LF = 16;
const LAST_LF = 17;
const DONE = 18;
const BAD = 19;

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
  /** Where the trailer's name under way begins. */
  #nameStart = 0;

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
      if (this.#state >= TRAILER_FIRST) return this.#scanTrailer(input, at, end);
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
        else this.#state = afterExtension(byte);
        return;
      }
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
      default:
        this.#state = ++this.#extensionBytes > MAX_EXTENSION_BYTES ? BAD : extensionState(this.#state, byte);
    }
  }

  #startChunk(): void {
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#state = this.#size === 0 ? TRAILER_FIRST : DATA;
  }

  #scanTrailer(input: Uint8Array, from: number, end: number): number {
    const held = this.#trailer.length;
    const stop = Math.min(end, from + MAX_TRAILER_BYTES - held);
    const joined = Buffer.concat([this.#trailer, input.subarray(from, stop)]);
    let at = held;
    while (at < joined.length && this.#state < DONE) this.#trailerStep(joined, at++);
    this.#trailer = joined.subarray(0, at);
    if (at >= MAX_TRAILER_BYTES && this.#state !== DONE) this.#state = BAD;
    return from + at - held;
  }

  /** Field lines as RFC 9112 §5 has them, none of a forbidden name, and an empty line. */
  #trailerStep(bytes: Buffer, at: number): void {
    const byte = bytes[at] as number;
    switch (this.#state) {
      case TRAILER_FIRST:
        this.#nameStart = at;
        this.#state = byte === CR ? LAST_LF : TOKEN[byte] === 1 ? TRAILER_NAME : BAD;
        return;
      case TRAILER_NAME:
        if (byte === COLON) this.#state = isForbiddenTrailer(bytes, this.#nameStart, at) ? BAD : TRAILER_VALUE;
        else if (TOKEN[byte] !== 1) this.#state = BAD;
        return;
      case TRAILER_VALUE:
        if (byte === CR) this.#state = TRAILER_LF;
        else if (FIELD_VALUE[byte] !== 1) this.#state = BAD;
        return;
      case TRAILER_LF:
        this.#state = byte === LF ? TRAILER_FIRST : BAD;
        return;
      case LAST_LF:
        this.#state = byte === LF ? DONE : BAD;
    }
  }
}

/**
 * chunk-ext of RFC 9112 §7.1.1, which a recipient ignores, but in the same bytes as any other. The white space that its
 * grammar calls bad is refused: readers differ about where it may be.
 */
function extensionState(state: number, byte: number): number {
  switch (state) {
    case EXTENSION_FIRST:
      return TOKEN[byte] === 1 ? EXTENSION : BAD;
    case EXTENSION:
      return TOKEN[byte] === 1 ? EXTENSION : byte === 61 ? VALUE_FIRST : afterExtension(byte);
    case VALUE_FIRST:
      return byte === QUOTE ? QUOTED : TOKEN[byte] === 1 ? VALUE : BAD;
    case VALUE:
      return TOKEN[byte] === 1 ? VALUE : afterExtension(byte);
    case QUOTED:
      if (byte === QUOTE) return QUOTED_END;
      return byte === 92 ? QUOTED_PAIR : FIELD_VALUE[byte] === 1 ? QUOTED : BAD;
    case QUOTED_PAIR:
      return FIELD_VALUE[byte] === 1 ? QUOTED : BAD;
    default:
      return afterExtension(byte);
  }
}

function afterExtension(byte: number): number {
  return byte === CR ? SIZE_LF : byte === 59 ? EXTENSION_FIRST : BAD;
}
