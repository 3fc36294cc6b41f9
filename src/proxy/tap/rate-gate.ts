import type { Clock } from "../../model/clock.ts";

/** Lets so many pass in each second. */
export class RateGate {
  readonly #perSecond: number;
  readonly #clock: Clock;
  #since: number;
  #passed = 0;

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#since = clock.now();
  }

  pass(): boolean {
    const now = this.#clock.now();
    if (now - this.#since >= 1_000) {
      this.#since = now;
      this.#passed = 0;
    }
    if (this.#passed >= this.#perSecond) return false;
    this.#passed++;
    return true;
  }
}
