/**
 * How many connections a proxy has to a service port's endpoints, and who waits for one. It opens and closes nothing:
 * who does says so, and whoever waits has its turn when something may have become free. One turn may find nothing (it is
 * the waiter that knows which connection it can use), and then that waiter stays the first.
 */
export interface ConnectionWaiter {
  /** It has left the queue. It takes what it finds, or enqueues again as `first`. */
  onTurn(): void;
}

export const DEFAULT_MAX_PENDING = 1_024;

export class ConnectionLimit {
  #max = Number.POSITIVE_INFINITY;
  #maxPending = DEFAULT_MAX_PENDING;
  #open = 0;
  readonly #waiting: ConnectionWaiter[] = [];
  #giving = false;

  /** Connections that are open or being opened. */
  get open(): number {
    return this.#open;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** No other may be opened. */
  get full(): boolean {
    return this.#open >= this.#max;
  }

  /** What is open stays, and who waits goes on waiting. */
  change(limits: { readonly maxConnections: number; readonly maxPending?: number } | undefined): void {
    this.#max = limits?.maxConnections ?? Number.POSITIVE_INFINITY;
    this.#maxPending = limits?.maxPending ?? DEFAULT_MAX_PENDING;
  }

  opened(): void {
    this.#open++;
  }

  closed(): void {
    this.#open--;
    this.freed();
  }

  /** A connection may have become free for others. */
  freed(): void {
    // A turn may free something itself, by failing: the loop below sees that.
    if (this.#giving || this.#waiting.length === 0) return;
    this.#giving = true;
    for (let waiter = this.#waiting.shift(); waiter !== undefined; waiter = this.#waiting.shift()) {
      waiter.onTurn();
      if (this.#waiting[0] === waiter) break;
    }
    this.#giving = false;
  }

  /** @returns false where as many wait as may. @param first it had its turn, and found nothing */
  enqueue(waiter: ConnectionWaiter, first: boolean): boolean {
    if (first) this.#waiting.unshift(waiter);
    else if (this.#waiting.length < this.#maxPending) this.#waiting.push(waiter);
    else return false;
    return true;
  }

  leave(waiter: ConnectionWaiter): void {
    const at = this.#waiting.indexOf(waiter);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}
