/**
 * Power of two choices: of two endpoints picked by chance, the one with less to do. Nearly as even as comparing all of
 * them, in constant time, and proxies that know nothing of each other do not all turn to the same one.
 */
import type { Random } from "../../model/clock.ts";

export interface Candidate {
  readonly outstanding: number;
  lastPick: number;
  readonly removed: boolean;
}

const NONE: readonly Candidate[] = [];

export class PowerOfTwo {
  readonly #random: Random;
  #picks = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /**
   * @param tried not to be picked while another is left; neither are removed ones
   * @returns undefined only for an empty list
   */
  pick<T extends Candidate>(candidates: readonly T[], tried: readonly T[] = NONE as readonly T[]): T | undefined {
    const picked = tried.length === 0 ? this.#pickAny(candidates) : this.#pickUntried(candidates, tried);
    if (picked !== undefined) picked.lastPick = ++this.#picks;
    return picked;
  }

  #pickAny<T extends Candidate>(candidates: readonly T[]): T | undefined {
    const count = candidates.length;
    if (count <= 1) return candidates[0];
    let first = 0;
    let second = 1;
    if (count > 2) {
      first = Math.floor(this.#random() * count);
      // Among the others: the two are never the same.
      second = Math.floor(this.#random() * (count - 1));
      if (second >= first) second++;
    }
    const picked = better(candidates[first] as T, candidates[second] as T);
    return picked.removed ? this.#pickUntried(candidates, NONE as readonly T[]) : picked;
  }

  /** Rare: a retry, or endpoints that went while the exchange was under way. */
  #pickUntried<T extends Candidate>(candidates: readonly T[], tried: readonly T[]): T | undefined {
    let left = 0;
    for (const candidate of candidates) if (isLeft(candidate, tried)) left++;
    // Better one that failed once than one that is gone; better that than none.
    if (left === 0) return leastBusy(candidates);
    const first = Math.floor(this.#random() * left);
    let second = left === 1 ? first : Math.floor(this.#random() * (left - 1));
    if (left > 1 && second >= first) second++;
    let index = 0;
    let picked: T | undefined;
    for (const candidate of candidates) {
      if (!isLeft(candidate, tried)) continue;
      if (index === first || index === second) picked = picked === undefined ? candidate : better(picked, candidate);
      index++;
    }
    return picked;
  }
}

function isLeft<T extends Candidate>(candidate: T, tried: readonly T[]): boolean {
  return !candidate.removed && !tried.includes(candidate);
}

function leastBusy<T extends Candidate>(candidates: readonly T[]): T | undefined {
  let picked: T | undefined;
  for (const candidate of candidates) picked = picked === undefined ? candidate : better(picked, candidate);
  return picked;
}

function better<T extends Candidate>(a: T, b: T): T {
  if (a.removed !== b.removed) return a.removed ? b : a;
  if (a.outstanding !== b.outstanding) return a.outstanding < b.outstanding ? a : b;
  return a.lastPick <= b.lastPick ? a : b;
}
