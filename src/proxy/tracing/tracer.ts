import type { Clock, Random } from "../../model/clock.ts";
import { Propagation, type Propagator } from "./propagation.ts";
import { TraceRate } from "./sampling.ts";
import type { PendingSpans } from "./span.ts";
import { TraceIds } from "./trace-ids.ts";

export interface TracingOptions {
  /** Share of the traces that begin here that are recorded, 0 to 1. With 0 none begins. */
  readonly ratio: number;
  /** Traces that are recorded a second at most, whoever began them; 0: no bound. */
  readonly perSecond: number;
  /** At least one. The first is the form of traces that begin here. */
  readonly propagators: readonly Propagator[];
  /** Takes the spans of an exchange that has ended. It must not block, nor throw. */
  readonly onRecorded: (spans: PendingSpans) => void;
}

/** What the traces of a thread share. */
export class Tracer {
  readonly clock: Clock;
  readonly ratio: number;
  readonly rate: TraceRate;
  readonly propagation: Propagation;
  readonly ids: TraceIds;
  readonly onRecorded: (spans: PendingSpans) => void;

  constructor({ ratio, perSecond, propagators, onRecorded }: TracingOptions, clock: Clock, random: Random) {
    this.clock = clock;
    this.ratio = ratio;
    this.rate = new TraceRate(perSecond, clock.now());
    this.propagation = new Propagation(propagators);
    this.ids = new TraceIds(random);
    this.onRecorded = onRecorded;
  }
}
