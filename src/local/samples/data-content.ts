const UNITS: Readonly<Record<string, number>> = { "": 1, b: 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30, tb: 2 ** 40 };
const CHARACTERS = "-ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/** Whole rounds of the characters, so that every chunk of one length has the same bytes. */
const CHUNK_BYTES = CHARACTERS.length * 2400;
const EDGE = "|".charCodeAt(0);

/**
 * Bytes that `/data?size=&unit=` asks for: 1 where the size is no number, bytes where the unit is unknown, never
 * negative.
 */
export function dataBytes(query: URLSearchParams): number {
  const text = query.get("size") ?? "";
  const size = /^[+-]?\d+$/.test(text) ? Number(text) : 1;
  const unit = (query.get("unit") ?? "").toLowerCase();
  const bytes = size * (Object.hasOwn(UNITS, unit) ? (UNITS[unit] as number) : 1);
  return Math.min(Math.max(0, bytes), Number.MAX_SAFE_INTEGER);
}

/** Letters in rounds between two bars, in chunks made as they are read. */
export function* dataContent(bytes: number): Generator<Buffer> {
  const round = Buffer.from(CHARACTERS.repeat(CHUNK_BYTES / CHARACTERS.length));
  for (let sent = 0; sent < bytes; sent += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, bytes - sent);
    const first = sent === 0;
    const last = sent + length === bytes;
    const chunk = first || last ? Buffer.from(round.subarray(0, length)) : round;
    if (first) chunk[0] = EDGE;
    if (last) chunk[length - 1] = EDGE;
    yield chunk;
  }
}
