import type { Random } from "../../model/clock.ts";
import type { AccessLogSettings } from "./access-log-settings.ts";
import { type CallRecord, isExchange } from "./call-fields.ts";

/** Which calls are logged. What failed always is: that is what a log is read for. */
export class CallFilter {
  readonly #settings: AccessLogSettings;
  readonly #random: Random;

  constructor(settings: AccessLogSettings, random: Random) {
    this.#settings = settings;
    this.#random = random;
  }

  takes(record: CallRecord): boolean {
    if (record.failure !== "") return true;
    const { sampling } = this.#settings;
    return this.#fits(record) && (sampling >= 1 || this.#random() < sampling);
  }

  /** One condition is enough, as in Traefik's filters. */
  #fits(record: CallRecord): boolean {
    const { statuses, minDurationMs, retried } = this.#settings;
    if (statuses.length === 0 && minDurationMs === undefined && !retried) return true;
    if (minDurationMs !== undefined && record.durationMs >= minDurationMs) return true;
    if (!isExchange(record)) return false;
    if (retried && record.attempts > 1) return true;
    return statuses.some(([from, to]) => record.status >= from && record.status <= to);
  }
}
