import type { Origin } from "../../config/mesh-config.ts";
import type { Failure } from "../../model/failures.ts";
import type { Caller, EndpointState, ServicePortState } from "../router/types.ts";

/** What is known of a TCP or UDP flow when it has ended. */
export interface FlowRecord {
  readonly transport: "tcp" | "udp";
  readonly entry: ServicePortState;
  readonly caller: Caller;
  /** The service ports it passed; the last served it. */
  readonly path: readonly ServicePortState[];
  /** The object that decided: TrafficTarget, TrafficSplit, or undefined where it is the Service itself. */
  readonly origin: Origin | undefined;
  readonly endpoint: EndpointState | undefined;
  readonly failure: Failure | "";
  /** From the caller, and to it. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly durationMs: number;
  /** Audit mode: access control would have refused it. */
  readonly wouldDeny: boolean;
}

/** What both engines are made with. */
export interface FlowOptions {
  /** Source address of the connection to the endpoint; undefined: the machine's choice. */
  readonly dialFrom?: (caller: Caller) => string | undefined;
  /** Called when a flow has its endpoint. */
  readonly onFlowOpen?: (record: FlowRecord) => void;
  /** Called once at the end of each flow, also of those that never opened. */
  readonly onFlow?: (record: FlowRecord) => void;
}
