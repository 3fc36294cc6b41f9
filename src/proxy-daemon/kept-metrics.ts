/**
 * What a proxy tells Prometheus, made at most once a second in each format: every Pod may ask for it, as often as it likes,
 * and making it takes time from the thread that carries calls.
 */
import type { Clock } from "../model/clock.ts";
import { letOthersRun } from "../model/let-others-run.ts";
import { acceptsOpenMetrics, type Exposition, exposeInSlices, type Metric } from "../telemetry/exposition.ts";

const KEEP_MS = 1_000;

export interface KeptMetricsOptions {
  readonly clock: Pick<Clock, "now">;
  /** As they are now. */
  metrics(): Promise<Iterable<Metric>>;
}

interface Kept {
  readonly answer: Promise<Exposition<Buffer>>;
  /** Infinite while it is being made. */
  until: number;
}

export class KeptMetrics {
  readonly #options: KeptMetricsOptions;
  /** By whether it is OpenMetrics. */
  readonly #kept = new Map<boolean, Kept>();

  constructor(options: KeptMetricsOptions) {
    this.#options = options;
  }

  /** @param accept the request's header of that name */
  answer(accept: string): Promise<Exposition<Buffer>> {
    const open = acceptsOpenMetrics(accept);
    const known = this.#kept.get(open);
    if (known !== undefined && this.#options.clock.now() < known.until) return known.answer;
    const kept: Kept = { answer: this.#make(accept), until: Number.POSITIVE_INFINITY };
    this.#kept.set(open, kept);
    const keep = (forMs: number) => () => {
      kept.until = this.#options.clock.now() + forMs;
    };
    // One that failed is made anew for who asks next.
    kept.answer.then(keep(KEEP_MS), keep(0));
    return kept.answer;
  }

  async #make(accept: string): Promise<Exposition<Buffer>> {
    return exposeInSlices(await this.#options.metrics(), accept, letOthersRun);
  }
}
