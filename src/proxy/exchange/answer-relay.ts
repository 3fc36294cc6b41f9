/**
 * The endpoint's answer on its way to the caller: heads judged and re-serialised, the body passed on in its framing, or
 * in another where the caller's version of HTTP asks for it.
 */
import type net from "node:net";
import type { HeaderChange } from "../../config/mesh-config.ts";
import { BodyReader } from "../http1/body-reader.ts";
import { CHUNKED, type HeadParser, MAX_HEAD_BYTES, UNTIL_CLOSE } from "../http1/head-parser.ts";
import { responseHead } from "./forwarded-head.ts";

/** "more": goes on; "done": the answer is whole; "switched": 101, the connection is no longer HTTP. */
export type AnswerOutcome = "more" | "done" | "malformed" | "switched";

/** The request, as far as its answer depends on it. */
export interface AnsweredRequest {
  readonly method: string;
  /** Of the caller's HTTP/1.x. */
  readonly minor: number;
  readonly upgrade: boolean;
  readonly keepsAlive: boolean;
}

/** How the body is passed on. */
const AS_IT_CAME = 0;
/** Ran until close, for HTTP/1.1: chunked by us, so that its end can be told from its loss. */
const WRAPPED = 1;
/** Chunked, for HTTP/1.0: the framing is taken off, the end is the connection's. */
const UNWRAPPED = 2;

/** Up to here, head and body leave as one string: one write, no copy into a buffer of our own. */
const JOIN_BYTES = 16 * 1024;

export class AnswerRelay {
  readonly #parser: HeadParser;
  readonly #body = new BodyReader();
  #framing = AS_IT_CAME;
  #unread: Buffer | undefined;

  changes: readonly HeaderChange[] = [];
  /** Any byte came. */
  anyByte = false;
  /** The final head went to the caller. */
  started = false;
  status = 0;
  /** The connection to the caller ends with this answer. */
  close = false;
  /** The connection to the endpoint can take another request. */
  upstreamReusable = false;

  /** @param parser the thread's, for heads of answers */
  constructor(parser: HeadParser) {
    this.#parser = parser;
  }

  begin(): void {
    this.#framing = AS_IT_CAME;
    this.#unread = undefined;
    this.anyByte = false;
    this.started = false;
    this.status = 0;
    this.close = false;
    this.upstreamReusable = false;
  }

