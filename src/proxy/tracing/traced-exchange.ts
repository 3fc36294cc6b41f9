import type { Origin } from "../../config/mesh-config.ts";
import type { Failure } from "../../model/failures.ts";
import type { Caller, ServicePortState } from "../router/types.ts";

/** What spans tell of an exchange. Read at its end. */
export interface TracedExchange {
  readonly entry: ServicePortState;
  readonly caller: Caller;
  /** `HTTP/1.1` */
  readonly protocol: string;
  readonly method: string;
  /** As received, with query. */
  readonly target: string;
  readonly status: number;
  readonly grpcStatus: number;
  readonly failure: Failure | "";
  readonly path: readonly ServicePortState[];
  readonly origin: Origin | undefined;
  readonly attempts: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly wouldDeny: boolean;
}
