/**
 * Smooth weighted round robin: each choice adds to every part its weight, takes the part that has most, and takes the
 * sum of weights away from it. Among any run of as many choices as the (whole) weights' sum, each part is chosen
 * exactly its weight's times, and spread out rather than in a row.
 */
export interface WeightedPart {
  /** Keeps the part's standing when the weights change. */
  readonly key: string;
  readonly weight: number;
}

export class SmoothWeighted {
  #keys: readonly string[] = [];
  #weights = new Float64Array(0);
  #standings = new Float64Array(0);
  #total = 0;
  /** The only part with a weight, or −1. */
  #only = -1;

  constructor(parts: readonly WeightedPart[]) {
    this.change(parts);
  }

  /** @returns index of the part; −1 where none has a weight */
  next(): number {
    if (this.#only >= 0 || this.#total === 0) return this.#only;
    const weights = this.#weights;
    const standings = this.#standings;
    let best = -1;
    let most = 0;
    for (let index = 0; index < weights.length; index++) {
      const weight = weights[index] as number;
      if (weight === 0) continue;
      const standing = (standings[index] as number) + weight;
      standings[index] = standing;
      if (best >= 0 && standing <= most) continue;
      best = index;
      most = standing;
    }
    standings[best] = most - this.#total;
    return best;
  }

  /** Parts that stay keep their standing, in proportion to the new weights. */
  change(parts: readonly WeightedPart[]): void {
    const before = new Map(this.#keys.map((key, index) => [key, this.#standings[index] as number]));
    // Relative weights: no sum of what a user writes overflows.
    const largest = parts.reduce((most, { weight }) => Math.max(most, weight), 0);
    const scale = largest > Number.MAX_SAFE_INTEGER ? 1 / largest : 1;
    const totalBefore = this.#total;
    this.#keys = numbered(parts);
    this.#weights = Float64Array.from(parts, ({ weight }) => weight * scale);
    this.#total = this.#weights.reduce((sum, weight) => sum + weight, 0);
    const growth = totalBefore === 0 ? 0 : this.#total / totalBefore;
    this.#standings = Float64Array.from(this.#keys, (key) => (before.get(key) ?? 0) * growth);
    const positive = this.#weights.filter((weight) => weight > 0).length;
    this.#only = positive === 1 ? this.#weights.findIndex((weight) => weight > 0) : -1;
  }
}

/** The second part of a key is another one than its first. */
function numbered(parts: readonly WeightedPart[]): readonly string[] {
  const seen = new Map<string, number>();
  return parts.map(({ key }) => {
    const count = seen.get(key) ?? 0;
    seen.set(key, count + 1);
    return `${count} ${key}`;
  });
}
