import type { ExchangeRecord } from "../proxy/exchange/exchange-record.ts";
import type { FlowRecord } from "../proxy/flow/flow-record.ts";

/** Remembers for each caller address which way its last call went. Bounded: the oldest callers are forgotten. */
export class WayLog {
  readonly #ways = new Map<string, string>();
  readonly #maxCallers = 1000;

  note(record: ExchangeRecord | FlowRecord): void {
    const { caller, path, endpoint, failure } = record;
    const services = path.map((each) => each.key).join(" → ");
    const last = failure === "" || endpoint !== undefined ? (endpoint?.key ?? "") : failure;
    this.#ways.delete(caller.address);
    this.#ways.set(caller.address, services === "" ? last : `${services} → ${last}`);
    if (this.#ways.size > this.#maxCallers) this.#ways.delete(this.#ways.keys().next().value as string);
  }

  /** Takes it: a call that the mesh did not see must not show the way of the one before. */
  take(callerAddress: string): string {
    const way = this.#ways.get(callerAddress) ?? "";
    this.#ways.delete(callerAddress);
    return way;
  }
}
