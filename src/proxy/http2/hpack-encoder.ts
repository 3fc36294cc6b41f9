/**
 * Fields to field blocks, RFC 7541, as text of one character a byte.
 *
 * Names and whole fields of the static table are sent as indexes; all else is literal, without Huffman code and without
 * the dynamic table: within a cluster the processor is dearer than the bytes, and nothing secret ends up in a
 * compression context (RFC 7541 §7.1).
 */
import { STATIC_TABLE } from "./hpack-tables.ts";

const BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));

/** "Literal without indexing", with the name's index. */
const NAMES = new Map<string, string>();
/** Whole fields, by name and then value. */
const FIELDS = new Map<string, Map<string, string>>();
for (let entry = STATIC_TABLE.length / 2; entry > 0; entry--) {
  const name = STATIC_TABLE[entry * 2 - 2] as string;
  const value = STATIC_TABLE[entry * 2 - 1] as string;
  NAMES.set(name, integer(0, 4, entry));
  if (value === "") continue;
  const values = FIELDS.get(name) ?? new Map<string, string>();
  FIELDS.set(name, values.set(value, integer(0x80, 7, entry)));
}

/** Sent once, first of all: the peer need not keep a table for us, whatever size it offers (RFC 7541 §4.2). */
export const NO_DYNAMIC_TABLE = "\x20";

/** @param fields name, value, name, value …; names in lower case, pseudo fields first */
export function encodeFields(fields: readonly string[]): string {
  let block = "";
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string;
    const value = fields[at + 1] as string;
    const whole = FIELDS.get(name)?.get(value);
    if (whole !== undefined) {
      block += whole;
      continue;
    }
    block += NAMES.get(name) ?? `\x00${lengthOf(name)}${name}`;
    block += lengthOf(value) + value;
  }
  return block;
}

function lengthOf(text: string): string {
  return text.length < 127 ? (BYTES[text.length] as string) : integer(0, 7, text.length);
}

/** RFC 7541 §5.1. */
function integer(pattern: number, prefixBits: number, value: number): string {
  const max = (1 << prefixBits) - 1;
  if (value < max) return BYTES[pattern | value] as string;
  let text = BYTES[pattern | max] as string;
  let rest = value - max;
  for (; rest >= 128; rest = rest >>> 7) text += BYTES[(rest & 0x7f) | 0x80];
  return text + BYTES[rest];
}
