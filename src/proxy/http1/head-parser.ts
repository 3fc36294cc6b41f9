/**
 * Message heads of RFC 9112, parsed from one contiguous buffer into offsets, without allocation.
 *
 * One parser serves every connection of a thread: a head is parsed, judged and re-serialised before control returns,
 * so the offsets need to live no longer than that. It refuses whatever two parsers could read in two ways; the list is
 * in `parse…`, each with its section.
 */
import { isAuthority } from "./authority.ts";
import { COLON, CR, FIELD_VALUE, HTAB, LF, SP, TARGET, TOKEN } from "./bytes.ts";
import {
  CONNECTION,
  CONTENT_LENGTH,
  equalsIgnoreCase,
  fieldId,
  HOST_FIELD,
  HTTP2_SETTINGS,
  mayNotBeNominated,
  TRACE_CONTEXT,
  TRANSFER_ENCODING,
  UPGRADE,
} from "./fields.ts";

export const MAX_HEAD_BYTES = 64 * 1024;
export const MAX_FIELDS = 200;

/** How the body's end is found, RFC 9112 §6.3. */
export const NO_BODY = 0;
export const LENGTH = 1;
export const CHUNKED = 2;
/** Responses only. */
export const UNTIL_CLOSE = 3;

/** What is wrong with a head; "" is nothing, "alien" that it is no HTTP at all. The texts end up in the log. */
export type HeadFault = "" | "bad" | "fields" | "coding" | "version" | "alien";

const REQUEST_LINE_FAULTS: Readonly<Record<number, HeadFault>> = { [-2]: "version", [-3]: "alien" };

export class HeadParser {
  /** Field lines: where name and value lie, and which known field it is. */
  readonly nameStart = new Int32Array(MAX_FIELDS);
  readonly nameEnd = new Int32Array(MAX_FIELDS);
  readonly valueStart = new Int32Array(MAX_FIELDS);
  readonly valueEnd = new Int32Array(MAX_FIELDS);
  /** Index after the line's CRLF. */
  readonly lineEnd = new Int32Array(MAX_FIELDS);
  readonly id = new Uint8Array(MAX_FIELDS);
  fieldCount = 0;

  /** Request line. The target in absolute form (RFC 9112 §3.2.2) has its authority apart. */
  methodEnd = 0;
  methodStart = 0;
  targetStart = 0;
  targetEnd = 0;
  /** Where path and query lie; of absolute form, after the authority. Empty for `http://host`, meaning "/". */
  pathStart = 0;
  authorityStart = 0;
  authorityEnd = 0;

  /** Status line. */
  status = 0;

  /** 0 or 1, of HTTP/1.x. */
  minor = 1;
  /** Index of the first field line. */
  fieldsStart = 0;
  /** Index after the empty line. */
  headEnd = 0;

  hostIndex = -1;
  framing = NO_BODY;
  contentLength = 0;
  /** Connection options, RFC 9110 §7.6.1. */
  close = false;
  keepAlive = false;
  upgrade = false;
  /** Other field names that Connection nominates, in lower case. */
  readonly nominated: string[] = [];
  upgradeIndex = -1;
  /** A trace is told in some field, if only by its name. */
  hasTraceContext = false;

  /**
   * @param bytes the head lies between `start` and `end`; what may come after it is not looked at
   * @returns "" or what is wrong, which may be that it is not whole; `headEnd` says where one without a fault ends
   */
  parseRequest(bytes: Uint8Array, start: number, end: number): HeadFault {
    this.#reset();
    const afterLine = this.#requestLine(bytes, start, end);
    if (afterLine < 0) return REQUEST_LINE_FAULTS[afterLine] ?? "bad";
    const fault = this.#fields(bytes, afterLine, end);
    if (fault !== "") return fault;
    // RFC 9112 §3.2: exactly one Host in HTTP/1.1; none is possible in HTTP/1.0, two never.
    if (this.hostIndex === -2 || (this.hostIndex === -1 && this.minor === 1)) return "bad";
    if (this.hostIndex >= 0 && !this.#goodHost(bytes)) return "bad";
    return this.#requestFraming(bytes);
  }

  /** @param head the request was HEAD: its answer has no body (RFC 9110 §9.3.2) */
  parseResponse(bytes: Uint8Array, start: number, end: number, head: boolean): HeadFault {
    this.#reset();
    const afterLine = this.#statusLine(bytes, start, end);
    if (afterLine < 0) return "bad";
    const fault = this.#fields(bytes, afterLine, end);
    if (fault !== "") return fault;
    return this.#responseFraming(head);
  }

  /** Value of field `index` as text, byte for byte. */
  value(bytes: Buffer, index: number): string {
    return bytes.toString("latin1", this.valueStart[index], this.valueEnd[index]);
  }

  #reset(): void {
    this.fieldCount = 0;
    this.hostIndex = -1;
    this.framing = NO_BODY;
    this.contentLength = 0;
    this.close = false;
    this.keepAlive = false;
    this.upgrade = false;
    if (this.nominated.length > 0) this.nominated.length = 0;
    this.upgradeIndex = -1;
    this.hasTraceContext = false;
    this.authorityStart = 0;
    this.authorityEnd = 0;
  }

