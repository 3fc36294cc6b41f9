/** A tap as an answer without end: JSON lines, or events for browsers (text/event-stream). */
import type { Clock, Timer } from "../../model/clock.ts";
import type { TapFilter } from "../../tap/tap-filter.ts";
import { RateGate } from "./rate-gate.ts";
import type { OpenTap, TapReader } from "./taps.ts";

export type TapForm = "lines" | "events";

/** Where it goes. */
export interface TapOutput {
  /** @returns false where it takes nothing now: nothing was written */
  write(text: string): boolean;
  end(): void;
}

/** How often it is said how many calls were left out. */
const TELL_LOST_MS = 1_000;

export class TapStream implements TapReader {
  readonly #form: TapForm;
  readonly #clock: Clock;
  readonly #output: TapOutput;
  /** Of all workers together. */
  readonly #gate: RateGate;
  #tap: OpenTap | undefined;
  #left: number;
  #lost = 0;
  #telling: Timer | undefined;
  #over = false;

  constructor(filter: TapFilter, form: TapForm, clock: Clock, output: TapOutput) {
    this.#form = form;
    this.#clock = clock;
    this.#output = output;
    this.#gate = new RateGate(filter.maxRate, clock);
    this.#left = filter.count ?? Number.POSITIVE_INFINITY;
  }

  /** @param tap is closed with the stream */
  start(tap: OpenTap): void {
    this.#tap = tap;
  }

  onCall(line: string): void {
    if (this.#over) return;
    if (!this.#gate.pass() || !this.#output.write(this.#framed(line))) {
      this.onLost(1);
      return;
    }
    if (--this.#left > 0) return;
    this.#tellLost();
    this.stop();
    this.#output.end();
  }

  onLost(count: number): void {
    if (this.#over) return;
    this.#lost += count;
    this.#telling ??= this.#clock.after(TELL_LOST_MS, () => this.#tellLost());
  }

  /** Its reader is gone, or has all that it wanted. */
  stop(): void {
    this.#over = true;
    this.#telling?.cancel();
    this.#tap?.close();
  }

  #tellLost(): void {
    this.#telling?.cancel();
    this.#telling = undefined;
    if (this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    if (!this.#output.write(this.#framed(`{"kind":"lost","calls":${lost}}\n`))) this.onLost(lost);
  }

  #framed(line: string): string {
    return this.#form === "lines" ? line : `data: ${line}\n`;
  }
}
