/** Who reads what: which units must be worked out again when something changes. */
export class ReadIndex {
  /** Most have one, which needs no set. */
  readonly #readers = new Map<string, string | Set<string>>();
  readonly #reads = new Map<string, readonly string[]>();

  /** @param reads all that the unit may look at, in place of what it said before; none: the unit is gone */
  set(unit: string, reads: readonly string[]): void {
    for (const name of this.#reads.get(unit) ?? []) this.#drop(name, unit);
    if (reads.length === 0) this.#reads.delete(unit);
    else this.#reads.set(unit, reads);
    for (const name of reads) this.#add(name, unit);
  }

  of(name: string): Iterable<string> {
    const readers = this.#readers.get(name) ?? [];
    return typeof readers === "string" ? [readers] : readers;
  }

  #add(name: string, unit: string): void {
    const readers = this.#readers.get(name);
    if (readers === undefined) this.#readers.set(name, unit);
    else if (typeof readers !== "string") readers.add(unit);
    else if (readers !== unit) this.#readers.set(name, new Set([readers, unit]));
  }

  #drop(name: string, unit: string): void {
    const readers = this.#readers.get(name);
    if (readers === unit) this.#readers.delete(name);
    if (readers === undefined || typeof readers === "string") return;
    readers.delete(unit);
    if (readers.size === 0) this.#readers.delete(name);
  }
}
