/** The tables that HPACK's indexes point into, RFC 7541 §2.3. */

/** RFC 7541, Appendix A: name, value, name, value …; entry 1 comes first. */
export const STATIC_TABLE: readonly string[] = [
  ...[":authority", "", ":method", "GET", ":method", "POST", ":path", "/", ":path", "/index.html"],
  ...[":scheme", "http", ":scheme", "https", ":status", "200", ":status", "204", ":status", "206"],
  ...[":status", "304", ":status", "400", ":status", "404", ":status", "500", "accept-charset", ""],
  ...["accept-encoding", "gzip, deflate", "accept-language", "", "accept-ranges", "", "accept", ""],
  ...["access-control-allow-origin", "", "age", "", "allow", "", "authorization", "", "cache-control", ""],
  ...["content-disposition", "", "content-encoding", "", "content-language", "", "content-length", ""],
  ...["content-location", "", "content-range", "", "content-type", "", "cookie", "", "date", "", "etag", ""],
  ...["expect", "", "expires", "", "from", "", "host", "", "if-match", "", "if-modified-since", ""],
  ...["if-none-match", "", "if-range", "", "if-unmodified-since", "", "last-modified", "", "link", ""],
  ...["location", "", "max-forwards", "", "proxy-authenticate", "", "proxy-authorization", "", "range", ""],
  ...["referer", "", "refresh", "", "retry-after", "", "server", "", "set-cookie", ""],
  ...["strict-transport-security", "", "transfer-encoding", "", "user-agent", "", "vary", "", "via", ""],
  ...["www-authenticate", ""],
];

export const STATIC_ENTRIES = STATIC_TABLE.length / 2;

/** What a decoder keeps unless it says otherwise (RFC 9113 §6.5.2); we never say otherwise. */
export const DEFAULT_TABLE_BYTES = 4096;
/** RFC 7541 §4.1: what an entry counts besides its octets. */
export const ENTRY_OVERHEAD = 32;
/** As many as fit where every name and value is empty. A power of two. */
const SLOTS = DEFAULT_TABLE_BYTES / ENTRY_OVERHEAD;

/** Entries of the connection, newest first, in at most `DEFAULT_TABLE_BYTES` (RFC 7541 §2.3.2, §4). */
export class DynamicTable {
  readonly #names: string[] = [];
  readonly #values: string[] = [];
  /** Slot of the newest entry. */
  #newest = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes = DEFAULT_TABLE_BYTES;

  get count(): number {
    return this.#count;
  }

  /** @param index 0 for the newest, below `count` */
  name(index: number): string {
    return this.#names[(this.#newest - index) & (SLOTS - 1)] as string;
  }

  value(index: number): string {
    return this.#values[(this.#newest - index) & (SLOTS - 1)] as string;
  }

  add(name: string, value: string): void {
    const bytes = name.length + value.length + ENTRY_OVERHEAD;
    // RFC 7541 §4.4: an entry larger than the table empties it, and is no error.
    this.#evictTo(this.#maxBytes - bytes);
    if (bytes > this.#maxBytes) return;
    this.#newest = (this.#newest + 1) & (SLOTS - 1);
    this.#names[this.#newest] = name;
    this.#values[this.#newest] = value;
    this.#count++;
    this.#bytes += bytes;
  }

  /** @param maxBytes at most `DEFAULT_TABLE_BYTES` */
  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  #evictTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const oldest = --this.#count;
      this.#bytes -= this.name(oldest).length + this.value(oldest).length + ENTRY_OVERHEAD;
    }
  }
}
