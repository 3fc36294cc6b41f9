/**
 * Passive ejection: an endpoint that failed so many times in a row is left out for a while, the longer the more often.
 * When it comes back, its first failure ejects it again, and its first success clears it.
 *
 * Never more than a share of the endpoints is left out, and never all: where many fail at once, it is rather what is
 * behind them that failed, and the others could not bear their load.
 */
import type { Ejection as Settings } from "../../config/mesh-config.ts";
import type { Clock } from "../../model/clock.ts";
import { FAILURES, type Failure } from "../../model/failures.ts";

export interface Ejectable {
  readonly removed: boolean;
  ejected: boolean;
  /** In a row, up to now. */
  failures: number;
  /** In a row, without a success between. */
  ejections: number;
  ejectedUntil: number;
}

const DEFAULT_FAILURES = 5;
const DEFAULT_CEILING_PERCENT = 50;
const FIRST_EJECTION_MS = 10_000;
const LONGEST_EJECTION_MS = 60_000;

export class Ejection<T extends Ejectable> {
  readonly #clock: Clock;
  readonly #onEject: (member: T, ms: number) => void;
  #members: readonly T[] = [];
  /** In the order in which they were ejected. */
  readonly #ejected: T[] = [];
  #total = 0;
  /** 0: off. */
  #threshold = DEFAULT_FAILURES;
  #ceilingPercent = DEFAULT_CEILING_PERCENT;
  /** Not only connections that could not be made. */
  #countsAll = false;

  constructor(clock: Clock, onEject: (member: T, ms: number) => void = () => {}) {
    this.#clock = clock;
    this.#onEject = onEject;
  }

  get count(): number {
    return this.#ejected.length;
  }

  /** Ejections since it was made. */
  get total(): number {
    return this.#total;
  }

  get ceiling(): number {
    const { length } = this.#members;
    return Math.min(Math.floor((length * this.#ceilingPercent) / 100), Math.max(length - 1, 0));
  }

  change(members: readonly T[], settings: Settings | undefined): void {
    this.#members = members;
    this.#threshold = settings?.failures ?? DEFAULT_FAILURES;
    this.#countsAll = settings?.failures !== undefined;
    this.#ceilingPercent = settings?.ceilingPercent ?? DEFAULT_CEILING_PERCENT;
    for (const member of [...this.#ejected]) if (member.removed) this.#readmit(member);
    while (this.count > (this.#threshold === 0 ? 0 : this.ceiling)) this.#readmit(this.#ejected[0] as T);
  }

  /** It answered. @param status of HTTP, or 0. @returns whether that is a failure */
  answered(member: T, status: number): boolean {
    const failed = this.#countsAll && status >= 502 && status <= 504;
    if (failed) this.#count(member);
    else if (member.failures > 0 && !member.ejected) member.failures = member.ejections = 0;
    return failed;
  }

  failed(member: T, failure: Failure): void {
    const { fault, retrySafe } = FAILURES[failure];
    // Where nothing was sent: the connection could not be made.
    if (fault === "upstream" && (retrySafe || this.#countsAll)) this.#count(member);
  }

  /** Lets those back in whose time is over. */
  readmit(now: number): void {
    for (let at = this.#ejected.length - 1; at >= 0; at--) {
      const member = this.#ejected[at] as T;
      if (member.ejectedUntil <= now) this.#readmit(member);
    }
  }

  #count(member: T): void {
    if (this.#threshold === 0 || member.ejected || member.removed) return;
    member.failures++;
    if (member.failures < this.#threshold || this.count >= this.ceiling) return;
    member.ejections++;
    member.ejected = true;
    const ms = Math.min(FIRST_EJECTION_MS * 2 ** (member.ejections - 1), LONGEST_EJECTION_MS);
    member.ejectedUntil = this.#clock.now() + ms;
    this.#ejected.push(member);
    this.#total++;
    this.#onEject(member, ms);
  }

  #readmit(member: T): void {
    this.#ejected.splice(this.#ejected.indexOf(member), 1);
    member.ejected = false;
    member.failures = Math.max(this.#threshold - 1, 0);
  }
}
