import { decodePercent } from "./percent-decoding.ts";

/**
 * The first value of a query parameter, decoded as a form's (`+` is a space).
 * @param query raw, without "?"
 * @returns undefined where it is absent; a pair that cannot be decoded is passed over
 */
export function queryParameter(query: string, name: string): string | undefined {
  let start = 0;
  while (start < query.length) {
    let end = query.indexOf("&", start);
    if (end < 0) end = query.length;
    let equals = query.indexOf("=", start);
    if (equals < 0 || equals > end) equals = end;
    if (decoded(query.slice(start, equals)) === name) {
      const value = decoded(query.slice(Math.min(end, equals + 1), end));
      if (value !== undefined) return value;
    }
    start = end + 1;
  }
  return undefined;
}

function decoded(text: string): string | undefined {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    // "%", "+", or not ASCII
    if (code === 0x25 || code === 0x2b || code >= 0x80) return decodePercent(text, true);
  }
  return text;
}
