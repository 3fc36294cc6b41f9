/** Bytes that come in any pieces, to lines of UTF-8 text. Each line is decoded once, whole. */
export class LineSplitter {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws RangeError when a line is longer than allowed */
  push(bytes: Buffer, onLine: (line: string) => void): void {
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      const piece = bytes.subarray(from, end);
      from = end + 1;
      if (this.#length === 0) {
        if (piece.length > 0) onLine(piece.toString("utf8"));
        continue;
      }
      this.#pieces.push(piece);
      const line = Buffer.concat(this.#pieces).toString("utf8");
      this.#pieces = [];
      this.#length = 0;
      onLine(line);
    }
    if (from === bytes.length) return;
    this.#length += bytes.length - from;
    if (this.#length > this.#maxBytes) throw new RangeError(`a line is longer than ${this.#maxBytes} bytes`);
    this.#pieces.push(bytes.subarray(from));
  }
}
