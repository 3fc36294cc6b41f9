import type { Failure } from "../../model/failures.ts";
import type { Caller, EndpointState, ServicePortState } from "../router/types.ts";

/** What is known of an exchange when it has ended, for logs, counters and `tap`. Owned by the exchange and reused. */
export interface ExchangeRecord {
  readonly entry: ServicePortState;
  readonly caller: Caller;
  readonly method: string;
  /** As received, with query. */
  readonly target: string;
  /** Sent downstream; 0 where nothing was sent. */
  readonly status: number;
  /** "" where the endpoint's own answer was passed on whole. */
  readonly failure: Failure | "";
  /** The service ports it passed; the last served it. */
  readonly path: readonly ServicePortState[];
  readonly endpoint: EndpointState | undefined;
  /** Tries made. */
  readonly attempts: number;
  readonly durationMs: number;
  /** Audit mode: access control would have refused it. */
  readonly wouldDeny: boolean;
}
