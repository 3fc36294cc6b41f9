import { FAILURES, type Failure } from "../../model/failures.ts";
import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { FlowRecord } from "../flow/flow-record.ts";
import type { MeshProxy } from "./mesh-proxy.ts";

/** What passed, as plain data: what several proxies say adds up. */
export interface CallTotals {
  /** By class of status; index 2 is 2xx, 0 is for exchanges without an answer. */
  readonly exchanges: readonly number[];
  readonly failures: Readonly<Record<string, number>>;
  readonly flows: number;
  readonly retries: number;
  readonly audited: number;
  /** Now open; what is over is not counted. */
  readonly connections: number;
  readonly upstreamConnections: number;
}

const CLASSES = 6;

export const NO_CALLS: CallTotals = {
  exchanges: Array.from({ length: CLASSES }, () => 0),
  failures: {},
  flows: 0,
  retries: 0,
  audited: 0,
  connections: 0,
  upstreamConnections: 0,
};

/** Counts on the hot path; read when asked for. */
export class CallCounters {
  readonly #exchanges = new Float64Array(CLASSES);
  readonly #failures = new Map<Failure, number>();
  #flows = 0;
  #retries = 0;
  #audited = 0;

  exchange(record: ExchangeRecord): void {
    const index = Math.floor(record.status / 100);
    this.#exchanges[index] = (this.#exchanges[index] ?? 0) + 1;
    if (record.attempts > 1) this.#retries += record.attempts - 1;
    this.#note(record.failure, record.wouldDeny);
  }

  flow(record: FlowRecord): void {
    this.#flows++;
    this.#note(record.failure, record.wouldDeny);
  }

  /** @param proxy whose calls these are: it knows what is open, and what was refused before it was a call */
  totals({ http }: MeshProxy): CallTotals {
    const failures: Record<string, number> = {};
    for (const counts of [this.#failures, http.refused])
      for (const [failure, count] of counts) failures[failure] = (failures[failure] ?? 0) + count;
    return {
      exchanges: [...this.#exchanges],
      failures,
      flows: this.#flows,
      retries: this.#retries,
      audited: this.#audited,
      connections: http.openConnections,
      upstreamConnections: http.openUpstreamConnections,
    };
  }

  #note(failure: Failure | "", wouldDeny: boolean): void {
    if (failure !== "") this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1);
    if (wouldDeny) this.#audited++;
  }
}

export function sumOfTotals(all: Iterable<CallTotals>): CallTotals {
  const exchanges = [...NO_CALLS.exchanges];
  const failures: Record<string, number> = {};
  let { flows, retries, audited, connections, upstreamConnections } = NO_CALLS;
  for (const each of all) {
    for (const [index, count] of each.exchanges.entries()) exchanges[index] = (exchanges[index] ?? 0) + count;
    for (const [failure, count] of Object.entries(each.failures)) failures[failure] = (failures[failure] ?? 0) + count;
    flows += each.flows;
    retries += each.retries;
    audited += each.audited;
    connections += each.connections;
    upstreamConnections += each.upstreamConnections;
  }
  return { exchanges, failures, flows, retries, audited, connections, upstreamConnections };
}

/** Prometheus text format 0.0.4. */
export function callMetrics(totals: CallTotals): string {
  const lines = [
    "# HELP tulle_requests_total HTTP requests by class of status.",
    "# TYPE tulle_requests_total counter",
  ];
  for (let index = 1; index < CLASSES; index++)
    lines.push(`tulle_requests_total{code="${index}xx"} ${totals.exchanges[index] ?? 0}`);
  lines.push(
    "# HELP tulle_failures_total Calls that were not served, by reason.",
    "# TYPE tulle_failures_total counter",
  );
  for (const reason of Object.keys(FAILURES))
    lines.push(`tulle_failures_total{reason="${reason}"} ${totals.failures[reason] ?? 0}`);
  const single: readonly (readonly [string, string, string, number])[] = [
    ["tulle_flows_total", "counter", "TCP and UDP flows that have ended.", totals.flows],
    ["tulle_retries_total", "counter", "Tries after the first.", totals.retries],
    ["tulle_audited_denials_total", "counter", "Calls that access control would have refused.", totals.audited],
    ["tulle_connections", "gauge", "HTTP connections of callers.", totals.connections],
    ["tulle_upstream_connections", "gauge", "HTTP connections to endpoints.", totals.upstreamConnections],
  ];
  for (const [name, type, help, value] of single)
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, `${name} ${value}`);
  return `${lines.join("\n")}\n`;
}
