/**
 * A request's path as rules match it: decoded once. Most paths need no decoding, which one look at their characters
 * shows.
 *
 * A path is ambiguous when a server behind us may well serve another resource than the one that the rule was matched
 * on. These are refused where a path rule decides access:
 *
 * - dot segments, plain or encoded, also with parameters (`..;x`), which servers resolve (RFC 3986 §5.2.4)
 * - encoded slashes, and backslashes, plain or encoded, which some take for separators
 * - empty segments but for the last: servers merge them, and read a path that starts with `//` as a host
 * - NUL, and `#` as it is, where some stop reading
 * - what cannot be decoded: a broken escape, or octets that are not UTF-8 (overlong forms among them)
 *
 * A path is decoded once only: `%252e%252e` is a segment named `%2e%2e`.
 */
import { decodePercent } from "./percent-decoding.ts";

const HASH = 0x23;
const PERCENT = 0x25;
const DOT = 0x2e;
const SLASH = 0x2f;
const SEMICOLON = 0x3b;
const BACKSLASH = 0x5c;

export class RequestPath {
  /** Undefined where it cannot be decoded. */
  decoded: string | undefined = "";
  ambiguous = false;

  /** @param raw as received, without query; one character an octet */
  read(raw: string): void {
    let encoded = false;
    let suspect = raw.charCodeAt(0) === DOT;
    let odd = false;
    for (let index = 0; index < raw.length; index++) {
      const code = raw.charCodeAt(index);
      if (code === SLASH) {
        const next = raw.charCodeAt(index + 1);
        if (next === SLASH || next === DOT) suspect = true;
      } else if (code === PERCENT || code >= 0x80) encoded = true;
      else if (code === BACKSLASH || code === HASH || code === 0) odd = true;
    }
    this.decoded = encoded ? decodePercent(raw, false) : raw;
    if (encoded) odd ||= this.decoded === undefined || hasEncodedSeparator(raw);
    this.ambiguous = odd || ((encoded || suspect) && hasOddSegment(this.decoded as string));
  }
}

/** @param path decoded */
function hasOddSegment(path: string): boolean {
  let start = path.charCodeAt(0) === SLASH ? 1 : 0;
  while (start <= path.length) {
    const slash = path.indexOf("/", start);
    const end = slash < 0 ? path.length : slash;
    if (isDotSegment(path, start, end) || (end === start && slash >= 0)) return true;
    start = end + 1;
  }
  return false;
}

function isDotSegment(path: string, start: number, end: number): boolean {
  let dots = 0;
  for (let index = start; index < end; index++) {
    const code = path.charCodeAt(index);
    if (code === SEMICOLON) break;
    if (code !== DOT) return false;
    dots++;
  }
  return dots === 1 || dots === 2;
}

/** `%2F`, `%5C` or `%00`. */
function hasEncodedSeparator(raw: string): boolean {
  for (let at = raw.indexOf("%"); at >= 0; at = raw.indexOf("%", at + 1)) {
    const first = raw.charCodeAt(at + 1);
    const second = raw.charCodeAt(at + 2);
    if (first === 0x32 && (second | 0x20) === 0x66) return true;
    if (first === 0x35 && (second | 0x20) === 0x63) return true;
    if (first === 0x30 && second === 0x30) return true;
  }
  return false;
}
