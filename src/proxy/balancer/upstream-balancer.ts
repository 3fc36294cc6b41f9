/**
 * Which endpoint of a service port gets the next call: the algorithm's choice among those that are left, where one that is
 * warming up gives some of its turns to others.
 */
import type { Balancing } from "../../config/mesh-config.ts";
import type { Clock, Random } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import { type Algorithm, isUsable } from "./candidate.ts";
import { type Ejectable, Ejection } from "./ejection.ts";
import { Nearness, type Place, type Placed } from "./nearness.ts";
import { type Measured, PeakEwma } from "./peak-ewma.ts";
import { warmShare } from "./slow-start.ts";

export interface Member extends Measured, Ejectable, Placed {
  readonly removed: boolean;
  ejected: boolean;
}

const NONE: readonly never[] = [];

export interface BalancerContext {
  readonly clock: Clock;
  readonly random: Random;
}

export class UpstreamBalancer<T extends Member> {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly ejection: Ejection<T>;
  #algorithm: Algorithm<T>;
  readonly #nearness = new Nearness<T>();
  #slowStartMs = 0;
  #picks = 0;
  /** Filled and read within one step. */
  readonly #left: T[] = [];

  constructor({ clock, random }: BalancerContext, algorithm: Algorithm<T>, ejection = new Ejection<T>(clock)) {
    this.#clock = clock;
    this.#random = random;
    this.#algorithm = algorithm;
    this.ejection = ejection;
  }

  change(algorithm: Algorithm<T>, balancing: Balancing | undefined, place: Place): void {
    this.#algorithm = algorithm;
    this.#slowStartMs = balancing?.slowStartMs ?? 0;
    this.#nearness.change(balancing?.prefer, place);
  }

  /** Whether it wants to know how long answers take. */
  get measures(): boolean {
    return this.#algorithm instanceof PeakEwma;
  }

  /** @param status of HTTP, or 0; @param latencyMs to the answer's head, where it `measures` */
  answered(member: T, status: number, latencyMs: number): void {
    const failed = this.ejection.answered(member, status);
    if (!(this.#algorithm instanceof PeakEwma)) return;
    if (failed) this.#algorithm.failed(member);
    else this.#algorithm.answered(member, latencyMs);
  }

  failed(member: T, failure: Failure): void {
    this.ejection.failed(member, failure);
    if (this.#algorithm instanceof PeakEwma) this.#algorithm.failed(member);
  }

  /** It is new among others, which serve already. */
  warmUp(member: T): void {
    if (this.#slowStartMs > 0) member.warmSince = this.#clock.now();
  }

  /**
   * @param tried not to be picked while another is left, near or not; neither are ejected and removed ones
   * @returns undefined only for an empty list
   */
  pick(candidates: readonly T[], tried: readonly T[] = NONE): T | undefined {
    if (candidates.length === 0) return undefined;
    if (this.ejection.count > 0) this.ejection.readmit(this.#clock.now());
    const near = this.#nearness.nearOf(candidates);
    let picked = this.#algorithm.choose(near);
    if (!isLeft(picked, tried)) picked = this.#chooseLeft(near, tried);
    // Better far away than one that failed.
    if (near !== candidates && !isLeft(picked, tried)) picked = this.#chooseLeft(candidates, tried);
    if (picked.warmSince >= 0 && this.#yields(picked)) picked = this.#chooseBesides(picked, near, tried);
    picked.lastPick = ++this.#picks;
    return picked;
  }

  /** Rare: a retry, or endpoints that went or were ejected. Better one that fails than none. */
  #chooseLeft(candidates: readonly T[], tried: readonly T[]): T {
    const left = this.#left;
    for (const each of candidates) if (isLeft(each, tried)) left.push(each);
    if (left.length === 0) for (const each of candidates) if (!each.removed && !tried.includes(each)) left.push(each);
    if (left.length === 0) for (const each of candidates) if (!each.removed) left.push(each);
    const picked = this.#algorithm.choose(left.length === 0 ? candidates : left);
    left.length = 0;
    return picked;
  }

  /** Whether an endpoint that is warming up gives this turn to another. */
  #yields(picked: T): boolean {
    const share = warmShare(this.#clock.now() - picked.warmSince, this.#slowStartMs);
    if (share >= 1) picked.warmSince = -1;
    return share < 1 && this.#random() >= share;
  }

  #chooseBesides(picked: T, candidates: readonly T[], tried: readonly T[]): T {
    const left = this.#left;
    for (const each of candidates) if (each !== picked && isLeft(each, tried)) left.push(each);
    const other = left.length === 0 ? picked : this.#algorithm.choose(left);
    left.length = 0;
    return other;
  }
}

function isLeft<T extends Member>(candidate: T, tried: readonly T[]): boolean {
  return isUsable(candidate) && !tried.includes(candidate);
}
