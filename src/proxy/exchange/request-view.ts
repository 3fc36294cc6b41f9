import { equalsIgnoreCase } from "../http1/fields.ts";
import type { HeadParser } from "../http1/head-parser.ts";
import type { RequestView } from "../router/types.ts";

/** A parsed head as route matches read it. One serves a thread: it is filled and read within one step. */
export class ParsedRequestView implements RequestView {
  method = "";
  path = "";
  query = "";
  #parser: HeadParser;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(parser: HeadParser) {
    this.#parser = parser;
  }

  set(bytes: Buffer, method: string, target: string): void {
    this.#bytes = bytes;
    this.method = method;
    const question = target.indexOf("?");
    const path = question < 0 ? target : target.slice(0, question);
    // Absolute form without a path (RFC 9110 §4.2.3).
    this.path = path === "" ? "/" : path;
    this.query = question < 0 ? "" : target.slice(question + 1);
  }

  header(name: string): string | undefined {
    const parser = this.#parser;
    let joined: string | undefined;
    for (let index = 0; index < parser.fieldCount; index++) {
      const start = parser.nameStart[index] as number;
      if (!equalsIgnoreCase(this.#bytes, start, parser.nameEnd[index] as number, name)) continue;
      const value = parser.value(this.#bytes, index);
      joined = joined === undefined ? value : `${joined}, ${value}`;
    }
    return joined;
  }
}
