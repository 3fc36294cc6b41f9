/**
 * What a proxy counts that another replaces. The next one gets all of it with the ports, and adds it to its own: to who reads
 * the counters, they go on. What the one before counts from then on it tells as a worker does (decision 7): each second, and
 * at its end.
 */
import { z } from "zod";
import type { Clock, Timer } from "../model/clock.ts";
import { BREAKER_STATES, type ProxyStanding } from "../proxy/traffic/proxy-standing.ts";
import { ReportSchema } from "../traffic/report-schema.ts";
import { differenceOfTraffic, type TrafficReport } from "../traffic/traffic-report.ts";

export interface HandedCounts {
  /** Passed since what was told before. */
  readonly traffic: TrafficReport;
  /** Now. */
  readonly standing: ProxyStanding;
}

/** How often it is told: a proxy that is killed while it drains takes no more than that with it. */
const TELL_MS = 1_000;

const CountsSchema: z.ZodType<HandedCounts> = z.object({
  traffic: ReportSchema,
  standing: z.object({
    connections: z.number(),
    upstreamConnections: z.number(),
    tcpFlows: z.number(),
    udpFlows: z.number(),
    servicePorts: z.record(
      z.string(),
      z.object({
        // JSON leaves out what is undefined.
        breaker: z
          .enum(BREAKER_STATES)
          .optional()
          .transform((state) => state),
        connections: z.number(),
        waiting: z.number(),
        ejected: z.number(),
        ejections: z.number(),
        retriesRefused: z.number(),
      }),
    ),
  }),
});

/** @returns undefined where it is something else, as of another version of the program */
export function readCounts(text: string): HandedCounts | undefined {
  try {
    return CountsSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export interface CountsTellerOptions {
  readonly clock: Clock;
  /** All since the start. */
  read(): Promise<HandedCounts>;
}

export class CountsTeller {
  readonly #options: CountsTellerOptions;
  #told: TrafficReport | undefined;
  #taken: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;

  constructor(options: CountsTellerOptions) {
    this.#options = options;
  }

  /** What has passed since it was taken last; the first time, since the start. */
  take(): Promise<HandedCounts> {
    // One after the other: of two readings at once, the older must not be subtracted from.
    const taken = this.#taken.then(() => this.#take());
    this.#taken = taken;
    return taken;
  }

  /** Each second from now on. */
  tellTo(tell: (counts: HandedCounts) => void): void {
    this.#timer = this.#options.clock.after(TELL_MS, () => {
      this.tellTo(tell);
      void this.take().then(tell);
    });
  }

  /** Tells no more. */
  close(): void {
    this.#timer?.cancel();
  }

  async #take(): Promise<HandedCounts> {
    const { traffic, standing } = await this.#options.read();
    const passed = this.#told === undefined ? traffic : differenceOfTraffic(traffic, this.#told);
    this.#told = traffic;
    return { traffic: passed, standing };
  }
}
