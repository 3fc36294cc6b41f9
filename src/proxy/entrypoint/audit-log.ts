import type { Clock } from "../../model/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { FlowRecord } from "../flow/flow-record.ts";

/** The same caller and service port are told again after this. */
const REPEAT_MS = 10 * 60_000;
/** Told in that time; a counter has the others. */
const MAX_PAIRS = 1_000;

/** In mode audit: says which calls access control would refuse, one for each caller and service port at a time. */
export class AuditLog {
  readonly #log: Log;
  readonly #clock: Clock;
  /** When each pair was told, the oldest first. */
  readonly #told = new Map<string, number>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  note(record: ExchangeRecord | FlowRecord): void {
    if (!record.wouldDeny) return;
    const { address, workload } = record.caller;
    const key = `${address} ${record.entry.key}`;
    const now = this.#clock.now();
    for (const [pair, at] of this.#told) {
      if (now - at < REPEAT_MS) break;
      this.#told.delete(pair);
    }
    if (this.#told.has(key) || this.#told.size >= MAX_PAIRS) return;
    this.#told.set(key, now);
    const caller = workload === undefined ? address : `${workload.namespace}/${workload.pod}`;
    const request = "method" in record ? ` ${record.method} ${record.target}` : "";
    this.#log.info(`audit: with access control on, ${caller} would be denied ${record.entry.key}${request}`);
  }

  /** Rules have changed: what was told may be told anew. */
  clear(): void {
    this.#told.clear();
  }
}
