import type { Clock, Timer } from "../model/clock.ts";
import type { OpenTap, TapSource } from "../proxy/tap/taps.ts";
import type { TapFilter } from "../tap/tap-filter.ts";
import type { FromWorker } from "./worker-messages.ts";

/** Calls go to the parent together, this often. */
const SEND_MS = 50;
/** At a time; what comes beyond is lost. The parent shows no more than its taps let through. */
const MAX_LINES = 1_000;

interface WorkerTap {
  readonly open: OpenTap;
  lines: string[];
  lost: number;
}

/** The taps of the parent, in a worker. */
export class WorkerTaps {
  readonly #source: TapSource;
  readonly #clock: Clock;
  readonly #send: (message: FromWorker) => void;
  readonly #taps = new Map<number, WorkerTap>();
  #timer: Timer | undefined;

  constructor(source: TapSource, clock: Clock, send: (message: FromWorker) => void) {
    this.#source = source;
    this.#clock = clock;
    this.#send = send;
  }

  open(tap: number, filter: TapFilter): void {
    const reader = {
      onCall: (line: string) => {
        if (opened.lines.length < MAX_LINES) opened.lines.push(line);
        else opened.lost++;
        this.#sendLater();
      },
      onLost: (count: number) => {
        opened.lost += count;
        this.#sendLater();
      },
    };
    const opened: WorkerTap = { open: this.#source.openTap(filter, reader), lines: [], lost: 0 };
    this.#taps.set(tap, opened);
  }

  close(tap: number): void {
    this.#taps.get(tap)?.open.close();
    this.#taps.delete(tap);
  }

  #sendLater(): void {
    this.#timer ??= this.#clock.after(SEND_MS, () => this.#sendAll());
  }

  #sendAll(): void {
    this.#timer = undefined;
    for (const [tap, { lines, lost }] of this.#taps)
      if (lines.length > 0 || lost > 0) this.#send({ type: "tapped", tap, lines, lost });
    for (const opened of this.#taps.values()) {
      opened.lines = [];
      opened.lost = 0;
    }
  }
}
