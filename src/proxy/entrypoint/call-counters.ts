import { FAILURES, type Failure } from "../../model/failures.ts";
import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import type { FlowRecord } from "../flow/flow-record.ts";
import type { MeshProxy } from "./mesh-proxy.ts";

/** Plain totals of what passed, rendered when asked for. */
export class CallCounters {
  /** By status class: index 2 is 2xx. 0 is for exchanges without an answer. */
  readonly #exchanges = new Float64Array(6);
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

  /** Prometheus text format 0.0.4. */
  render(proxy: MeshProxy): string {
    const lines = [
      "# HELP tulle_requests_total HTTP requests by class of status.",
      "# TYPE tulle_requests_total counter",
    ];
    for (let index = 1; index <= 5; index++)
      lines.push(`tulle_requests_total{code="${index}xx"} ${this.#exchanges[index] ?? 0}`);
    lines.push(
      "# HELP tulle_failures_total Calls that were not served, by reason.",
      "# TYPE tulle_failures_total counter",
    );
    for (const reason of Object.keys(FAILURES) as Failure[]) {
      const count = (this.#failures.get(reason) ?? 0) + (proxy.http.refused.get(reason) ?? 0);
      lines.push(`tulle_failures_total{reason="${reason}"} ${count}`);
    }
    const single: readonly (readonly [string, string, string, number])[] = [
      ["tulle_flows_total", "counter", "TCP and UDP flows that have ended.", this.#flows],
      ["tulle_retries_total", "counter", "Tries after the first.", this.#retries],
      ["tulle_audited_denials_total", "counter", "Calls that access control would have refused.", this.#audited],
      ["tulle_connections", "gauge", "HTTP connections of callers.", proxy.http.openConnections],
      ["tulle_upstream_connections", "gauge", "HTTP connections to endpoints.", proxy.http.openUpstreamConnections],
    ];
    for (const [name, type, help, value] of single)
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, `${name} ${value}`);
    return `${lines.join("\n")}\n`;
  }

  #note(failure: Failure | "", wouldDeny: boolean): void {
    if (failure !== "") this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1);
    if (wouldDeny) this.#audited++;
  }
}
