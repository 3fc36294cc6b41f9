import type { Clock, Timer } from "../clock.ts";

/** A clock that stands until it is advanced; due timers fire in order, each at its own time. */
export class ManualClock implements Clock {
  #now = 1_000_000;
  #timers: { at: number; fire: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now;
  }

  after(delayMs: number, fire: () => void): Timer {
    const timer = { at: this.#now + delayMs, fire };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((each) => each !== timer);
      },
    };
  }

  /** Timers that are yet to fire. */
  get pending(): number {
    return this.#timers.length;
  }

  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#now = Math.max(this.#now, due.at);
      due.fire();
    }
    this.#now = until;
  }

  /** Moves on by a step in each turn of the event loop until the work is over. Resolves, or rejects, as that does. */
  async advanceUntil<Result>(work: Promise<Result>, stepMs: number, eachTurn: () => void = () => {}): Promise<Result> {
    let over = false;
    const end = () => {
      over = true;
    };
    work.then(end, end);
    while (!over) {
      this.advance(stepMs);
      eachTurn();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return work;
  }
}
