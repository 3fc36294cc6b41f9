/**
 * What has passed in the last half minute, for those who ask for that and keep nothing themselves. It is kept where it is
 * counted: what another place saw of a sum over several proxies would jump whenever one of them did not answer.
 */
import type { Clock, Timer } from "../model/clock.ts";
import { differenceOfTraffic, NO_TRAFFIC, sumOfTraffic, type TrafficReport } from "./traffic-report.ts";

/** Of every window, also of one that has just begun: before it nothing was counted. */
export const WINDOW_MS = 30_000;
const STEPS = 3;
const STEP_MS = WINDOW_MS / STEPS;

export interface TrafficWindowOptions {
  readonly clock: Clock;
  /** What has passed since the counters began. */
  read(): Promise<TrafficReport>;
  /** What they had when this is made; absent: nothing. */
  readonly before?: TrafficReport;
}

export class TrafficWindow {
  readonly #options: TrafficWindowOptions;
  #last: TrafficReport;
  /** What passed in each step, the newest last. */
  #steps: TrafficReport[] = [];
  /** Of the steps; absent: nobody has asked since the last one. */
  #sum: TrafficReport | undefined;
  #timer: Timer;

  constructor(options: TrafficWindowOptions) {
    this.#options = options;
    this.#last = options.before ?? NO_TRAFFIC;
    this.#timer = this.#later();
  }

  /** Of the last whole steps: at most a step behind. */
  report(): TrafficReport {
    this.#sum ??= sumOfTraffic(this.#steps);
    return this.#sum;
  }

  close(): void {
    this.#timer.cancel();
  }

  #later(): Timer {
    return this.#options.clock.after(STEP_MS, () => {
      // Before it is read, so that a slow reading does not make the steps longer.
      this.#timer = this.#later();
      void this.#step();
    });
  }

  async #step(): Promise<void> {
    const now = await this.#options.read();
    const passed = differenceOfTraffic(now, this.#last);
    this.#last = now;
    this.#steps = [...this.#steps, passed].slice(-STEPS);
    this.#sum = undefined;
  }
}
