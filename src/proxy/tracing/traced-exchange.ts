import type { Origin, ServicePort } from "../../config/mesh-config.ts";
import type { Failure } from "../../model/failures.ts";
import type { Caller, EndpointState, ServicePortState } from "../router/types.ts";

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

/** The exchange's own span, as far as it is known when the request has come. */
export interface OwnSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** "" where the trace begins with it. */
  readonly parentId: string;
  /** Milliseconds since the epoch. */
  readonly startedWall: number;
  readonly host: string;
  readonly userAgent: string;
}

/** A try at an endpoint; times are milliseconds after the exchange began. */
export interface TryTrace {
  readonly spanId: string;
  /** From 1 on. */
  readonly ordinal: number;
  readonly endpoint: EndpointState;
  /** As it was then: another configuration may be in force when the span is written. */
  readonly scheme: ServicePort["scheme"];
  readonly startedMs: number;
  endedMs: number;
  /** Of HTTP; "" where nothing was sent. */
  version: string;
  /** 0 where no answer came. */
  status: number;
  grpcStatus: number;
  failure: Failure | "";
}
