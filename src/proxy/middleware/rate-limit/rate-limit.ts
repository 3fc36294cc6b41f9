/**
 * A token bucket for each caller address. A bucket that is full again is forgotten: a caller without one has a full
 * bucket, so nothing is lost by that. There is no timer: each call looks at the two buckets that have rested longest.
 * Buckets live in parallel arrays, chained from the least to the most recently used, so that a call allocates nothing
 * but the slot of a new caller.
 */
import type { Clock } from "../../../model/clock.ts";

export interface Limit {
  /** Tokens a second. */
  readonly average: number;
  /** Size of the bucket. */
  readonly burst: number;
}

/** Beyond this, a new caller takes the place of the one that has rested longest. */
export const MAX_CALLERS = 65_536;
const FIRST_SLOTS = 64;
const NONE = -1;

export class RateLimit {
  readonly #clock: Clock;
  #average: number;
  #burst: number;
  #maxWaitMs: number;

  readonly #slotOf = new Map<string, number>();
  #callers: string[] = [];
  #tokens = new Float64Array(FIRST_SLOTS);
  #countedAt = new Float64Array(FIRST_SLOTS);
  #newer = new Int32Array(FIRST_SLOTS);
  #older = new Int32Array(FIRST_SLOTS);
  #newest = NONE;
  #oldest = NONE;
  readonly #free: number[] = [];

  constructor(limit: Limit, clock: Clock) {
    this.#clock = clock;
    this.#average = limit.average;
    this.#burst = limit.burst;
    this.#maxWaitMs = 500 / limit.average;
  }

  /** Half the time between two tokens: who would wait longer is refused. */
  get maxWaitMs(): number {
    return this.#maxWaitMs;
  }

  /** Callers whose bucket is not known to be full. */
  get size(): number {
    return this.#slotOf.size;
  }

  /**
   * @returns 0: go now. Up to maxWaitMs: go after so many ms; the token is taken. Negative: refused, and no token is
   * there for as many ms.
   */
  take(caller: string): number {
    const now = this.#clock.now();
    this.#forgetFull(now);
    const slot = this.#slotOf.get(caller) ?? this.#add(caller, now);
    const tokens = this.#tokensAt(slot, now);
    this.#tokens[slot] = tokens;
    this.#countedAt[slot] = now;
    this.#touch(slot);
    if (tokens >= 1) {
      this.#tokens[slot] = tokens - 1;
      return 0;
    }
    const waitMs = ((1 - tokens) * 1000) / this.#average;
    if (waitMs > this.#maxWaitMs) return -waitMs;
    this.#tokens[slot] = tokens - 1;
    return waitMs;
  }

  /** Returns a token that was taken for a request which was refused after that. */
  giveBack(caller: string): void {
    const slot = this.#slotOf.get(caller);
    if (slot === undefined) return;
    this.#tokens[slot] = Math.min(this.#burst, (this.#tokens[slot] as number) + 1);
  }

  /** Callers keep the tokens that they have, up to the new size. */
  change(limit: Limit): void {
    const now = this.#clock.now();
    for (let slot = this.#oldest; slot !== NONE; slot = this.#newer[slot] as number) {
      this.#tokens[slot] = Math.min(limit.burst, this.#tokensAt(slot, now));
      this.#countedAt[slot] = now;
    }
    this.#average = limit.average;
    this.#burst = limit.burst;
    this.#maxWaitMs = 500 / limit.average;
  }

  #tokensAt(slot: number, now: number): number {
    const elapsedMs = Math.max(0, now - (this.#countedAt[slot] as number));
    return Math.min(this.#burst, (this.#tokens[slot] as number) + (elapsedMs * this.#average) / 1000);
  }

  #forgetFull(now: number): void {
    for (let looks = 0; looks < 2; looks++) {
      const slot = this.#oldest;
      if (slot === NONE || this.#tokensAt(slot, now) < this.#burst) return;
      this.#forget(slot);
    }
  }

  #add(caller: string, now: number): number {
    if (this.#slotOf.size >= MAX_CALLERS) this.#forget(this.#oldest);
    const slot = this.#free.pop() ?? this.#slotOf.size;
    if (slot >= this.#tokens.length) this.#resize(this.#tokens.length * 2);
    this.#slotOf.set(caller, slot);
    this.#callers[slot] = caller;
    this.#tokens[slot] = this.#burst;
    this.#countedAt[slot] = now;
    this.#append(slot);
    return slot;
  }

  #forget(slot: number): void {
    this.#unchain(slot);
    this.#slotOf.delete(this.#callers[slot] as string);
    this.#callers[slot] = "";
    if (this.#slotOf.size > 0) {
      this.#free.push(slot);
      return;
    }
    // Nobody left: what a flood of callers took is given back.
    this.#free.length = 0;
    this.#callers = [];
    if (this.#tokens.length > FIRST_SLOTS) this.#resize(FIRST_SLOTS);
  }

  #touch(slot: number): void {
    if (slot === this.#newest) return;
    this.#unchain(slot);
    this.#append(slot);
  }

  #append(slot: number): void {
    this.#older[slot] = this.#newest;
    this.#newer[slot] = NONE;
    if (this.#newest === NONE) this.#oldest = slot;
    else this.#newer[this.#newest] = slot;
    this.#newest = slot;
  }

  #unchain(slot: number): void {
    const older = this.#older[slot] as number;
    const newer = this.#newer[slot] as number;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
  }

  #resize(slots: number): void {
    this.#tokens = resized(this.#tokens, new Float64Array(slots));
    this.#countedAt = resized(this.#countedAt, new Float64Array(slots));
    this.#newer = resized(this.#newer, new Int32Array(slots));
    this.#older = resized(this.#older, new Int32Array(slots));
  }
}

function resized<T extends Float64Array | Int32Array>(from: T, to: T): T {
  to.set(from.length > to.length ? from.subarray(0, to.length) : from);
  return to;
}
