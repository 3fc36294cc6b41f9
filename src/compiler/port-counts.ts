/** Sets of ports by a name, to which many may add the same port and take theirs away again. */
export class PortCounts {
  readonly #counts = new Map<string, Map<number, number>>();
  /** Whose sets gained or lost a port. */
  #changed = new Set<string>();

  of(name: string): ReadonlySet<number> | undefined {
    const counts = this.#counts.get(name);
    return counts === undefined ? undefined : new Set(counts.keys());
  }

  /** @param by 1 or -1 */
  add(name: string, port: number, by: number): void {
    const counts = this.#counts.get(name) ?? new Map<number, number>();
    const before = counts.get(port) ?? 0;
    const after = before + by;
    if (after > 0) counts.set(port, after);
    else counts.delete(port);
    if (counts.size === 0) this.#counts.delete(name);
    else this.#counts.set(name, counts);
    if (before === 0 || after === 0) this.#changed.add(name);
  }

  /** Names whose sets gained or lost a port since this was asked last, be it to have it as before. */
  takeChanged(): Iterable<string> {
    if (this.#changed.size === 0) return [];
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }
}
