/** What makes a message malformed, RFC 9113 §8: judged on the fields as HPACK gave them. */
import { isAuthority } from "../http1/authority.ts";
import { FIELD_VALUE, HTAB, REG_NAME, SP, TARGET, TOKEN } from "../http1/bytes.ts";
import { isForbiddenTrailerName } from "../http1/fields.ts";

/** Content-Length where there is none. */
export const UNKNOWN_LENGTH = -1;

/** A judged head. One serves a thread: it is filled and read within one step. */
export class MessageHead {
  method = "";
  scheme = "";
  path = "";
  authority: string | undefined;
  status = 0;
  contentLength = UNKNOWN_LENGTH;

  /** @returns whether it is a well-formed request (§8.3.1) */
  readRequest(fields: readonly string[]): boolean {
    this.#reset();
    let host: string | undefined;
    let method: string | undefined;
    let scheme: string | undefined;
    let path: string | undefined;
    let at = 0;
    for (; at < fields.length && (fields[at] as string).startsWith(":"); at += 2) {
      const value = fields[at + 1] as string;
      switch (fields[at]) {
        case ":method":
          if (method !== undefined || !consistsOf(TOKEN, value)) return false;
          method = value;
          break;
        case ":scheme":
          if (scheme !== undefined || !consistsOf(TOKEN, value)) return false;
          scheme = value;
          break;
        case ":path":
          if (path !== undefined || !consistsOf(TARGET, value)) return false;
          path = value;
          break;
        case ":authority":
          if (this.authority !== undefined || !isHost(value)) return false;
          this.authority = value;
          break;
        default:
          return false;
      }
    }
    if (method === undefined || scheme === undefined || path === undefined) return false;
    if (!path.startsWith("/") && !(path === "*" && method === "OPTIONS")) return false;
    for (; at < fields.length; at += 2) {
      const value = fields[at + 1] as string;
      if (!this.#field(fields[at] as string, value)) return false;
      if (fields[at] !== "host") continue;
      if (host !== undefined || !isHost(value)) return false;
      host = value;
    }
    // §8.3.1: which of two authorities was meant must not be a matter of taste.
    if (host !== undefined && this.authority !== undefined && host !== this.authority) return false;
    this.authority ??= host;
    this.method = method;
    this.scheme = scheme;
    this.path = path;
    return true;
  }

  /** @returns whether it is a well-formed response (§8.3.2), final or interim; no 101 (§8.6) */
  readResponse(fields: readonly string[]): boolean {
    this.#reset();
    const status = fields[1] ?? "";
    this.status = status.length === 3 ? readNumber(status) : -1;
    if (fields[0] !== ":status" || this.status < 100 || this.status > 599 || this.status === 101) return false;
    for (let at = 2; at < fields.length; at += 2)
      if (!this.#field(fields[at] as string, fields[at + 1] as string)) return false;
    return true;
  }

  #reset(): void {
    this.authority = undefined;
    this.contentLength = UNKNOWN_LENGTH;
    this.status = 0;
  }

  #field(name: string, value: string): boolean {
    if (!isFieldName(name) || !isValue(value) || isOfConnection(name, value)) return false;
    if (name !== "content-length") return true;
    if (this.contentLength !== UNKNOWN_LENGTH || value.length > 15) return false;
    this.contentLength = readNumber(value);
    return this.contentLength >= 0;
  }
}

/** @returns whether the fields may follow a message's content (RFC 9113 §8.1, RFC 9110 §6.5.1) */
export function areTrailers(fields: readonly string[]): boolean {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string;
    if (!isFieldName(name) || !isValue(fields[at + 1] as string) || isForbiddenTrailerName(name)) return false;
  }
  return true;
}

/** §8.2.2: what belongs to a connection of HTTP/1.1 has no place here. */
function isOfConnection(name: string, value: string): boolean {
  switch (name) {
    case "connection":
    case "keep-alive":
    case "proxy-connection":
    case "transfer-encoding":
    case "upgrade":
      return true;
    case "te":
      return value !== "trailers";
    default:
      return false;
  }
}

/** §8.2.1: a token without upper case. A pseudo field's colon is no token either. */
function isFieldName(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const byte = name.charCodeAt(at);
    if (TOKEN[byte] !== 1 || (byte >= 65 && byte <= 90)) return false;
  }
  return name !== "";
}

/** 1*DIGIT, or -1. */
function readNumber(text: string): number {
  let number = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return text === "" ? -1 : number;
}

/** As a Host field of HTTP/1.1, which it may have to become. */
function isHost(value: string): boolean {
  return consistsOf(REG_NAME, value) || isAuthority(Buffer.from(value, "latin1"), 0, value.length);
}

/** One or more of a class of bytes. */
function consistsOf(allowed: Uint8Array, text: string): boolean {
  for (let at = 0; at < text.length; at++) if (allowed[text.charCodeAt(at)] !== 1) return false;
  return text !== "";
}

/** §8.2.1: nothing that HTTP/1.1 would read as the end of a line; no white space at either end. */
function isValue(value: string): boolean {
  for (let at = 0; at < value.length; at++) if (FIELD_VALUE[value.charCodeAt(at)] !== 1) return false;
  return !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(value.length - 1));
}

const isBlank = (byte: number) => byte === SP || byte === HTAB;
