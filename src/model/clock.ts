/** A timer that can be taken back. Cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/** Time as a dependency, so that tests advance it by hand. */
export interface Clock {
  /** Monotonic milliseconds; only differences mean something. */
  now(): number;
  /** Milliseconds since the epoch. */
  wall(): number;
  /** Runs `fire` once after `delayMs`; does not keep the process alive. */
  after(delayMs: number, fire: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** A number in [0, 1). */
export type Random = () => number;