  /**
   * method SP request-target SP HTTP/1.x CRLF, single spaces (RFC 9112 §3).
   * @returns index after it, or -1 bad, -2 another version, -3 not HTTP at all
   */
  #requestLine(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && TOKEN[bytes[at] as number] === 1) at++;
    if (at === start || bytes[at] !== SP) return -1;
    this.methodStart = start;
    this.methodEnd = at++;
    this.targetStart = at;
    while (at < end && TARGET[bytes[at] as number] === 1) at++;
    if (at === this.targetStart || bytes[at] !== SP) return -1;
    this.targetEnd = at++;
    const version = this.#version(bytes, at);
    if (version === -2) return -2;
    if (version < 0 || !this.#target(bytes)) return namesHttp(bytes, at, end) ? -1 : -3;
    this.minor = version;
    at += 8;
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return -1;
    return at + 2;
  }

  /** HTTP/1.0 or HTTP/1.1, upper case (RFC 9112 §2.3). */
  #version(bytes: Uint8Array, at: number): number {
    const isHttp =
      bytes[at] === 72 && bytes[at + 1] === 84 && bytes[at + 2] === 84 && bytes[at + 3] === 80 && bytes[at + 4] === 47;
    if (!isHttp || bytes[at + 6] !== 46) return -1;
    const major = bytes[at + 5] as number;
    const minor = bytes[at + 7] as number;
    if (major === 49 && (minor === 48 || minor === 49)) return minor - 48;
    return major >= 48 && major <= 57 && minor >= 48 && minor <= 57 ? -2 : -1;
  }

  /** origin-form, absolute-form with http(s), or `*` for OPTIONS (RFC 9112 §3.2). No CONNECT: we are no tunnel. */
  #target(bytes: Uint8Array): boolean {
    const first = bytes[this.targetStart];
    if (first === 47) {
      this.pathStart = this.targetStart;
      return !equalsIgnoreCase(bytes, this.methodStart, this.methodEnd, "connect");
    }
    if (first === 42) {
      this.pathStart = this.targetStart;
      return this.targetEnd - this.targetStart === 1 && this.#isOptions(bytes);
    }
    const schemeEnd = equalsIgnoreCase(bytes, this.targetStart, this.targetStart + 7, "http://")
      ? this.targetStart + 7
      : equalsIgnoreCase(bytes, this.targetStart, this.targetStart + 8, "https://")
        ? this.targetStart + 8
        : -1;
    if (schemeEnd < 0) return false;
    let at = schemeEnd;
    while (at < this.targetEnd && bytes[at] !== 47 && bytes[at] !== 63) at++;
    // RFC 9110 §4.2.1, §4.2.4: an empty host and userinfo are errors.
    if (!isAuthority(bytes, schemeEnd, at)) return false;
    this.authorityStart = schemeEnd;
    this.authorityEnd = at;
    this.pathStart = at;
    return !equalsIgnoreCase(bytes, this.methodStart, this.methodEnd, "connect");
  }

  #isOptions(bytes: Uint8Array): boolean {
    // Methods are case-sensitive (RFC 9110 §9.1).
    const at = this.methodStart;
    return (
      this.methodEnd - at === 7 && equalsIgnoreCase(bytes, at, this.methodEnd, "options") && (bytes[at] as number) < 97
    );
  }

  /** HTTP/1.x SP 3DIGIT SP [reason] CRLF (RFC 9112 §4). The space before an absent reason may be absent. */
  #statusLine(bytes: Uint8Array, start: number, end: number): number {
    const version = this.#version(bytes, start);
    if (version < 0 || bytes[start + 8] !== SP) return -1;
    this.minor = version;
    let status = 0;
    for (let at = start + 9; at < start + 12; at++) {
      const digit = (bytes[at] as number) - 48;
      if (!(digit >= 0 && digit <= 9)) return -1;
      status = status * 10 + digit;
    }
    if (status < 100 || status > 599) return -1;
    this.status = status;
    let at = start + 12;
    if (bytes[at] === SP) {
      at++;
      while (at < end && FIELD_VALUE[bytes[at] as number] === 1) at++;
    }
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return -1;
    return at + 2;
  }

  /** field-name ":" OWS field-value OWS CRLF (RFC 9112 §5); no folding (§5.2), no space before the colon (§5.1). */
  #fields(bytes: Uint8Array, start: number, end: number): HeadFault {
    this.fieldsStart = start;
    let at = start;
    while (at < end && bytes[at] !== CR) {
      if (this.fieldCount === MAX_FIELDS) return "fields";
      const nameStart = at;
      while (TOKEN[bytes[at] as number] === 1) at++;
      if (at === nameStart || bytes[at] !== COLON) return "bad";
      const nameEnd = at++;
      while (bytes[at] === SP || bytes[at] === HTAB) at++;
      const valueStart = at;
      while (FIELD_VALUE[bytes[at] as number] === 1) at++;
      if (bytes[at] !== CR || bytes[at + 1] !== LF) return "bad";
      let valueEnd = at;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd--;
      at += 2;
      const fault = this.#addField(bytes, nameStart, nameEnd, valueStart, valueEnd, at);
      if (fault !== "") return fault;
    }
    this.headEnd = at + 2;
    return this.headEnd <= end && bytes[at + 1] === LF ? "" : "bad";
  }

  #addField(
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    lineEnd: number,
  ): HeadFault {
    const index = this.fieldCount++;
    const id = fieldId(bytes, nameStart, nameEnd);
    this.nameStart[index] = nameStart;
    this.nameEnd[index] = nameEnd;
    this.valueStart[index] = valueStart;
    this.valueEnd[index] = valueEnd;
    this.lineEnd[index] = lineEnd;
    this.id[index] = id;
    switch (id) {
      case HOST_FIELD:
        this.hostIndex = this.hostIndex === -1 ? index : -2;
        return "";
      case CONNECTION:
        return this.#connection(bytes, valueStart, valueEnd) ? "" : "bad";
      case UPGRADE:
        this.upgradeIndex = index;
        return "";
      case TRACE_CONTEXT:
        this.hasTraceContext = true;
        return "";
      case CONTENT_LENGTH:
        // RFC 9112 §6.3 (5) lets equal values pass; two fields are a disguise more often than a need.
        if (this.framing !== NO_BODY) return "bad";
        this.framing = LENGTH;
        return this.#length(bytes, valueStart, valueEnd) ? "" : "bad";
      case TRANSFER_ENCODING:
        // RFC 9112 §6.1: both framings, or two codings, or one that is not chunked.
        if (this.framing !== NO_BODY) return "bad";
        this.framing = CHUNKED;
        if (equalsIgnoreCase(bytes, valueStart, valueEnd, "chunked")) return "";
        // RFC 9112 §6.3 (4): without chunked as the last coding there is no telling where the message ends.
        return endsInChunked(bytes, valueStart, valueEnd) ? "coding" : "bad";
      default:
        return "";
    }
  }

  /** 1*DIGIT and nothing else; no sign, list or spaces (RFC 9110 §8.6). */
  #length(bytes: Uint8Array, start: number, end: number): boolean {
    if (end === start || end - start > 15) return false;
    let length = 0;
    for (let at = start; at < end; at++) {
      const digit = (bytes[at] as number) - 48;
      if (digit < 0 || digit > 9) return false;
      length = length * 10 + digit;
    }
    this.contentLength = length;
    return true;
  }

  /** #connection-option (RFC 9110 §7.6.1). */
  #connection(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start;
    while (at < end) {
      while (at < end && (bytes[at] === SP || bytes[at] === HTAB || bytes[at] === 44)) at++;
      const optionStart = at;
      while (at < end && TOKEN[bytes[at] as number] === 1) at++;
      if (at > optionStart && !this.#option(bytes, optionStart, at)) return false;
      while (at < end && (bytes[at] === SP || bytes[at] === HTAB)) at++;
      if (at < end && bytes[at] !== 44) return false;
    }
    return true;
  }

  #option(bytes: Uint8Array, start: number, end: number): boolean {
    if (equalsIgnoreCase(bytes, start, end, "keep-alive")) this.keepAlive = true;
    else if (equalsIgnoreCase(bytes, start, end, "close")) this.close = true;
    else if (equalsIgnoreCase(bytes, start, end, "upgrade")) this.upgrade = true;
    else {
      const name = (bytes as Buffer).toString("latin1", start, end).toLowerCase();
      if (mayNotBeNominated(name)) return false;
      this.nominated.push(name);
    }
    return true;
  }

  #goodHost(bytes: Uint8Array): boolean {
    const start = this.valueStart[this.hostIndex] as number;
    const end = this.valueEnd[this.hostIndex] as number;
    return start === end || isAuthority(bytes, start, end);
  }

  #requestFraming(bytes: Uint8Array): HeadFault {
    // RFC 9112 §6.1: a Transfer-Encoding in HTTP/1.0 is a message with faulty framing.
    if (this.framing === CHUNKED && this.minor === 0) return "bad";
    if (this.upgrade && this.upgradeIndex < 0) this.upgrade = false;
    // h2c by Upgrade is deprecated (RFC 9113 §3.1) and would carry later requests past the mesh.
    const hasBody = this.framing === CHUNKED || this.contentLength > 0;
    if (this.upgrade && (hasBody || this.minor === 0 || this.#isH2c(bytes as Buffer))) this.upgrade = false;
    return "";
  }

  #isH2c(bytes: Buffer): boolean {
    for (let index = 0; index < this.fieldCount; index++) {
      if (this.id[index] === HTTP2_SETTINGS) return true;
      // Lines of the same name are one list (RFC 9110 §5.3).
      if (this.id[index] === UPGRADE && this.value(bytes, index).toLowerCase().includes("h2c")) return true;
    }
    return false;
  }

  #responseFraming(head: boolean): HeadFault {
    if (this.framing === CHUNKED && this.minor === 0) return "bad";
    // RFC 9112 §6.3 (1): no body whatever the fields say.
    const bodiless = head || this.status < 200 || this.status === 204 || this.status === 304;
    // RFC 9110 §8.6, RFC 9112 §6.1: neither field in 1xx and 204.
    if ((this.status < 200 || this.status === 204) && this.framing === CHUNKED) return "bad";
    // RFC 9110 §15.2.2: who switches says to what.
    if (this.status === 101 && this.upgradeIndex < 0) return "bad";
    if (bodiless) this.framing = NO_BODY;
    else if (this.framing === NO_BODY) this.framing = UNTIL_CLOSE;
    return "";
  }
}

/** Whether anything in the rest of the line could be meant as a version of HTTP. */
function namesHttp(bytes: Uint8Array, from: number, end: number): boolean {
  for (let at = from; at + 5 <= end && bytes[at] !== CR && bytes[at] !== LF; at++)
    if (equalsIgnoreCase(bytes, at, at + 5, "http/")) return true;
  return false;
}

/** Whether the last element of the list is chunked. */
function endsInChunked(bytes: Uint8Array, start: number, end: number): boolean {
  const last = end - "chunked".length;
  if (last <= start || !equalsIgnoreCase(bytes, last, end, "chunked")) return false;
  const before = bytes[last - 1];
  return before === 44 || before === SP || before === HTAB;
}

/**
 * Where a line of an unfinished head ends in an LF without CR. No line may, so the head can be judged up to there, as
 * if it had come whole: whatever is wrong with it first is wrong with it either way.
 * @returns index of the LF, or -1
 */
export function bareLineFeed(bytes: Uint8Array, start: number, end: number): number {
  for (let at = bytes.indexOf(LF, start); at >= 0 && at < end; at = bytes.indexOf(LF, at + 1))
    if (at === start || bytes[at - 1] !== CR) return at;
  return -1;
}
