import type { Metric } from "./exposition.ts";

/** Upper bounds in seconds: what a process does now and then, not for each call. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** How long something took, each time that it was done. */
export class DurationHistogram {
  readonly #counts = new Array<number>(BOUNDS.length + 1).fill(0);
  #sum = 0;

  note(ms: number): void {
    const seconds = ms / 1000;
    const index = BOUNDS.findIndex((bound) => seconds <= bound);
    const at = index < 0 ? BOUNDS.length : index;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += seconds;
  }

  metric(name: string, help: string): Metric {
    const sample = { labels: {}, counts: [...this.#counts], sum: this.#sum };
    return { type: "histogram", name, help, bounds: BOUNDS, samples: [sample] };
  }
}
