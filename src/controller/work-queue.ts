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

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  readonly #again = new Set<string>();
  readonly #backoffs = new Map<string, { backoff: Backoff; timer: Timer | undefined }>();
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Keys waiting, running or to be tried again. */
  get size(): number {
    return this.#waiting.size + this.#running.size + [...this.#backoffs.values()].filter(({ timer }) => timer).length;
  }

  add(key: string): void {
    if (this.#closed) return;
    // Something changed: what failed before may do now.
    const failed = this.#backoffs.get(key);
    failed?.timer?.cancel();
    if (failed !== undefined) failed.timer = undefined;
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
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
      const [key] = this.#waiting;
      if (key === undefined) return;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#work(key);
    }
  }

  async #work(key: string): Promise<void> {
    try {
      await this.#options.work(key);
      this.#backoffs.delete(key);
    } catch (error) {
      this.#options.onError(key, error as Error);
      this.#later(key);
    }
    this.#running.delete(key);
    if (this.#again.delete(key)) this.add(key);
    this.#next();
    if (this.#running.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #later(key: string): void {
    if (this.#closed) return;
    const entry = this.#backoffs.get(key) ?? { backoff: new Backoff(this.#options.random), timer: undefined };
    this.#backoffs.set(key, entry);
    entry.timer?.cancel();
    entry.timer = this.#options.clock.after(entry.backoff.next(), () => {
      entry.timer = undefined;
      this.add(key);
    });
  }
}
