import type { Random } from "../model/clock.ts";

/** Delays that grow twofold up to a bound, each with up to half taken off by chance, so that replicas do not march in step. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #random: Random;
  #nextMs: number;

  constructor(random: Random, firstMs = 200, maxMs = 10_000) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#random = random;
    this.#nextMs = firstMs;
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }

  /** @returns milliseconds to wait before the next try */
  next(): number {
    const delay = this.#nextMs * (1 - this.#random() / 2);
    this.#nextMs = Math.min(this.#nextMs * 2, this.#maxMs);
    return delay;
  }
}
