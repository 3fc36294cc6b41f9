import { equalsIgnoreCase } from "../../http1/fields.ts";
import { CHUNKED, type HeadParser, NO_BODY } from "../../http1/head-parser.ts";
import type { RequestView, ValueTest } from "../../router/types.ts";
import type { HttpProtocol } from "../exchange-record.ts";
import { requestFieldsOut } from "../http2/forwarded-fields.ts";
import type { ForwardOptions, RequestHead } from "../message-heads.ts";
import { hostOf, originForm, requestFields, requestHead } from "./forwarded-head.ts";
import { OwnFields } from "./own-fields.ts";

/** A parsed head of HTTP/1.1. One serves a thread: it is filled and read within one step. */
export class ParsedRequestHead implements RequestHead, RequestView {
  readonly #parser: HeadParser;
  readonly #ownFields = new OwnFields();
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  /** All of the head, a character a byte: what is read of it is cut out of this. */
  #text = "";
  readonly view: RequestView = this;
  readonly isGrpc = false;
  method = "";
  target = "";
  path = "";
  query = "";

  constructor(parser: HeadParser) {
    this.#parser = parser;
  }

  /** @param start and `end` are those of the head that the parser has just read */
  set(bytes: Buffer, start: number, end: number): void {
    const parser = this.#parser;
    this.#bytes = bytes;
    this.#start = start;
    const text = bytes.toString("latin1", start, end);
    this.#text = text;
    this.method = methodOf(text.slice(parser.methodStart - start, parser.methodEnd - start));
    this.target = text.slice(parser.targetStart - start, parser.targetEnd - start);
    const target =
      parser.pathStart === parser.targetStart
        ? this.target
        : originForm(text.slice(parser.pathStart - start, parser.targetEnd - start), this.method);
    const question = target.indexOf("?");
    this.path = question < 0 ? target : target.slice(0, question);
    this.query = question < 0 ? "" : target.slice(question + 1);
  }

  get protocol(): HttpProtocol {
    return this.#parser.minor === 0 ? "HTTP/1.0" : "HTTP/1.1";
  }

  get upgrade(): boolean {
    return this.#parser.upgrade;
  }

  get bodyless(): boolean {
    return this.#parser.framing === NO_BODY;
  }

  get lengthKnown(): boolean {
    return this.#parser.framing !== CHUNKED;
  }

  /** As the endpoint will see it: what goes no further than this connection decides nothing. */
  header(name: string): string | undefined {
    const parser = this.#parser;
    // It is asked for most, there is one at most, and Connection may not name it.
    if (name === "host") return hostOf(parser, this.#text, this.#start);
    if (parser.nominated.includes(name)) return undefined;
    let joined: string | undefined;
    for (let index = 0; index < parser.fieldCount; index++) {
      const start = parser.nameStart[index] as number;
      if (!equalsIgnoreCase(this.#bytes, start, parser.nameEnd[index] as number, name)) continue;
      const value = parser.value(this.#bytes, index);
      joined = joined === undefined ? value : `${joined}${name === "cookie" ? "; " : ", "}${value}`;
    }
    return joined;
  }

  hasFitting(name: string, test: ValueTest): boolean {
    return this.#fits(name, test, false);
  }

  hasOnlyFitting(name: string, test: ValueTest): boolean {
    return this.#fits(name, test, true);
  }

  /** @param each of them, or one */
  #fits(name: string, test: ValueTest, each: boolean): boolean {
    const parser = this.#parser;
    // RFC 6265 §5.4: a caller has one Cookie; several are read as the pieces of one, as they are in HTTP/2.
    if (name === "host" || name === "cookie") {
      const value = this.header(name);
      return value !== undefined && test.fits(value);
    }
    if (parser.nominated.includes(name)) return false;
    let found = false;
    for (let index = 0; index < parser.fieldCount; index++) {
      const start = parser.nameStart[index] as number;
      if (!equalsIgnoreCase(this.#bytes, start, parser.nameEnd[index] as number, name)) continue;
      found = test.fits(parser.value(this.#bytes, index));
      if (found !== each) return found;
    }
    return found;
  }

  get hasTraceContext(): boolean {
    return this.#parser.hasTraceContext;
  }

  toHttp1(options: ForwardOptions): string {
    return requestHead(this.#parser, this.#text, this.#start, options, this.#ownFields);
  }

  toHttp2(options: ForwardOptions): string[] {
    return requestFieldsOut(requestFields(this.#parser, this.#text, this.#start), options);
  }
}

/** The same string for the same method, which is compared a few times: with that, at a look. */
function methodOf(method: string): string {
  switch (method) {
    case "GET":
      return "GET";
    case "POST":
      return "POST";
    default:
      return method;
  }
}
