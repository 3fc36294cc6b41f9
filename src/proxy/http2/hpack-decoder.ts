/** Field blocks to fields, RFC 7541. Strings are one character a byte. */

import { DEFAULT_TABLE_BYTES, DynamicTable, ENTRY_OVERHEAD, STATIC_ENTRIES, STATIC_TABLE } from "./hpack-tables.ts";
import { huffmanDecode } from "./huffman.ts";

/** What became of a block. After "bad" the tables of both sides differ: the connection cannot go on (RFC 9113 §4.3). */
export type BlockOutcome = "ok" | "tooLarge" | "bad";

export class HpackDecoder {
  readonly #table = new DynamicTable();
  readonly #maxListBytes: number;
  #bytes: Uint8Array = new Uint8Array();
  #at = 0;
  #end = 0;
  #bad = false;

  /** @param maxListBytes of a block's fields, counted as SETTINGS_MAX_HEADER_LIST_SIZE does (RFC 9113 §6.5.2) */
  constructor(maxListBytes: number) {
    this.#maxListBytes = maxListBytes;
  }

  /**
   * Decodes a whole block.
   * @param into gets name, value, name, value …; as many as the bound allows
   */
  decode(bytes: Uint8Array, start: number, end: number, into: string[]): BlockOutcome {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#bad = false;
    let room = this.#maxListBytes;
    let anyField = false;
    while (this.#at < end && !this.#bad) {
      const first = bytes[this.#at] as number;
      if (first >= 0x20 && first < 0x40) {
        // RFC 7541 §4.2: changes of size come before the block's first field.
        if (anyField) return "bad";
        this.#resize();
        continue;
      }
      anyField = true;
      const from = into.length;
      this.#field(first, into);
      if (this.#bad) break;
      room -= (into[from] as string).length + (into[from + 1] as string).length + ENTRY_OVERHEAD;
      // The rest is still decoded, for the table's sake, and not kept.
      if (room < 0) into.length = from;
    }
    if (this.#bad) return "bad";
    return room < 0 ? "tooLarge" : "ok";
  }

  #field(first: number, into: string[]): void {
    if (first >= 0x80) {
      const index = this.#integer(7);
      this.#indexed(index, into);
      return;
    }
    const indexing = first >= 0x40;
    const index = this.#integer(indexing ? 6 : 4);
    const name = index === 0 ? this.#string() : this.#name(index);
    const value = this.#string();
    if (this.#bad) return;
    if (indexing) this.#table.add(name, value);
    into.push(name, value);
  }

  #indexed(index: number, into: string[]): void {
    if (index === 0) this.#bad = true;
    else if (index <= STATIC_ENTRIES)
      into.push(STATIC_TABLE[index * 2 - 2] as string, STATIC_TABLE[index * 2 - 1] as string);
    else {
      const at = index - STATIC_ENTRIES - 1;
      if (at >= this.#table.count) this.#bad = true;
      else into.push(this.#table.name(at), this.#table.value(at));
    }
  }

  #name(index: number): string {
    if (index <= STATIC_ENTRIES) return STATIC_TABLE[index * 2 - 2] as string;
    const at = index - STATIC_ENTRIES - 1;
    if (at < this.#table.count) return this.#table.name(at);
    this.#bad = true;
    return "";
  }

  #resize(): void {
    const bytes = this.#integer(5);
    if (this.#bad || bytes > DEFAULT_TABLE_BYTES) this.#bad = true;
    else this.#table.resize(bytes);
  }

  /** RFC 7541 §5.1. Of five bytes at most: nothing here has a use for more. */
  #integer(prefixBits: number): number {
    const max = (1 << prefixBits) - 1;
    let value = (this.#bytes[this.#at++] as number) & max;
    if (value < max) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) break;
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.#bad = true;
    return 0;
  }

  /** RFC 7541 §5.2. */
  #string(): string {
    if (this.#bad || this.#at >= this.#end) {
      this.#bad = true;
      return "";
    }
    const coded = (this.#bytes[this.#at] as number) >= 0x80;
    const length = this.#integer(7);
    const start = this.#at;
    if (this.#bad || length > this.#end - start) {
      this.#bad = true;
      return "";
    }
    this.#at = start + length;
    if (!coded) return (this.#bytes as Buffer).toString("latin1", start, this.#at);
    const text = huffmanDecode(this.#bytes, start, this.#at);
    if (text === undefined) this.#bad = true;
    return text ?? "";
  }
}
