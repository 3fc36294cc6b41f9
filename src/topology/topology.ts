import type {
  HTTPRouteGroup,
  Protocol,
  Service,
  TCPRoute,
  TrafficSplit,
  TrafficTarget,
  UDPRoute,
} from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";

/** A running Pod that calls or serves, known by its address. */
export interface TopologyWorkload {
  readonly namespace: string;
  readonly pod: string;
  readonly serviceAccount: string;
  /** What the Pod is one of; absent: it is on its own. */
  readonly workload?: string;
  readonly node?: string;
  readonly zone?: string;
}

export interface TopologyEndpoint {
  readonly address: string;
  /** The Pod's port. */
  readonly port: number;
  /** `namespace/pod`, where the slice names one. */
  readonly pod?: string;
  /** `namespace/serviceAccount`, where a workload with an identity is behind the address. */
  readonly identity?: string;
  readonly node?: string;
  readonly zone?: string;
}

export interface TopologyPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** Ready ones, by address and port. */
  readonly endpoints: readonly TopologyEndpoint[];
}

export interface TopologyService {
  /** `namespace/name` */
  readonly key: string;
  readonly service: Service;
  readonly ports: readonly TopologyPort[];
}

/** The graph of what serves, calls, splits and permits. Everything in it is in an order of its own, not the source's. */
export interface Topology {
  readonly services: ReadonlyMap<string, TopologyService>;
  /** By address. */
  readonly workloads: ReadonlyMap<string, TopologyWorkload>;
  /** `namespace/serviceAccount` of every workload. */
  readonly identities: ReadonlySet<string>;
  /** Whether objects of that namespace are looked at. */
  within(namespace: string): boolean;
  readonly httpRouteGroups: ReadonlyMap<string, HTTPRouteGroup>;
  readonly tcpRoutes: ReadonlyMap<string, TCPRoute>;
  readonly udpRoutes: ReadonlyMap<string, UDPRoute>;
  /** By key. */
  readonly targets: readonly TrafficTarget[];
  /** The oldest first, then by key. */
  readonly splits: readonly TrafficSplit[];
  readonly problems: readonly Problem[];
}
