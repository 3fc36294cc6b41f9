import type { Origin } from "../../config/mesh-config.ts";
import type { Failure } from "../../model/failures.ts";
import type { Caller, EndpointState, ServicePortState } from "../router/types.ts";

export type HttpProtocol = "HTTP/1.0" | "HTTP/1.1" | "HTTP/2";

/**
 * What is known of an exchange when it has ended, for logs, counters and `tap`. Owned by the exchange and reused. When it
 * began, the reader's clock says: that long ago as it took.
 */
export interface ExchangeRecord {
  readonly entry: ServicePortState;
  readonly caller: Caller;
  /** As the caller speaks it. */
  readonly protocol: HttpProtocol;
  readonly method: string;
  /** As received, with query. */
  readonly target: string;
  /** As received: of Host, of `:authority`, or of a target in absolute form. "" where none, or where nobody asked. */
  readonly host: string;
  /** Sent downstream; 0 where nothing was sent. */
  readonly status: number;
  /** Of gRPC, as the caller got it; -1 where there is none. */
  readonly grpcStatus: number;
  /** "" where the endpoint's own answer was passed on whole. */
  readonly failure: Failure | "";
  /** The service ports it passed; the last served it. */
  readonly path: readonly ServicePortState[];
  /** The object that decided: TrafficTarget, TrafficSplit, or undefined where it is the Service itself. */
  readonly origin: Origin | undefined;
  readonly endpoint: EndpointState | undefined;
  /** Tries made. */
  readonly attempts: number;
  /** Content of the request so far as it was read, without its framing; all bytes of a tunnel. */
  readonly bytesUp: number;
  /** Content of the answer so far as it was passed on, without its framing; all bytes of a tunnel. */
  readonly bytesDown: number;
  readonly durationMs: number;
  /** Until the head of the answer came; -1 where none was passed on. */
  readonly firstByteMs: number;
  /** Audit mode: access control would have refused it. */
  readonly wouldDeny: boolean;
  /** 32 hexadecimal digits; "" where it is not recorded by tracing. */
  readonly traceId: string;
  /** A field of the request that `RecordWants` asked for when it began. @param name in lower case */
  requestField(name: string): string | undefined;
}

/**
 * What readers of records ask for beyond what is at hand anyway. A request's head is gone when its record is read, so
 * this is taken when it begins, and costs nothing while nobody asks. May change while the proxy runs.
 */
export interface RecordWants {
  host: boolean;
  /** Names of fields in lower case. Replaced as a whole, never changed in place. */
  requestFields: readonly string[];
}

export function noWants(): RecordWants {
  return { host: false, requestFields: [] };
}
