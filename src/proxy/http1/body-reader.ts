/** Follows a message body through its framing, RFC 9112 §6, so that the proxy knows where it ends and that it is good. */
import { ChunkScanner } from "./chunk-scanner.ts";
import { CHUNKED, LENGTH, NO_BODY, UNTIL_CLOSE } from "./head-parser.ts";

const NO_TRAILER = Buffer.alloc(0);

export class BodyReader {
  #framing = NO_BODY;
  #remaining = 0;
  #scanner: ChunkScanner | undefined;

  done = true;
  bad = false;
  /** After `read`: input before this index may be passed on as it came. */
  passEnd = 0;
  /** After `readSpan`: where in the input the next data lies. */
  spanStart = 0;
  spanEnd = 0;

  begin(framing: number, contentLength: number): void {
    this.#framing = framing;
    this.#remaining = contentLength;
    this.bad = false;
    this.done = framing === NO_BODY || (framing === LENGTH && contentLength === 0);
    if (framing === CHUNKED) {
      this.#scanner ??= new ChunkScanner();
      this.#scanner.reset();
    }
  }

  /** The peer ended its side. @returns whether the body is whole */
  end(): boolean {
    if (this.#framing === UNTIL_CLOSE) this.done = true;
    return this.done;
  }

  /** What follows the last chunk's line, for a caller that passes the framing on, when `done`. */
  get trailer(): Buffer {
    return this.#framing === CHUNKED && this.#scanner !== undefined ? this.#scanner.trailer : NO_TRAILER;
  }

  /** Reads all of the input that belongs to the body. @returns index after it */
  read(input: Uint8Array, from: number, end: number): number {
    if (this.done || this.bad) {
      this.passEnd = from;
      return from;
    }
    if (this.#framing === CHUNKED) return this.#readChunks(input, from, end);
    this.passEnd = this.#readPlain(from, end);
    return this.passEnd;
  }

  /** As read, but stops after one span of data, for a caller that takes the framing off. */
  readSpan(input: Uint8Array, from: number, end: number): number {
    const scanner = this.#scanner;
    if (this.#framing !== CHUNKED || scanner === undefined) {
      this.spanStart = from;
      this.spanEnd = this.done ? from : this.#readPlain(from, end);
      return this.spanEnd;
    }
    const at = scanner.scan(input, from, end);
    this.spanStart = scanner.spanStart;
    this.spanEnd = scanner.spanEnd;
    this.#note(scanner);
    return at;
  }

  #readPlain(from: number, end: number): number {
    if (this.#framing === UNTIL_CLOSE) return end;
    const length = Math.min(this.#remaining, end - from);
    this.#remaining -= length;
    this.done = this.#remaining === 0;
    return from + length;
  }

  #readChunks(input: Uint8Array, from: number, end: number): number {
    const scanner = this.#scanner as ChunkScanner;
    let at = from;
    do {
      at = scanner.scan(input, at, end);
    } while (at < end && !scanner.done && !scanner.bad);
    this.passEnd = scanner.passEnd;
    this.#note(scanner);
    return at;
  }

  #note(scanner: ChunkScanner): void {
    this.done = scanner.done;
    this.bad = scanner.bad;
  }
}
