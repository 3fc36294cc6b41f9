/**
 * The topology, kept while the objects change: what `buildTopology` says of all of them, worked out again only for the
 * Services and addresses that a change can concern. A Service looks at its slices, at the workloads behind their
 * addresses, and at whether the Pods exist that they name; a workload, at the Pods that claim its address and the zone
 * of their node. The same functions decide, so what comes out is the same (a property in test/fuzz holds that).
 */
import type { ClusterStateView } from "../model/cluster-state.ts";
import {
  type EndpointSlice,
  type HTTPRouteGroup,
  type Kind,
  keyOf,
  type MeshObject,
  type Meta,
  type ObjectRef,
  type Pod,
  type Service,
  type TCPRoute,
  type TrafficSplit,
  type TrafficTarget,
  type UDPRoute,
} from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";
import {
  byKey,
  claimedBy,
  isOfMesh,
  namespaceFilter,
  resolveService,
  type TopologyOptions,
  workloadAt,
} from "./build-topology.ts";
import { ReadIndex } from "./read-index.ts";
import type { TopologyService, TopologyWorkload } from "./topology.ts";

/** Takes what is wrong with a unit, in place of what was. */
export type Report = (unit: string, problems: readonly Problem[]) => void;

/** What may be another than before; it may also be the same. */
export interface TopologyChanges {
  /** Whose workload changed. */
  readonly addresses: Set<string>;
  readonly services: Set<string>;
  /** That have their first Pod, or lost their last. */
  readonly identities: Set<string>;
  readonly httpRouteGroups: Set<string>;
  readonly tcpRoutes: Set<string>;
  readonly udpRoutes: Set<string>;
  readonly targets: Set<string>;
  readonly splits: Set<string>;
}

export class LiveTopology {
  readonly within: (namespace: string) => boolean;
  readonly services = new Map<string, TopologyService>();
  /** By address. */
  readonly workloads = new Map<string, TopologyWorkload>();
  readonly httpRouteGroups = new Map<string, HTTPRouteGroup>();
  readonly tcpRoutes = new Map<string, TCPRoute>();
  readonly udpRoutes = new Map<string, UDPRoute>();
  readonly targets = new Map<string, TrafficTarget>();
  readonly splits = new Map<string, TrafficSplit>();
  /** How many workloads have an identity. */
  readonly #identities = new Map<string, number>();

  /** Those that are of the mesh. */
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, EndpointSlice>();
  readonly #slicesOf = new Map<string, readonly EndpointSlice[]>();
  /** All of them: a slice may name one of any namespace. */
  readonly #pods = new Map<string, Pod>();
  readonly #claims = new Map<string, readonly Pod[]>();
  readonly #zones = new Map<string, string>();
  /** Which slices name an address or a Pod. */
  readonly #naming = new ReadIndex();

  constructor(options: TopologyOptions) {
    this.within = namespaceFilter(options);
  }

  /** `namespace/serviceAccount` of every workload. */
  get identities(): { has(identity: string): boolean } {
    return this.#identities;
  }

  /** @param changed refs of what was put or removed, once or several times */
  update(state: ClusterStateView, changed: Iterable<ObjectRef>, report: Report): TopologyChanges {
    const changes = newChanges();
    const touched = new Set<string>();
    for (const { kind, namespace, name } of changed)
      this.#take(state, kind as Kind, keyOf({ namespace, name }), changes, touched);
    this.#updateWorkloads(touched, changes, report);
    for (const key of changes.services) this.#updateService(key, state, report);
    return changes;
  }

