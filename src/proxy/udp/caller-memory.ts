import type { Failure } from "../../model/failures.ts";
import type { EndpointState } from "../router/types.ts";

const NONE: readonly EndpointState[] = [];

/** Why a caller was not served. */
export interface Refusal {
  failure: Failure;
  /** Number of the configuration that refused. */
  generation: number;
  /** Endpoints that could not be reached, not to be tried again while there is another. */
  unreachable: readonly EndpointState[];
  readonly expiresAt: number;
}

/**
 * Callers that were not served a moment ago, by the key of their flow: so that a flood of refused datagrams is cheap
 * and is told once, and so that the datagram after a refused one goes to another endpoint. Bounded: the oldest is
 * forgotten first, which costs its caller nothing but being looked at anew.
 */
export class CallerMemory {
  /** In the order of expiry. */
  readonly #refusals = new Map<string, Refusal>();
  readonly #maxCallers: number;
  readonly #keepMs: number;

  constructor(maxCallers: number, keepMs: number) {
    this.#maxCallers = maxCallers;
    this.#keepMs = keepMs;
  }

  get size(): number {
    return this.#refusals.size;
  }

  get(key: string): Refusal | undefined {
    return this.#refusals.get(key);
  }

  /** @returns whether the caller was not known, or was refused for another reason */
  refused(key: string, failure: Failure, generation: number, now: number): boolean {
    const known = this.#refusals.get(key);
    if (known === undefined) {
      this.#add(key, { failure, generation, unreachable: NONE, expiresAt: now + this.#keepMs });
      return true;
    }
    const isNews = known.failure !== failure;
    known.failure = failure;
    known.generation = generation;
    return isNews;
  }

  unreachable(key: string, failure: Failure, endpoint: EndpointState, now: number): void {
    const unreachable = (this.#refusals.get(key)?.unreachable ?? NONE).filter((each) => !each.removed);
    this.#refusals.delete(key);
    if (!unreachable.includes(endpoint)) unreachable.push(endpoint);
    this.#add(key, { failure, generation: -1, unreachable, expiresAt: now + this.#keepMs });
  }

  expire(now: number): void {
    for (const [key, { expiresAt }] of this.#refusals) {
      if (expiresAt > now) return;
      this.#refusals.delete(key);
    }
  }

  clear(): void {
    this.#refusals.clear();
  }

  #add(key: string, refusal: Refusal): void {
    if (this.#refusals.size >= this.#maxCallers) this.#refusals.delete(this.#refusals.keys().next().value as string);
    this.#refusals.set(key, refusal);
  }
}
