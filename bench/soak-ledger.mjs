/** What became of the soak's calls, by kind. */

const MAX_REASONS = 8;

export class Ledger {
  #kinds = new Map();

  #of(kind) {
    let entry = this.#kinds.get(kind);
    if (entry === undefined) {
      entry = { served: 0, failed: 0, cut: 0, reasons: new Map() };
      this.#kinds.set(kind, entry);
    }
    return entry;
  }

  served(kind) {
    this.#of(kind).served++;
  }

  /** Given up by the caller itself, as it meant to. */
  cut(kind) {
    this.#of(kind).cut++;
  }

  failed(kind, reason) {
    const entry = this.#of(kind);
    entry.failed++;
    if (entry.reasons.has(reason) || entry.reasons.size < MAX_REASONS)
      entry.reasons.set(reason, (entry.reasons.get(reason) ?? 0) + 1);
  }

  /** `{served, failed, cut}` of all kinds together. */
  get totals() {
    const totals = { served: 0, failed: 0, cut: 0 };
    for (const entry of this.#kinds.values()) for (const key of Object.keys(totals)) totals[key] += entry[key];
    return totals;
  }

  /** `[kind, served, failed, cut, reasons]` each. */
  rows() {
    return [...this.#kinds].map(([kind, { served, failed, cut, reasons }]) => [
      kind,
      served,
      failed,
      cut,
      [...reasons].map(([reason, count]) => `${reason} ×${count}`).join("; "),
    ]);
  }
}

/** The values that a part of the run has, by the time of each: from `from` to `to`, both parts of the whole. */
const within = (samples, from, to) => samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to));
const middleOf = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/**
 * Whether something stays level: its middle in the last quarter of the run beside that in the second one, since in the
 * first the heap takes its working size.
 */
export function growth(samples) {
  const before = middleOf(within(samples, 0.25, 0.5));
  const after = middleOf(within(samples, 0.75, 1));
  return { before, after, grown: after - before };
}