  #take(state: ClusterStateView, kind: Kind, key: string, changes: TopologyChanges, touched: Set<string>): void {
    const object: MeshObject | undefined = state.get(kind, key);
    const ours = object !== undefined && isOfMesh(object, this.within) ? object : undefined;
    switch (kind) {
      case "Pod":
        this.#takePod(key, object as Pod | undefined, changes, touched);
        break;
      case "Node":
        this.#takeNode(key, state.get("Node", key)?.zone, touched);
        break;
      case "EndpointSlice":
        this.#takeSlice(key, ours as EndpointSlice | undefined, changes);
        break;
      case "Service":
        if (replace(this.#services, key, ours as Service | undefined)) changes.services.add(key);
        break;
      case "HTTPRouteGroup":
        if (replace(this.httpRouteGroups, key, ours as HTTPRouteGroup | undefined)) changes.httpRouteGroups.add(key);
        break;
      case "TCPRoute":
        if (replace(this.tcpRoutes, key, ours as TCPRoute | undefined)) changes.tcpRoutes.add(key);
        break;
      case "UDPRoute":
        if (replace(this.udpRoutes, key, ours as UDPRoute | undefined)) changes.udpRoutes.add(key);
        break;
      case "TrafficTarget":
        if (replace(this.targets, key, ours as TrafficTarget | undefined)) changes.targets.add(key);
        break;
      case "TrafficSplit":
        if (replace(this.splits, key, ours as TrafficSplit | undefined)) changes.splits.add(key);
    }
  }

  #takePod(key: string, after: Pod | undefined, changes: TopologyChanges, touched: Set<string>): void {
    const before = this.#pods.get(key);
    if (!replace(this.#pods, key, after)) return;
    if (before === undefined || after === undefined) this.#touchNaming(podName(key), changes);
    for (const ip of this.#claimsOf(before)) {
      replaceAmong(this.#claims, ip, before, undefined);
      touched.add(ip);
    }
    for (const ip of this.#claimsOf(after)) {
      replaceAmong(this.#claims, ip, undefined, after);
      touched.add(ip);
    }
  }

  #claimsOf(pod: Pod | undefined): Iterable<string> {
    return pod !== undefined && isOfMesh(pod, this.within) ? claimedBy(pod) : [];
  }

  /** Nodes change their zone hardly ever, so nothing is kept to find their Pods. */
  #takeNode(name: string, zone: string | undefined, touched: Set<string>): void {
    if (!replace(this.#zones, name, zone)) return;
    for (const pod of this.#pods.values())
      if (pod.nodeName === name) for (const ip of this.#claimsOf(pod)) touched.add(ip);
  }

  #takeSlice(key: string, after: EndpointSlice | undefined, changes: TopologyChanges): void {
    const before = this.#slices.get(key);
    if (!replace(this.#slices, key, after)) return;
    if (before !== undefined) {
      replaceAmong(this.#slicesOf, serviceOf(before), before, undefined);
      changes.services.add(serviceOf(before));
    }
    if (after !== undefined) {
      replaceAmong(this.#slicesOf, serviceOf(after), undefined, after);
      changes.services.add(serviceOf(after));
    }
    this.#naming.set(key, after === undefined ? [] : namedBy(after));
  }

  #touchNaming(name: string, changes: TopologyChanges): void {
    for (const slice of this.#naming.of(name)) {
      const found = this.#slices.get(slice);
      if (found !== undefined) changes.services.add(serviceOf(found));
    }
  }

  #updateWorkloads(touched: ReadonlySet<string>, changes: TopologyChanges, report: Report): void {
    const had = new Map<string, boolean>();
    const count = (workload: TopologyWorkload | undefined, by: number) => {
      if (workload === undefined) return;
      const identity = `${workload.namespace}/${workload.serviceAccount}`;
      const known = this.#identities.get(identity) ?? 0;
      if (!had.has(identity)) had.set(identity, known > 0);
      if (known + by === 0) this.#identities.delete(identity);
      else this.#identities.set(identity, known + by);
    };
    for (const ip of touched) {
      const problems: Problem[] = [];
      const claimants = this.#claims.get(ip) ?? [];
      const before = this.workloads.get(ip);
      const after = workloadAt(ip, claimants, (node) => this.#zones.get(node), problems);
      report(`address ${ip}`, problems);
      if (isSameWorkload(before, after)) continue;
      replace(this.workloads, ip, after);
      count(after, 1);
      count(before, -1);
      changes.addresses.add(ip);
      this.#touchNaming(ip, changes);
    }
    for (const [identity, before] of had)
      if (this.#identities.has(identity) !== before) changes.identities.add(identity);
  }

  #updateService(key: string, state: ClusterStateView, report: Report): void {
    const problems: Problem[] = [];
    const service = this.#services.get(key);
    const slices = this.#slicesOf.get(key) ?? [];
    const after = service === undefined ? undefined : resolveService(service, slices, state, this.workloads, problems);
    replace(this.services, key, after);
    report(`Service ${key}`, problems);
  }
}

/** @returns whether it is another one than before */
function replace<T>(map: Map<string, T>, key: string, value: T | undefined): boolean {
  if (map.get(key) === value) return false;
  if (value === undefined) map.delete(key);
  else map.set(key, value);
  return true;
}

/** Takes one out of a list in key order, and puts another in. */
function replaceAmong<T extends { readonly meta: Meta }>(
  lists: Map<string, readonly T[]>,
  name: string,
  before: T | undefined,
  after: T | undefined,
): void {
  const list = (lists.get(name) ?? []).filter((each) => each !== before);
  if (after !== undefined) list.push(after);
  if (list.length === 0) lists.delete(name);
  else lists.set(name, list.length === 1 ? list : list.sort(byKey));
}

const serviceOf = ({ meta, service }: EndpointSlice) => `${meta.namespace}/${service}`;
/** No address has a space. */
const podName = (key: string) => `Pod ${key}`;

function namedBy({ endpoints }: EndpointSlice): string[] {
  const names = new Set<string>();
  for (const { addresses, pod } of endpoints) {
    for (const address of addresses) names.add(address);
    if (pod !== undefined) names.add(podName(keyOf(pod)));
  }
  return [...names];
}

function isSameWorkload(a: TopologyWorkload | undefined, b: TopologyWorkload | undefined): boolean {
  return (
    a?.namespace === b?.namespace &&
    a?.pod === b?.pod &&
    a?.workload === b?.workload &&
    a?.serviceAccount === b?.serviceAccount &&
    a?.node === b?.node &&
    a?.zone === b?.zone
  );
}

function newChanges(): TopologyChanges {
  return {
    addresses: new Set(),
    services: new Set(),
    identities: new Set(),
    httpRouteGroups: new Set(),
    tcpRoutes: new Set(),
    udpRoutes: new Set(),
    targets: new Set(),
    splits: new Set(),
  };
}
