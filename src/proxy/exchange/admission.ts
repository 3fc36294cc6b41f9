/** Rate limits and breakers of the service ports that a call passes, in their order (design: limit, then breaker). */
import type { Failure } from "../../model/failures.ts";
import type { ServicePortState } from "../router/types.ts";

/** What became of a call; owned by the exchange and reused. */
export interface Admission {
  /** "" to go on. */
  failure: Failure | "";
  /** How long a limiter holds the call back before it may go on. */
  waitMs: number;
  /** Of a call over its limit: when to come back. */
  retryAfterSeconds: number;
}

export function newAdmission(): Admission {
  return { failure: "", waitMs: 0, retryAfterSeconds: 0 };
}

export function admit(path: readonly ServicePortState[], callerAddress: string, into: Admission): void {
  into.failure = "";
  into.waitMs = 0;
  into.retryAfterSeconds = 0;
  for (let index = 0; index < path.length; index++) {
    const { rateLimit, breaker } = path[index] as ServicePortState;
    if (rateLimit !== undefined) {
      const delay = rateLimit.take(callerAddress);
      if (delay < 0) {
        into.failure = "RateLimited";
        into.retryAfterSeconds = Math.ceil(-delay / 1000);
        giveBack(path, callerAddress, index);
        return;
      }
      if (delay > into.waitMs) into.waitMs = delay;
    }
    if (breaker !== undefined && !breaker.admit()) {
      into.failure = "BreakerOpen";
      giveBack(path, callerAddress, index + 1);
      return;
    }
  }
}

/** What came of an admitted call, for the breakers that it passed. @param status as the caller got it */
export function recordOutcome(path: readonly ServicePortState[], status: number, durationMs: number): void {
  for (let index = 0; index < path.length; index++) path[index]?.breaker?.record(status, durationMs);
}

/** What is refused costs no token, whoever refused it. */
function giveBack(path: readonly ServicePortState[], callerAddress: string, count: number): void {
  for (let index = 0; index < count; index++) path[index]?.rateLimit?.giveBack(callerAddress);
}
