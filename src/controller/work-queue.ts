/** Keys to be worked on: each is worked on once at a time, again if it was added meanwhile, later if it failed. */
import { Backoff } from "../kube/backoff.ts";
import type { Clock, Random, Timer } from "../model/clock.ts";

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Keys worked on at the same time. */
  readonly concurrency: number;
  /** @throws Error to be tried again after a back-off */
  work(key: string): Promise<void>;
  onError(key: string, error: Error): void;
}

interface Failed {
  readonly backoff: Backoff;
  wanted: string;
  timer: Timer | undefined;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** Each with what is wanted. */
  readonly #waiting = new Map<string, string>();
  readonly #running = new Set<string>();
  readonly #again = new Map<string, string>();
  readonly #backoffs = new Map<string, Failed>();
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Keys waiting, running or to be tried again. */
  get size(): number {
    return this.#waiting.size + this.#running.size + [...this.#backoffs.values()].filter(({ timer }) => timer).length;
  }

  /** @param wanted what the work is to bring about: what failed waits for its back-off, unless that has changed */
  add(key: string, wanted = ""): void {
    if (this.#closed) return;
    const failed = this.#backoffs.get(key);
    if (failed?.timer !== undefined) {
      if (failed.wanted === wanted) return;
      failed.timer.cancel();
      failed.timer = undefined;
    }
    if (this.#running.has(key)) this.#again.set(key, wanted);
    else this.#waiting.set(key, wanted);
    this.#next();
  }

  /** Resolves when what is running has ended; nothing starts any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    for (const { timer } of this.#backoffs.values()) timer?.cancel();
    this.#backoffs.clear();
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #next(): void {
    while (this.#running.size < this.#options.concurrency) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      const [key, wanted] = next;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#work(key, wanted);
    }
  }

  async #work(key: string, wanted: string): Promise<void> {
    try {
      await this.#options.work(key);
      this.#backoffs.delete(key);
    } catch (error) {
      if (!this.#closed) {
        this.#options.onError(key, error as Error);
        this.#later(key, wanted);
      }
    }
    this.#running.delete(key);
    const again = this.#again.get(key);
    this.#again.delete(key);
    if (again !== undefined) this.add(key, again);
    this.#next();
    if (this.#running.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #later(key: string, wanted: string): void {
    const failed = this.#backoffs.get(key) ?? { backoff: new Backoff(this.#options.random), wanted, timer: undefined };
    this.#backoffs.set(key, failed);
    failed.wanted = wanted;
    failed.timer = this.#options.clock.after(failed.backoff.next(), () => {
      failed.timer = undefined;
      this.add(key, wanted);
    });
  }
}
