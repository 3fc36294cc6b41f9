/**
 * How many tries may be repeated: a share of the requests of the last ten seconds, and a few besides, so that a service
 * port with little to do is not kept from any. When everything fails, what endpoints get grows by that share and not by
 * the number of tries.
 */
const BUCKETS = 10;
const BUCKET_MS = 1_000;
/** In ten seconds, whatever the traffic. */
export const FREE_RETRIES = 100;
export const DEFAULT_BUDGET_PERCENT = 20;

export class RetryBudget {
  percent = DEFAULT_BUDGET_PERCENT;
  /** Tries that it did not give. */
  refused = 0;
  readonly #requests = new Float64Array(BUCKETS);
  readonly #retries = new Float64Array(BUCKETS);
  #requestsInWindow = 0;
  #retriesInWindow = 0;
  /** Number of the bucket that counts now, since the clock's beginning. */
  #bucket = 0;

  /** Counts a request. */
  note(now: number): void {
    this.#advance(now);
    const at = this.#bucket % BUCKETS;
    this.#requests[at] = (this.#requests[at] as number) + 1;
    this.#requestsInWindow++;
  }

  /** @returns whether a try may be repeated; it counts then */
  take(now: number): boolean {
    this.#advance(now);
    if (this.#retriesInWindow + 1 > FREE_RETRIES + (this.#requestsInWindow * this.percent) / 100) {
      this.refused++;
      return false;
    }
    const at = this.#bucket % BUCKETS;
    this.#retries[at] = (this.#retries[at] as number) + 1;
    this.#retriesInWindow++;
    return true;
  }

  /** Forgets what is older than the window. */
  #advance(now: number): void {
    const bucket = Math.floor(now / BUCKET_MS);
    const passed = Math.min(bucket - this.#bucket, BUCKETS);
    for (let step = 1; step <= passed; step++) {
      const at = (this.#bucket + step) % BUCKETS;
      this.#requestsInWindow -= this.#requests[at] as number;
      this.#retriesInWindow -= this.#retries[at] as number;
      this.#requests[at] = 0;
      this.#retries[at] = 0;
    }
    if (passed > 0) this.#bucket = bucket;
  }
}
