/**
 * One for each service port.
 *
 *   standby ── the expression holds ──► tripped ── 10 s ──► recovering ── 10 s ──► standby
 *                                          ▲                    │
 *                                          └─ it holds again ───┘
 *
 * It is asked after a response, at most every 100 ms; to trip resets what was counted. A recovering breaker admits a
 * request with probability 0.5·elapsed/10 s: the share of those admitted in any moment, rather than since recovery
 * began, follows that line, and proxies of several nodes do not admit in step. What the breaker refuses is not
 * recorded; exchanges that were under way when it tripped are, as the first that is known of the time after.
 */
import type { BreakerExpression } from "../../../config/mesh-config.ts";
import type { Clock, Random } from "../../../model/clock.ts";
import { type BreakerCondition, BreakerMetrics, compileCondition } from "./breaker-condition.ts";

const CHECK_EVERY_MS = 100;
const TRIPPED_MS = 10_000;
const RECOVERING_MS = 10_000;
/** Share of the requests that is admitted when recovery ends. */
const RECOVERED_SHARE = 0.5;

export type BreakerState = "standby" | "tripped" | "recovering";

export class CircuitBreaker {
  readonly expression: BreakerExpression;
  readonly #condition: BreakerCondition;
  readonly #metrics = new BreakerMetrics();
  readonly #clock: Clock;
  readonly #random: Random;
  #state: BreakerState = "standby";
  /** When tripped or recovering began. */
  #since = 0;
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(expression: BreakerExpression, clock: Clock, random: Random) {
    this.expression = expression;
    this.#condition = compileCondition(expression, this.#metrics);
    this.#clock = clock;
    this.#random = random;
  }

  get state(): BreakerState {
    return this.#advance(this.#clock.now());
  }

  /** Whether the next request may pass. */
  admit(): boolean {
    if (this.#state === "standby") return true;
    const now = this.#clock.now();
    const state = this.#advance(now);
    if (state === "recovering") return this.#random() < (RECOVERED_SHARE * (now - this.#since)) / RECOVERING_MS;
    return state === "standby";
  }

  /**
   * What came of an admitted request.
   * @param status of the answer that the caller got; 502 and 504 count as network errors, whoever made them
   */
  record(status: number, latencyMs: number): void {
    const now = this.#clock.now();
    this.#advance(now);
    this.#metrics.record(now, status, latencyMs);
    if (now - this.#checkedAt < CHECK_EVERY_MS) return;
    this.#checkedAt = now;
    if (this.#state === "tripped" || !this.#condition.holds(now)) return;
    this.#state = "tripped";
    this.#since = now;
    this.#metrics.reset();
  }

  #advance(now: number): BreakerState {
    if (this.#state === "tripped" && now - this.#since >= TRIPPED_MS) {
      this.#state = "recovering";
      // From the end of the ten seconds, not from the first request after: a quiet service recovers too.
      this.#since += TRIPPED_MS;
    }
    if (this.#state === "recovering" && now - this.#since >= RECOVERING_MS) this.#state = "standby";
    return this.#state;
  }
}
