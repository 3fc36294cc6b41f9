/**
 * Every way in which an exchange or flow is not served as asked. The code is also the value of `x-tulle-reason`, the
 * metric label and the log field. `fault` says which side to look at; `retrySafe`, that no upstream can have acted.
 */
export interface FailureKind {
  /** HTTP status of the proxy's own answer; 0 where none can be sent any more. */
  readonly status: number;
  /** The same to a caller of gRPC, in a 200. */
  readonly grpcStatus: number;
  readonly fault: "downstream" | "upstream" | "policy" | "mesh";
  readonly retrySafe: boolean;
  readonly sentence: string;
}

export const FAILURES = {
  BadRequest: {
    status: 400,
    grpcStatus: 13,
    fault: "downstream",
    retrySafe: true,
    sentence: "The request is not valid HTTP/1.1 (RFC 9112), or can be read in two ways; nothing of it was forwarded.",
  },
  AccessDenied: {
    status: 403,
    grpcStatus: 7,
    fault: "policy",
    retrySafe: true,
    sentence: "No TrafficTarget allows this caller this request; `tulle explain` names the deciding object.",
  },
  AmbiguousPath: {
    status: 403,
    grpcStatus: 7,
    fault: "policy",
    retrySafe: true,
    sentence:
      "Access is decided by path here, and this path has dot segments or encoded slashes; send it in plain form.",
  },
  NoRoute: {
    status: 404,
    grpcStatus: 12,
    fault: "policy",
    retrySafe: true,
    sentence: "No route of this service matches the request.",
  },
  HeadTimeout: {
    status: 408,
    grpcStatus: 4,
    fault: "downstream",
    retrySafe: true,
    sentence: "The request's head did not arrive in time.",
  },
  BodyTimeout: {
    status: 408,
    grpcStatus: 4,
    fault: "downstream",
    retrySafe: false,
    sentence: "The request's body stopped arriving.",
  },
  BodyTooLarge: {
    status: 413,
    grpcStatus: 8,
    fault: "downstream",
    retrySafe: true,
    sentence: "The request's body is larger than this service port takes.",
  },
  TargetTooLong: {
    status: 414,
    grpcStatus: 8,
    fault: "downstream",
    retrySafe: true,
    sentence: "The request's target is longer than the 64 KiB that a whole head may have.",
  },
  HeadTooLarge: {
    status: 431,
    grpcStatus: 8,
    fault: "downstream",
    retrySafe: true,
    sentence: "The request's head is larger than 64 KiB or has more than 200 fields.",
  },
  RateLimited: {
    status: 429,
    grpcStatus: 8,
    fault: "policy",
    retrySafe: true,
    sentence: "This caller is over the service's rate limit; Retry-After says when to come back.",
  },
  TransferCoding: {
    status: 501,
    grpcStatus: 12,
    fault: "downstream",
    retrySafe: true,
    sentence: "Only the chunked transfer coding is known.",
  },
  HttpVersion: {
    status: 505,
    grpcStatus: 12,
    fault: "downstream",
    retrySafe: true,
    sentence: "Only HTTP/1.0, HTTP/1.1 and HTTP/2 with prior knowledge are spoken on this port.",
  },
  ConnectRefused: {
    status: 502,
    grpcStatus: 14,
    fault: "upstream",
    retrySafe: true,
    sentence: "The endpoint refused the connection: nothing listens there, or a NetworkPolicy rejects the proxy.",
  },
  UpstreamReset: {
    status: 502,
    grpcStatus: 14,
    fault: "upstream",
    retrySafe: false,
    sentence: "The endpoint closed the connection before its answer was complete.",
  },
  UpstreamTls: {
    status: 502,
    grpcStatus: 14,
    fault: "upstream",
    retrySafe: true,
    sentence: "The endpoint's TLS handshake failed, or its certificate is not for it or not trusted; nothing was sent.",
  },
  UpstreamMalformed: {
    status: 502,
    grpcStatus: 13,
    fault: "upstream",
    retrySafe: false,
    sentence: "The endpoint's answer is not valid HTTP/1.1, or HTTP/2 where that is spoken to it.",
  },
  NoEndpoint: {
    status: 503,
    grpcStatus: 14,
    fault: "upstream",
    retrySafe: true,
    sentence: "The service has no ready endpoint.",
  },
  BreakerOpen: {
    status: 503,
    grpcStatus: 14,
    fault: "policy",
    retrySafe: true,
    sentence: "The service's circuit breaker is open.",
  },
  Overloaded: {
    status: 503,
    grpcStatus: 14,
    fault: "policy",
    retrySafe: true,
    sentence: "The service is at its max-connections, and as many calls wait as its max-pending lets, or for too long.",
  },
  TooManyConnections: {
    status: 503,
    grpcStatus: 14,
    fault: "mesh",
    retrySafe: true,
    sentence: "The proxy is at its limit of connections.",
  },
  ConnectTimeout: {
    status: 504,
    grpcStatus: 14,
    fault: "upstream",
    retrySafe: true,
    sentence:
      "The endpoint did not accept the connection in time: its node is gone, or a NetworkPolicy drops the proxy.",
  },
  ResponseTimeout: {
    status: 504,
    grpcStatus: 4,
    fault: "upstream",
    retrySafe: false,
    sentence: "The endpoint did not answer in time.",
  },
  IdleTimeout: {
    status: 504,
    grpcStatus: 4,
    fault: "upstream",
    retrySafe: false,
    sentence: "No byte moved for longer than the service's idle-timeout.",
  },
  ClientGone: {
    status: 0,
    grpcStatus: 1,
    fault: "downstream",
    retrySafe: false,
    sentence: "The caller closed the connection before the answer.",
  },
} as const satisfies Record<string, FailureKind>;

export type Failure = keyof typeof FAILURES;
