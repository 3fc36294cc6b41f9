import type { ExchangeRecord } from "../proxy/exchange/exchange-record.ts";
import type { FlowRecord } from "../proxy/flow/flow-record.ts";
import type { EndpointState, ServicePortState } from "../proxy/router/types.ts";

/** What is told of a call, as it was: its record is the next call's as well. */
interface Way {
  readonly address: string;
  readonly path: ServicePortState[];
  endpoint: EndpointState | undefined;
  failure: string;
}

const MAX_CALLERS = 1000;

/**
 * Remembers for each caller address which way its last call went. Bounded: the callers that came first are forgotten.
 * Calls are many and questions few, so the text is made when somebody asks.
 */
export class WayLog {
  readonly #ways = new Map<string, Way>();
  /** Of the caller that called last. */
  #last: Way | undefined;

  note({ caller: { address }, path, endpoint, failure }: ExchangeRecord | FlowRecord): void {
    const way = this.#last?.address === address ? this.#last : this.#wayOf(address);
    way.endpoint = endpoint;
    way.failure = failure;
    for (let index = 0; index < path.length; index++) way.path[index] = path[index] as ServicePortState;
    if (way.path.length > path.length) way.path.length = path.length;
  }

  /** Takes it: a call that the mesh did not see must not show the way of the one before. */
  take(callerAddress: string): string {
    const way = this.#ways.get(callerAddress);
    if (way === undefined) return "";
    this.#forget(way);
    const services = way.path.map(({ key }) => key).join(" → ");
    const last = way.failure === "" || way.endpoint !== undefined ? (way.endpoint?.key ?? "") : way.failure;
    return services === "" ? last : `${services} → ${last}`;
  }

  #wayOf(address: string): Way {
    let way = this.#ways.get(address);
    if (way === undefined) {
      way = { address, path: [], endpoint: undefined, failure: "" };
      this.#ways.set(address, way);
      if (this.#ways.size > MAX_CALLERS) this.#forget(this.#ways.values().next().value as Way);
    }
    this.#last = way;
    return way;
  }

  #forget(way: Way): void {
    this.#ways.delete(way.address);
    if (this.#last === way) this.#last = undefined;
  }
}
