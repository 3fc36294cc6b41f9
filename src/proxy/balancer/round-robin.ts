/** One after the other, whatever each has to do. Every proxy begins somewhere else. */
import type { Random } from "../../model/clock.ts";
import { type Algorithm, type Candidate, isUsable } from "./candidate.ts";

const MAX_START = 2 ** 20;

export class RoundRobin<T extends Candidate> implements Algorithm<T> {
  #turn: number;

  constructor(random: Random) {
    this.#turn = Math.floor(random() * MAX_START);
  }

  choose(candidates: readonly T[]): T {
    for (let step = 1; step < candidates.length; step++) {
      const candidate = candidates[this.#turn++ % candidates.length] as T;
      if (isUsable(candidate)) return candidate;
    }
    return candidates[this.#turn++ % candidates.length] as T;
  }
}
