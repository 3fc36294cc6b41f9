import type { HeaderChange } from "../../../config/mesh-config.ts";
import type { HeadParser } from "../../http1/head-parser.ts";
import { changedFields } from "../http2/forwarded-fields.ts";
import type { AnswerHead, AnswerOptions } from "../message-heads.ts";
import { responseFields, responseHead } from "./forwarded-head.ts";

/** An endpoint's parsed head of HTTP/1.1. One serves a thread: it is filled and read within one step. */
export class ParsedAnswerHead implements AnswerHead {
  readonly parser: HeadParser;
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;

  constructor(parser: HeadParser) {
    this.parser = parser;
  }

  /** @param start and `end` are those of the head that the parser has just read */
  set(bytes: Buffer, start: number, end: number): void {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  get status(): number {
    return this.parser.status;
  }

  toHttp1(options: AnswerOptions): string {
    return responseHead(this.parser, this.#text(), this.#start, options);
  }

  toHttp2(changes: readonly HeaderChange[]): string[] {
    const fields = responseFields(this.parser, this.#text(), this.#start);
    return changes.length === 0 ? fields : changedFields(fields, changes);
  }

  #text(): string {
    return this.#bytes.toString("latin1", this.#start, this.#end);
  }
}
