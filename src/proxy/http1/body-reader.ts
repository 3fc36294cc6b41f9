/** Follows a message body through its framing, RFC 9112 §6, so that the proxy knows where it ends and that it is good. */
import { ChunkScanner } from "./chunk-scanner.ts";
import { CHUNKED, LENGTH, NO_BODY, UNTIL_CLOSE } from "./head-parser.ts";

const NO_TRAILER = Buffer.alloc(0);
const NO_NAMES: readonly string[] = [];

export class BodyReader {
  #framing = NO_BODY;
  #remaining = 0;
  #scanner: ChunkScanner | undefined;
  /** Names that the head's Connection nominates. */
  #nominated = NO_NAMES;

  done = true;
  bad = false;
  /** Read so far, without framing. */
  contentBytes = 0;
  /** After `read`: input before this index may be passed on as it came. */
  passEnd = 0;
  /** After `readSpan`: where in the input the next data lies. */
  spanStart = 0;
  spanEnd = 0;

  /** @param nominated names in lower case, of which trailers go no further (RFC 9110 §7.6.1) */
  begin(framing: number, contentLength: number, nominated: readonly string[]): void {
    this.#framing = framing;
    // The parser's list is the next message's too.
    this.#nominated = framing !== CHUNKED || nominated.length === 0 ? NO_NAMES : nominated.slice();
    this.#remaining = contentLength;
    this.bad = false;
    this.contentBytes = 0;
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
    if (this.#framing !== CHUNKED || this.#scanner === undefined) return NO_TRAILER;
    const { trailer } = this.#scanner;
    return this.#nominated.length === 0 ? trailer : withoutFields(trailer, this.#nominated);
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
    this.contentBytes += scanner.spanEnd - scanner.spanStart;
    this.#note(scanner);
    return at;
  }

  #readPlain(from: number, end: number): number {
    if (this.#framing === UNTIL_CLOSE) {
      this.contentBytes += end - from;
      return end;
    }
    const length = Math.min(this.#remaining, end - from);
    this.contentBytes += length;
    this.#remaining -= length;
    this.done = this.#remaining === 0;
    return from + length;
  }

  #readChunks(input: Uint8Array, from: number, end: number): number {
    const scanner = this.#scanner as ChunkScanner;
    let at = from;
    do {
      at = scanner.scan(input, at, end);
      this.contentBytes += scanner.spanEnd - scanner.spanStart;
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

/** @param section field lines and the empty line, found good; @param names in lower case */
function withoutFields(section: Buffer, names: readonly string[]): Buffer {
  const lines = section.toString("latin1").split("\r\n");
  const kept = lines.filter((line) => !names.includes(line.slice(0, Math.max(0, line.indexOf(":"))).toLowerCase()));
  return Buffer.from(kept.join("\r\n"), "latin1");
}
