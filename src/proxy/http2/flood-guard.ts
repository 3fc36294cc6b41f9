import type { Clock } from "../../model/clock.ts";

/** Of a connection at once, and each second after: well above a client that cancels all it asked for. */
const CAPACITY = 2_000;
const REFILL_PER_SECOND = 200;

/**
 * Bounds what a peer may ask for nothing: streams reset before they were answered (CVE-2023-44487), SETTINGS, PRIORITY,
 * empty frames. A token bucket for each connection.
 */
export class FloodGuard {
  readonly #clock: Clock;
  #tokens = CAPACITY;
  #filledAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#filledAt = clock.now();
  }

  /** @returns whether the peer may have that */
  spend(tokens: number): boolean {
    if (this.#tokens < tokens) {
      const now = this.#clock.now();
      this.#tokens = Math.min(CAPACITY, this.#tokens + ((now - this.#filledAt) / 1000) * REFILL_PER_SECOND);
      this.#filledAt = now;
    }
    if (this.#tokens < tokens) return false;
    this.#tokens -= tokens;
    return true;
  }
}
