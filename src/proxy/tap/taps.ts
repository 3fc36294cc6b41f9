/**
 * Live calls for whoever looks on. A call is looked at when it is over, and only while there is a tap: without one it costs
 * a comparison. Readers get lines of JSON, with the names that the access log has.
 */
import type { Clock } from "../../model/clock.ts";
import type { TapFilter } from "../../tap/tap-filter.ts";
import type { CallRecord } from "../access-log/call-fields.ts";
import { JsonLine } from "../access-log/json-line.ts";
import { LineBytes } from "../access-log/line-bytes.ts";
import { noWants, type RecordWants } from "../exchange/exchange-record.ts";
import { RateGate } from "./rate-gate.ts";
import { TapMatcher } from "./tap-matcher.ts";

/** Each costs something of every call. */
export const MAX_TAPS = 16;

export interface TapReader {
  /** @param line with its line feed */
  onCall(line: string): void;
  /** So many fitted and were left out: there were too many in a second. */
  onLost(count: number): void;
}

export interface OpenTap {
  close(): void;
}

/** Whatever carries calls that can be looked at. */
export interface TapSource {
  /** To be kept within `MAX_TAPS`. */
  readonly tapCount: number;
  openTap(filter: TapFilter, reader: TapReader): OpenTap;
}

interface Tap {
  readonly matcher: TapMatcher;
  readonly gate: RateGate;
  readonly reader: TapReader;
}

export class Taps implements TapSource {
  /** What the records must have for the taps, and for those who read them besides. */
  readonly wants: RecordWants;
  readonly #othersWantHost: boolean;
  readonly #clock: Clock;
  readonly #form = new JsonLine({ headers: [] });
  readonly #line = LineBytes.alone();
  readonly #taps = new Set<Tap>();

  /** @param others what is wanted also without a tap */
  constructor(clock: Clock, others: RecordWants = noWants()) {
    this.#clock = clock;
    this.wants = others;
    this.#othersWantHost = others.host;
  }

  get tapCount(): number {
    return this.#taps.size;
  }

  openTap(filter: TapFilter, reader: TapReader): OpenTap {
    const tap = { matcher: new TapMatcher(filter), gate: new RateGate(filter.maxRate, this.#clock), reader };
    this.#taps.add(tap);
    this.#updateWants();
    return {
      close: () => {
        this.#taps.delete(tap);
        this.#updateWants();
      },
    };
  }

  note(record: CallRecord): void {
    if (this.#taps.size === 0) return;
    let line: string | undefined;
    for (const { matcher, gate, reader } of this.#taps) {
      if (!matcher.fits(record)) continue;
      if (gate.pass()) {
        line ??= this.#lineOf(record);
        reader.onCall(line);
      } else reader.onLost(1);
    }
  }

  #lineOf(record: CallRecord): string {
    this.#form.write(record, this.#clock.wall(), this.#line);
    return this.#line.takeText();
  }

  #updateWants(): void {
    this.wants.host = this.#othersWantHost || this.#taps.size > 0;
  }
}
