/**
 * Power of two choices by expected wait: the moving average of an endpoint's latencies, times what it has to do. The
 * average jumps up to a latency above it and comes down by and by, so that an endpoint which turns slow is left alone at
 * once; and it fades with time, so that one which is not called gets another chance.
 */
import type { Clock, Random } from "../../model/clock.ts";
import type { Candidate } from "./candidate.ts";
import { PowerOfTwo } from "./power-of-two.ts";

/** In this time, what was measured loses all but a third of its weight. */
const DECAY_MS = 10_000;
/** What a failure counts as: refusing is quick, and nothing to be preferred for. */
const FAILURE_MS = 5_000;
/** Of an endpoint that is yet to answer for the first time: one call at a time is enough to find out. */
const UNKNOWN_MS = 1_000_000;

export interface Measured extends Candidate {
  /** As of `latencyAt`; 0: not known. */
  latencyMs: number;
  latencyAt: number;
}

export class PeakEwma<T extends Measured> extends PowerOfTwo<T> {
  readonly #clock: Clock;

  constructor(clock: Clock, random: Random) {
    super(random);
    this.#clock = clock;
  }

  answered(candidate: T, latencyMs: number): void {
    const now = this.#clock.now();
    const weight = Math.exp((candidate.latencyAt - now) / DECAY_MS);
    const known = candidate.latencyMs;
    // A first latency is all that is known; later ones count by how long nothing was heard.
    const average = known === 0 ? latencyMs : known * weight + latencyMs * (1 - weight);
    // Also where rounding takes the average below what it cannot be below.
    candidate.latencyMs = Math.max(latencyMs, average, Number.MIN_VALUE);
    candidate.latencyAt = now;
  }

  failed(candidate: T): void {
    this.answered(candidate, FAILURE_MS);
  }

  protected override costOf(candidate: T): number {
    const { latencyMs, outstanding } = candidate;
    if (latencyMs === 0) return outstanding * UNKNOWN_MS;
    return latencyMs * Math.exp((candidate.latencyAt - this.#clock.now()) / DECAY_MS) * (outstanding + 1);
  }
}
