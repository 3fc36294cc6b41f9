/** What a service port's retry-attempts, retry-on and retry-budget give. Whether it is safe at all, retry.ts says. */
import type { Retry } from "../../../config/mesh-config.ts";
import type { Failure } from "../../../model/failures.ts";
import { DEFAULT_BUDGET_PERCENT, RetryBudget } from "./retry-budget.ts";

type RetryCondition = NonNullable<Retry["on"]>[number];

const DEFAULT_CONDITIONS: RetryCondition[] = ["connectFailure", "reset", "timeout"];
const FIRST_STATUS = 400;
const END_STATUS = 600;

export class RetryPolicy {
  /** Tries in all, at least 1. */
  attempts = 1;
  /** Lives on through changes of the rest. */
  readonly budget = new RetryBudget();
  #onConnectFailure = true;
  #onReset = true;
  #onTimeout = true;
  readonly #onStatus = new Uint8Array(END_STATUS - FIRST_STATUS);

  constructor(config: Retry) {
    this.change(config);
  }

  change({ attempts, on = DEFAULT_CONDITIONS, statuses = [], budgetPercent = DEFAULT_BUDGET_PERCENT }: Retry): void {
    this.attempts = attempts;
    this.budget.percent = budgetPercent;
    this.#onConnectFailure = on.includes("connectFailure");
    this.#onReset = on.includes("reset");
    this.#onTimeout = on.includes("timeout");
    this.#onStatus.fill(0);
    for (const [from, to] of statuses) this.#onStatus.fill(1, from - FIRST_STATUS, to - FIRST_STATUS);
  }

  /** @param status of an answer, or 0 where `failure` says what became of the try */
  covers(failure: Failure, status: number): boolean {
    if (status !== 0) return this.#onStatus[status - FIRST_STATUS] === 1;
    switch (failure) {
      case "ConnectRefused":
      case "ConnectTimeout":
      case "UpstreamTls":
        return this.#onConnectFailure;
      case "ResponseTimeout":
        return this.#onTimeout;
      default:
        return this.#onReset;
    }
  }
}