  /** @param bytes valid during the call only */
  onBytes(request: AnsweredRequest, caller: net.Socket, bytes: Buffer, length: number): AnswerOutcome {
    this.anyByte = true;
    if (this.started) return this.#onBody(caller, "", bytes, 0, length);
    let input = bytes;
    let end = length;
    let from = 0;
    if (this.#unread !== undefined) {
      input = Buffer.concat([this.#unread, bytes.subarray(0, length)]);
      end = input.length;
      this.#unread = undefined;
    }
    for (;;) {
      const found = input.subarray(0, end).indexOf("\r\n\r\n", from, "latin1");
      if (found < 0) {
        if (end - from > MAX_HEAD_BYTES || !looksLikeHttp(input, from, end)) return "malformed";
        if (end > from) this.#unread = Buffer.from(input.subarray(from, end));
        return "more";
      }
      const headEnd = found + 4;
      if (this.#parser.parseResponse(input, from, headEnd, request.method === "HEAD") !== "") return "malformed";
      const { status } = this.#parser;
      if (status === 101) return this.#switch(request, caller, input, from, headEnd, end);
      if (status >= 200) return this.#final(request, caller, input, from, headEnd, end);
      this.#interim(request, caller, input, from, headEnd);
      from = headEnd;
    }
  }

  /** The endpoint ended its side. @returns whether the answer is whole by that */
  onEnd(caller: net.Socket): boolean {
    if (!this.started || !this.#body.end()) return false;
    this.upstreamReusable = false;
    if (this.#framing === WRAPPED) caller.write("0\r\n\r\n", "latin1");
    return true;
  }

  /** RFC 9110 §15.2: a proxy forwards 1xx answers, but not to HTTP/1.0. */
  #interim(request: AnsweredRequest, caller: net.Socket, input: Buffer, from: number, headEnd: number): void {
    if (request.minor === 0) return;
    caller.write(this.#head(request, input, from, headEnd, false), "latin1");
  }

  #switch(
    request: AnsweredRequest,
    caller: net.Socket,
    input: Buffer,
    from: number,
    headEnd: number,
    end: number,
  ): AnswerOutcome {
    // RFC 9110 §7.8: no switch that was not asked for.
    if (!request.upgrade) return "malformed";
    this.started = true;
    this.status = 101;
    caller.write(this.#head(request, input, from, headEnd, false), "latin1");
    if (end > headEnd) caller.write(Buffer.from(input.subarray(headEnd, end)));
    return "switched";
  }

  #final(
    request: AnsweredRequest,
    caller: net.Socket,
    input: Buffer,
    from: number,
    headEnd: number,
    end: number,
  ): AnswerOutcome {
    const { framing } = this.#parser;
    this.#framing = AS_IT_CAME;
    if (framing === UNTIL_CLOSE && request.minor === 1) this.#framing = WRAPPED;
    else if (framing === CHUNKED && request.minor === 0) this.#framing = UNWRAPPED;
    const endsByClose = request.minor === 0 && (framing === UNTIL_CLOSE || framing === CHUNKED);
    this.close = endsByClose || !request.keepsAlive;
    this.upstreamReusable =
      framing !== UNTIL_CLOSE &&
      !this.#parser.close &&
      (this.#parser.minor === 1 || this.#parser.keepAlive) &&
      !request.upgrade;
    this.status = this.#parser.status;
    this.#body.begin(framing, this.#parser.contentLength);
    const head = this.#head(request, input, from, headEnd, this.close);
    const outcome = this.#onBody(caller, head, input, headEnd, end);
    // A body that is bad from its first bytes: nothing went out, and the caller can still be told.
    this.started = outcome !== "malformed" || this.#framing !== AS_IT_CAME;
    return outcome;
  }

  #head(request: AnsweredRequest, input: Buffer, from: number, headEnd: number, close: boolean): string {
    return responseHead(this.#parser, input.toString("latin1", from, headEnd), from, {
      callerMinor: request.minor,
      close,
      addChunked: this.#framing === WRAPPED && this.#parser.status >= 200,
      dropChunked: this.#framing === UNWRAPPED,
      changes: this.changes,
    });
  }

  #onBody(caller: net.Socket, head: string, input: Buffer, from: number, end: number): AnswerOutcome {
    const body = this.#body;
    let at: number;
    if (this.#framing === AS_IT_CAME) {
      at = body.read(input, from, end);
      if (body.bad) return "malformed";
      write(caller, head, input, from, body.passEnd);
      if (body.done && body.trailer.length > 0) caller.write(body.trailer);
    } else at = this.#reframe(caller, head, input, from, end);
    if (body.bad) return "malformed";
    if (!body.done) return "more";
    // More than the answer: nobody asked for it, and it must not be taken for the next one (RFC 9112 §9.2).
    if (at < end) this.upstreamReusable = false;
    return "done";
  }

  #reframe(caller: net.Socket, head: string, input: Buffer, from: number, end: number): number {
    const body = this.#body;
    if (head !== "") caller.write(head, "latin1");
    let at = from;
    while (at < end && !body.done && !body.bad) {
      at = body.readSpan(input, at, end);
      const length = body.spanEnd - body.spanStart;
      if (length === 0) continue;
      const prefix = this.#framing === WRAPPED ? `${length.toString(16)}\r\n` : "";
      write(caller, prefix, input, body.spanStart, body.spanEnd);
      if (this.#framing === WRAPPED) caller.write("\r\n", "latin1");
    }
    return at;
  }
}

/** Text, then bytes, as one write where that is cheaper. The bytes are copied: they are the shared read buffer's. */
function write(caller: net.Socket, text: string, bytes: Buffer, from: number, end: number): void {
  const length = end - from;
  if (length === 0) {
    if (text !== "") caller.write(text, "latin1");
  } else if (length <= JOIN_BYTES) caller.write(text + bytes.toString("latin1", from, end), "latin1");
  else {
    if (text !== "") {
      caller.cork();
      caller.write(text, "latin1");
    }
    caller.write(Buffer.from(bytes.subarray(from, end)));
    if (text !== "") caller.uncork();
  }
}

/** Tells an endpoint that speaks something else before it has sent a head's worth of it. */
function looksLikeHttp(bytes: Buffer, from: number, end: number): boolean {
  const start = "HTTP/1.";
  for (let at = 0; at < start.length && from + at < end; at++)
    if (bytes[from + at] !== start.charCodeAt(at)) return false;
  return true;
}
