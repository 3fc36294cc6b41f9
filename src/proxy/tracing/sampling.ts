/** Which traces are recorded: a share of them by their ids, and no more than so many a second. */
const TWO_53 = 2 ** 53;

/**
 * Whether a trace is of the share `ratio`, from its id alone, so that every proxy that asks decides alike; and what is of
 * a share is of every greater one. As OpenTelemetry's TraceIdRatioBased, by the last eight bytes.
 */
export function isInRatio(traceId: string, ratio: number): boolean {
  if (ratio >= 1) return true;
  if (ratio <= 0) return false;
  const high = Number.parseInt(traceId.slice(16, 24), 16);
  const low = Number.parseInt(traceId.slice(24, 32), 16);
  return high * 2 ** 21 + Math.floor(low / 2 ** 11) < ratio * TWO_53;
}

/** A bucket that holds one second's worth. */
export class TraceRate {
  readonly #perSecond: number;
  #tokens: number;
  #filledAt: number;

  /**
   * @param perSecond 0 for no bound; may be a fraction
   * @param nowMs by the same clock as `take`'s
   */
  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#tokens = Math.max(perSecond, 1);
    this.#filledAt = nowMs;
  }

  /** @returns whether there is room for another trace now, which it takes */
  take(nowMs: number): boolean {
    if (this.#perSecond === 0) return true;
    const filled = this.#tokens + ((nowMs - this.#filledAt) * this.#perSecond) / 1000;
    this.#tokens = Math.min(filled, Math.max(this.#perSecond, 1));
    this.#filledAt = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
