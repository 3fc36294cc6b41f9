/**
 * Power of two choices: of two endpoints picked by chance, the one with less to do. Nearly as even as comparing all of
 * them, in constant time, and proxies that know nothing of each other do not all turn to the same one.
 */
import type { Random } from "../../model/clock.ts";
import { type Algorithm, type Candidate, isUsable } from "./candidate.ts";

export class PowerOfTwo<T extends Candidate> implements Algorithm<T> {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  choose(candidates: readonly T[]): T {
    const count = candidates.length;
    if (count === 1) return candidates[0] as T;
    let first = 0;
    let second = 1;
    if (count > 2) {
      first = Math.floor(this.#random() * count);
      // Among the others: the two are never the same.
      second = Math.floor(this.#random() * (count - 1));
      if (second >= first) second++;
    }
    return this.#better(candidates[first] as T, candidates[second] as T);
  }

  #better(a: T, b: T): T {
    const usable = isUsable(a);
    if (usable !== isUsable(b)) return usable ? a : b;
    const costOfA = this.costOf(a);
    const costOfB = this.costOf(b);
    if (costOfA !== costOfB) return costOfA < costOfB ? a : b;
    return a.lastPick <= b.lastPick ? a : b;
  }

  /** The less, the better. */
  protected costOf(candidate: T): number {
    return candidate.outstanding;
  }
}
