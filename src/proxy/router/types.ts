/**
 * What the protocol engines (http1, tcp, udp) and explain share with the route table. Everything in force for a service
 * port hangs on its ServicePortState, which keeps its identity through configuration changes: breakers, limiters and
 * in-flight counts survive an update that does not touch them.
 */
import type { Backend, Endpoint, Origin, Route, ServicePort, UpstreamTls, Workload } from "../../config/mesh-config.ts";
import type { Failure } from "../../model/failures.ts";
import type { Member, UpstreamBalancer } from "../balancer/upstream-balancer.ts";
import type { CircuitBreaker } from "../middleware/circuit-breaker/circuit-breaker.ts";
import type { ConnectionLimit } from "../middleware/connection-limit/connection-limit.ts";
import type { RateLimit } from "../middleware/rate-limit/rate-limit.ts";
import type { RetryPolicy } from "../middleware/retry/retry-policy.ts";

export interface EndpointState extends Member {
  /** `address:port` */
  readonly key: string;
  readonly address: string;
  /** The Pod's port, as access rules know it. */
  readonly port: number;
  /** The port to connect to. */
  readonly dialPort: number;
  config: Endpoint;
  /** How it is spoken to: undefined without TLS. Another one makes another endpoint. */
  readonly tls: UpstreamTls | undefined;
  /** Whose endpoint it is: what that asks for holds for it. */
  readonly owner: ServicePortState;
  /** Exchanges and flows that it serves now. Whoever picked it adds one and takes one away. */
  outstanding: number;
  /** Out of the configuration: in-flight work finishes, idle connections close, nothing new. */
  removed: boolean;
  /** What the upstream room keeps for this endpoint (connections); called once when it is removed. */
  readonly onRemoved: (() => void)[];
}

export interface ServicePortState {
  readonly key: string;
  config: ServicePort;
  endpoints: readonly EndpointState[];
  rateLimit: RateLimit | undefined;
  breaker: CircuitBreaker | undefined;
  retry: RetryPolicy | undefined;
  readonly balancer: UpstreamBalancer<EndpointState>;
  /** To its endpoints, in HTTP and TCP. */
  readonly connections: ConnectionLimit;
  removed: boolean;
}

/** Who is at the other end of a downstream socket. Looked up once a connection, again after a configuration change. */
export interface Caller {
  readonly address: string;
  /** Undefined where no running workload owns the address alone. */
  readonly workload: Workload | undefined;
  /** `namespace/serviceAccount`, or undefined as above. */
  readonly identity: string | undefined;
}

/** A condition on one value. */
export interface ValueTest {
  fits(value: string): boolean;
}

/** A request as route matches read it. The engine owns and reuses it. */
export interface RequestView {
  readonly method: string;
  /** Raw request target's path, as received, without query. */
  readonly path: string;
  /** After the `?`, raw; empty where absent. */
  readonly query: string;
  /**
   * Field value by lower-case name; several fields of a name joined with ", " (RFC 9110 §5.3), of `cookie` with "; " (RFC
   * 9113 §8.2.3).
   */
  header(name: string): string | undefined;
  /** Whether one of the fields of a lower-case name has a value that fits, each looked at by itself; `cookie` joined. */
  hasFitting(name: string, test: ValueTest): boolean;
  /** Whether there is such a field, and none that does not fit: whichever of them an endpoint reads, it was judged. */
  hasOnlyFitting(name: string, test: ValueTest): boolean;
}

/** Filled by the route table; owned and reused by the engine. */
export interface Decision {
  /** Why it is refused, or "" to forward. */
  failure: Failure | "";
  /** Service ports passed in order: the one called, then each split's choice; the last serves the call. */
  path: ServicePortState[];
  /** Of the last in `path`, those that this caller may reach. */
  endpoints: readonly EndpointState[];
  /** The first route that fitted, where the service port has routes: its filters and time-outs apply. */
  route: Route | undefined;
  /** Routes of every service port in `path` that has some, in the same order (filters of each apply). */
  routes: Route[];
  /** For each of `routes`, the value of the prefix match that fitted, or "": what a prefix rewrite replaces. */
  prefixes: string[];
  /** For each of `routes`, the backend that was chosen (its filters apply); none for a redirect or a NoEndpoint. */
  backends: Backend[];
  /** One of `routes` or `backends` asks for more than to be followed: a filter, a redirect, a time-out. */
  changes: boolean;
  /** The object that decided last: TrafficTarget, TrafficSplit, or undefined where it is the Service itself. */
  origin: Origin | undefined;
  /** Audit mode: it goes through, and access control would have refused it. */
  wouldDeny: boolean;
}

export interface RouteTable {
  servicePorts(): Iterable<ServicePortState>;
  /** The service port with that key, or undefined where the configuration has none. */
  servicePort(key: string): ServicePortState | undefined;
  /** @param address as the socket gives it; `::ffff:` is taken off. */
  caller(address: string): Caller;
  /** Counts configurations; a Caller looked up under another number is out of date. */
  readonly generation: number;
  routeHttp(entry: ServicePortState, caller: Caller, request: RequestView, into: Decision): void;
  routeFlow(entry: ServicePortState, caller: Caller, into: Decision): void;
  /**
   * The endpoint to try next, as the service port balances.
   * @param endpoints of one service port
   * @param tried endpoints not to pick again while another is left
   * @returns undefined only for an empty list
   */
  pick(endpoints: readonly EndpointState[], tried?: readonly EndpointState[]): EndpointState | undefined;
}
