import { STATUS_CODES } from "node:http";
import type { HeaderChange } from "../../../config/mesh-config.ts";
import { isTraceField } from "../../http1/fields.ts";
import { type MessageHead, UNKNOWN_LENGTH } from "../../http2/message-rules.ts";
import type { RequestView, ValueTest } from "../../router/types.ts";
import type { AnswerHead, AnswerOptions, ForwardOptions, RequestHead } from "../message-heads.ts";
import { changedFields, type IncomingFields, requestFieldsOut, requestLinesOut } from "./forwarded-fields.ts";

/** A request of HTTP/2. One serves a thread: it is filled and read within one step. */
export class FieldsRequestHead implements RequestHead, RequestView {
  readonly view: RequestView = this;
  /** RFC 9113 §8.6: there is no Upgrade. */
  readonly upgrade = false;
  readonly protocol = "HTTP/2";
  method = "";
  target = "";
  path = "";
  query = "";
  #authority: string | undefined;
  #fields: readonly string[] = [];
  bodyless = false;
  lengthKnown = false;

  /** @param ended nothing follows the head */
  set(head: MessageHead, fields: readonly string[], ended: boolean): void {
    this.method = head.method;
    this.target = head.path;
    this.#authority = head.authority;
    const question = head.path.indexOf("?");
    this.path = question < 0 ? head.path : head.path.slice(0, question);
    this.query = question < 0 ? "" : head.path.slice(question + 1);
    this.#fields = regularFields(fields);
    this.bodyless = ended;
    this.lengthKnown = ended || head.contentLength !== UNKNOWN_LENGTH;
  }

  get isGrpc(): boolean {
    return this.#first("content-type")?.startsWith("application/grpc") === true;
  }

  header(name: string): string | undefined {
    if (name === "host") return this.#authority;
    let joined: string | undefined;
    for (let at = 0; at < this.#fields.length; at += 2) {
      if (this.#fields[at] !== name) continue;
      const value = this.#fields[at + 1] as string;
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
    // RFC 9113 §8.2.3: a caller may cut its one Cookie into as many as it likes.
    if (name === "host" || name === "cookie") {
      const value = this.header(name);
      return value !== undefined && test.fits(value);
    }
    let found = false;
    for (let at = 0; at < this.#fields.length; at += 2) {
      if (this.#fields[at] !== name) continue;
      found = test.fits(this.#fields[at + 1] as string);
      if (found !== each) return found;
    }
    return found;
  }

  get hasTraceContext(): boolean {
    for (let at = 0; at < this.#fields.length; at += 2) if (isTraceField(this.#fields[at] as string)) return true;
    return false;
  }

  toHttp1(options: ForwardOptions): string {
    return requestLinesOut(this.#incoming(), this.#framing(), options);
  }

  toHttp2(options: ForwardOptions): string[] {
    return requestFieldsOut(this.#incoming(), options);
  }

  #incoming(): IncomingFields {
    return { method: this.method, path: this.target, authority: this.#authority, fields: this.#fields };
  }

  #framing(): string {
    if (!this.lengthKnown) return "Transfer-Encoding: chunked\r\n";
    // RFC 9110 §8.6: methods that expect content say so when there is none.
    const expectsContent = this.method === "POST" || this.method === "PUT" || this.method === "PATCH";
    return this.bodyless && expectsContent && this.#first("content-length") === undefined
      ? "Content-Length: 0\r\n"
      : "";
  }

  #first(name: string): string | undefined {
    for (let at = 0; at < this.#fields.length; at += 2) if (this.#fields[at] === name) return this.#fields[at + 1];
    return undefined;
  }
}

/** An answer of HTTP/2, final or interim. */
export class FieldsAnswerHead implements AnswerHead {
  status = 0;
  #fields: readonly string[] = [];

  /** @param fields with `:status` first */
  set(status: number, fields: readonly string[]): void {
    this.status = status;
    this.#fields = fields;
  }

  get saysLength(): boolean {
    for (let at = 2; at < this.#fields.length; at += 2) if (this.#fields[at] === "content-length") return true;
    return false;
  }

  toHttp1({ framing, callerMinor, close, changes }: AnswerOptions): string {
    const fields = changes.length === 0 ? this.#fields : this.toHttp2(changes);
    let head = `HTTP/1.1 ${this.status} ${STATUS_CODES[this.status] ?? ""}\r\n`;
    for (let at = 2; at < fields.length; at += 2) {
      // RFC 9110 §8.6: no Content-Length in 1xx and 204.
      if (fields[at] === "content-length" && (this.status < 200 || this.status === 204)) continue;
      head += `${fields[at]}: ${fields[at + 1]}\r\n`;
    }
    if (framing === "empty") head += "Content-Length: 0\r\n";
    else if (framing === "untold" && callerMinor === 1) head += "Transfer-Encoding: chunked\r\n";
    if (this.status >= 200) {
      if (close) head += "Connection: close\r\n";
      else if (callerMinor === 0) head += "Connection: keep-alive\r\n";
    }
    return `${head}\r\n`;
  }

  toHttp2(changes: readonly HeaderChange[]): readonly string[] {
    return changes.length === 0 ? this.#fields : changedFields(this.#fields, changes);
  }
}

/** Without pseudo fields, and without `host`, which the authority stands for. */
function regularFields(fields: readonly string[]): string[] {
  const regular: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string;
    if (name.charCodeAt(0) !== 58 && name !== "host") regular.push(name, fields[at + 1] as string);
  }
  return regular;
}
