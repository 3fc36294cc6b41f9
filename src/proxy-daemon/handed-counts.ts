/**
 * What a proxy counts that another replaces. The next one gets all of it with the ports, and adds it to its own: to who reads
 * the counters, they go on. What the one before counts from then on it tells as a worker does (decision 7): each second, and
 * at its end.
 */
import { z } from "zod";
import type { Clock, Timer } from "../model/clock.ts";
import { BREAKER_STATES, changesOfStanding, type ProxyStanding } from "../proxy/traffic/proxy-standing.ts";
import { ReportSchema } from "../traffic/report-schema.ts";
import { differenceOfTraffic, NO_COUNTS, sumOfCounts, type TrafficReport } from "../traffic/traffic-report.ts";

export interface HandedCounts {
  /** Passed since what was told before. */
  readonly traffic: TrafficReport;
  /** Now; of service ports, those that stand otherwise than what was told before. */
  readonly standing: ProxyStanding;
}

/** To whom it is told. */
export interface CountsListener {
  /** What was told last is not heard yet. */
  readonly isBehind: boolean;
  tell(counts: HandedCounts): void;
}

/** How often it is told: a proxy that is killed while it drains takes no more than that with it. */
const TELL_MS = 1_000;
/** Of one piece, some 50 KB: to write or read it takes about a millisecond, and calls need this thread. */
const PIECE_EDGES = 100;
const PIECE_SERVICE_PORTS = 300;

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

/** Each of which may be told by itself, one after the other. At least one. */
export function* piecesOf({ traffic, standing }: HandedCounts): Generator<HandedCounts> {
  const { edges } = traffic;
  const servicePorts = Object.entries(standing.servicePorts);
  let retired = traffic.retired;
  for (let edge = 0, port = 0; edge === 0 || edge < edges.length || port < servicePorts.length; ) {
    const some = Object.fromEntries(servicePorts.slice(port, port + PIECE_SERVICE_PORTS));
    yield {
      traffic: { edges: edges.slice(edge, edge + PIECE_EDGES), retired },
      standing: { ...standing, servicePorts: some },
    };
    retired = NO_COUNTS;
    edge += PIECE_EDGES;
    port += PIECE_SERVICE_PORTS;
  }
}

/** @returns undefined where there are none */
export function wholeOf(pieces: readonly HandedCounts[]): HandedCounts | undefined {
  const last = pieces.at(-1);
  if (last === undefined) return undefined;
  const edges = pieces.flatMap(({ traffic }) => traffic.edges);
  const retired = pieces.map(({ traffic }) => traffic.retired).reduce(sumOfCounts);
  const servicePorts = {};
  for (const { standing } of pieces) Object.assign(servicePorts, standing.servicePorts);
  return { traffic: { edges, retired }, standing: { ...last.standing, servicePorts } };
}

export interface CountsTellerOptions {
  readonly clock: Clock;
  /** All since the start. */
  read(): Promise<HandedCounts>;
}

export class CountsTeller {
  readonly #options: CountsTellerOptions;
  #told: HandedCounts | undefined;
  #taken: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;
  #closed = false;

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

  /** Each second from now on; to one that is behind later, and then all at once. */
  tellTo(listener: CountsListener): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(TELL_MS, () => {
      this.tellTo(listener);
      if (!listener.isBehind) void this.take().then((counts) => listener.tell(counts));
    });
  }

  /** Tells nobody any more. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #take(): Promise<HandedCounts> {
    const [now, told] = [await this.#options.read(), this.#told];
    this.#told = now;
    if (told === undefined) return now;
    return {
      traffic: differenceOfTraffic(now.traffic, told.traffic),
      standing: changesOfStanding(now.standing, told.standing),
    };
  }
}
