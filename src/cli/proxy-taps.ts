import type { Clock } from "../model/clock.ts";
import { pause } from "../model/pause.ts";
import type { Log } from "../telemetry/log.ts";

/** Before a proxy is asked again that broke off. */
const AGAIN_MS = 1_000;

export interface ProxyTapsOptions {
  readonly namespace: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Shows the calls of one, until that ends or the signal aborts. @throws Error where it cannot */
  read(pod: string, signal: AbortSignal): Promise<void>;
}

/** A tap at each proxy of a cluster, as proxies come and go. */
export class ProxyTaps {
  readonly #options: ProxyTapsOptions;
  readonly #taps = new Map<string, AbortController>();
  #said = "";

  constructor(options: ProxyTapsOptions) {
    this.#options = options;
  }

  /** @param pods names of all that run */
  update(pods: ReadonlySet<string>): void {
    const { signal, log, namespace } = this.#options;
    for (const [pod, controller] of this.#taps) {
      if (pods.has(pod)) continue;
      controller.abort();
      this.#taps.delete(pod);
    }
    for (const pod of pods) {
      if (this.#taps.has(pod)) continue;
      const controller = new AbortController();
      this.#taps.set(pod, controller);
      void this.#follow(pod, AbortSignal.any([signal, controller.signal]));
    }
    const news =
      pods.size === 0 ? "there is no proxy" : `looking at ${pods.size === 1 ? "one proxy" : `${pods.size} proxies`}`;
    if (news !== this.#said) log.info(`${news} in namespace ${namespace}`);
    this.#said = news;
  }

  async #follow(pod: string, signal: AbortSignal): Promise<void> {
    const { clock, log, read } = this.#options;
    let told = "";
    while (!signal.aborted) {
      try {
        await read(pod, signal);
        told = "";
      } catch (error) {
        const { message } = error as Error;
        if (message !== told) log.warn(`${pod} cannot be looked at, it is tried again: ${message}`);
        told = message;
      }
      await pause(clock, AGAIN_MS, signal);
    }
  }
}
