/** Trailer sections of the chunked coding (RFC 9112 §7.1.2) and trailer fields of HTTP/2. */

import { HTAB, SP } from "../../http1/bytes.ts";

/**
 * @param section field lines and the empty line, found good by the chunk scanner
 * @returns name, value, name, value …, names in lower case; undefined where there are none
 */
export function trailerFields(section: Buffer): string[] | undefined {
  if (section.length <= 2) return undefined;
  const fields: string[] = [];
  for (const line of section.toString("latin1", 0, section.length - 4).split("\r\n")) {
    const colon = line.indexOf(":");
    fields.push(line.slice(0, colon).toLowerCase(), withoutOws(line.slice(colon + 1)));
  }
  return fields;
}

/** A value less the white space around it, RFC 9110 §5.6.3; `trim` takes a byte 0xA0 for some, which ends UTF-8's "à". */
export function withoutOws(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isOws(value.charCodeAt(start))) start++;
  while (end > start && isOws(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

const isOws = (code: number): boolean => code === SP || code === HTAB;

/** @returns field lines and the empty line */
export function trailerText(fields: readonly string[] | undefined): string {
  let text = "";
  if (fields !== undefined)
    for (let at = 0; at < fields.length; at += 2) text += `${fields[at]}: ${fields[at + 1]}\r\n`;
  return `${text}\r\n`;
}
