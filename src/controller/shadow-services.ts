/**
 * Shadow services, as data: what the cluster has of them, what it should have, and what the proxies make of it. The
 * mesh name of a Service resolves to its shadow's ClusterIP; each port of the shadow leads to a port of the proxies
 * that stands for this one service port.
 */

import type { Placement } from "../compiler/service-pass.ts";
import type { MeshConfig, TrafficType } from "../config/mesh-config.ts";
import type { LongName } from "../coredns/mesh-block.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import { inKeyOrder } from "../model/in-key-order.ts";
import type { Service } from "../model/objects.ts";
import { isPatterned, PROXY_SELECTOR, SHADOW_LABELS, SHADOW_OF, shadowName } from "./own-objects.ts";
import { type ProxyPorts, serviceOfOwner, type Transport } from "./port-allocator.ts";

/** A Service that the mesh serves, with the ports that it serves. */
export interface Served {
  /** `namespace/name` */
  readonly key: string;
  readonly ports: readonly ServedPort[];
}

export interface ServedPort {
  readonly name: string;
  readonly port: number;
  readonly transport: Transport;
  readonly trafficType: TrafficType;
}

export interface ShadowPort extends ServedPort {
  /** Where the proxies listen. */
  readonly targetPort: number;
}

export interface Shadow {
  /** Of the Service that it stands for. */
  readonly key: string;
  readonly name: string;
  readonly ports: readonly ShadowPort[];
}

const IP_FAMILY_POLICY = "PreferDualStack";

/** The shadow services in the mesh's namespace by the Service that they stand for, the oldest where there are two. */
export function shadowsIn(state: ClusterStateView, meshNamespace: string): Map<string, Service> {
  const shadows = new Map<string, Service>();
  for (const service of state.list("Service")) {
    const { meta } = service;
    const key = meta.annotations[SHADOW_OF];
    if (meta.namespace !== meshNamespace || key === undefined || !hasLabels(meta.labels)) continue;
    const known = shadows.get(key);
    if (known === undefined || isOlder(service, known)) shadows.set(key, service);
  }
  return shadows;
}

function isOlder(a: Service, b: Service): boolean {
  return a.meta.createdAt === b.meta.createdAt ? a.meta.name < b.meta.name : a.meta.createdAt < b.meta.createdAt;
}

function hasLabels(labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(SHADOW_LABELS).every(([name, value]) => labels[name] === value);
}

/** What the compiled configuration serves, whether it is placed yet or not. In key order. */
export function servedServices(config: MeshConfig, state: ClusterStateView): Map<string, Served> {
  const ports = new Map<string, ServedPort[]>();
  for (const { namespace, service, port, trafficType } of Object.values(config.servicePorts)) {
    const key = `${namespace}/${service}`;
    const transport = transportOf(trafficType);
    const name = state
      .get("Service", key)
      ?.ports.find((each) => each.port === port && each.protocol === transport)?.name;
    const list = ports.get(key);
    const entry = { name: name ?? "", port, transport, trafficType };
    if (list === undefined) ports.set(key, [entry]);
    else list.push(entry);
  }
  return new Map(inKeyOrder(ports).map(([key, list]) => [key, { key, ports: list }] as const));
}

const transportOf = (trafficType: TrafficType): Transport => (trafficType === "udp" ? "UDP" : "TCP");

/** Holder of a port in the allocator. */
export const ownerOf = (key: string, port: number) => `${key}:${port}`;

/**
 * What the shadow of a Service must be. Ports keep what they were allotted.
 * @returns besides, the ports that it lacks, because none of the proxies' is free for them
 */
export function desiredShadow(
  { key, ports }: Served,
  meshNamespace: string,
  allocator: ProxyPorts,
): { shadow: Shadow; lacking: readonly number[] } {
  const [namespace = "", service = ""] = key.split("/");
  const placed: ShadowPort[] = [];
  const lacking: number[] = [];
  for (const port of ports) {
    const targetPort = allocator.allot(ownerOf(key, port.port), port.transport, port.trafficType);
    if (targetPort === undefined) lacking.push(port.port);
    else placed.push({ ...port, targetPort });
  }
  return { shadow: { key, name: shadowName(meshNamespace, namespace, service), ports: placed }, lacking };
}

/**
 * Whether the cluster's object already is what it must be, in all that `shadowSpec` says.
 * @param trafficDistribution undefined: the server knows none
 */
export function isUpToDate(existing: Service, wanted: Shadow, trafficDistribution: string | undefined): boolean {
  return (
    hasSelector(existing.selector ?? {}) &&
    existing.type === "ClusterIP" &&
    existing.ipFamilyPolicy === IP_FAMILY_POLICY &&
    existing.internalTrafficPolicy === undefined &&
    existing.sessionAffinity === undefined &&
    existing.externalIPs === undefined &&
    (trafficDistribution === undefined || existing.trafficDistribution === trafficDistribution) &&
    hasPorts(existing, wanted)
  );
}

function hasSelector(selector: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(PROXY_SELECTOR);
  return (
    names.length === Object.keys(selector).length && names.every((name) => selector[name] === PROXY_SELECTOR[name])
  );
}

function hasPorts(existing: Service, wanted: Shadow): boolean {
  return (
    existing.ports.length === wanted.ports.length &&
    wanted.ports.every((port, index) => {
      const actual = existing.ports[index];
      return (
        actual !== undefined &&
        actual.name === port.name &&
        actual.port === port.port &&
        actual.protocol === port.transport &&
        actual.targetPort === port.targetPort
      );
    })
  );
}

export interface PlacedShadows extends Placement {
  /** On which the proxies listen. */
  readonly address: string;
  /** Owner of each port of the proxies, by `port/protocol`. */
  readonly holders: ReadonlyMap<string, string>;
}

/** Whether several Services may have that port of the proxies. */
export type SharesPort = (port: number, transport: Transport) => boolean;

const NONE_SHARED: SharesPort = () => false;

/**
 * Where the mesh names lead, as the shadow services say. Of two shadows that claim one port of the proxies, which only
 * a mistake can bring about, the one that comes first by key has it, until the leader has given the other a new one.
 */
export function placementOf(shadows: ReadonlyMap<string, Service>, shares = NONE_SHARED): PlacedShadows {
  const any = [...shadows.values()].some(({ clusterIPs }) => clusterIPs.some((ip) => ip.includes(":")));
  const address = any ? "::" : "0.0.0.0";
  const holders = new Map<string, string>();
  for (const key of [...shadows.keys()].sort())
    for (const { port, protocol, targetPort } of shadows.get(key)?.ports ?? []) {
      const place = `${targetPort}/${protocol}`;
      if (!holders.has(place)) holders.set(place, ownerOf(key, port));
    }
  return {
    address,
    holders,
    addresses: (key) => shadows.get(key)?.clusterIPs ?? [],
    entrypoints(key, port, transport) {
      const protocol = transport === "udp" ? "UDP" : "TCP";
      const found = shadows.get(key)?.ports.find((each) => each.port === port && each.protocol === protocol);
      if (found === undefined || typeof found.targetPort !== "number") return [];
      if (shares(found.targetPort, protocol)) return [{ address, port: found.targetPort, shared: true }];
      if (holders.get(`${found.targetPort}/${protocol}`) !== ownerOf(key, port)) return [];
      return [{ address, port: found.targetPort }];
    },
  };
}

/** Keys of the Services whose names or entrypoints may be other ones in the second placement than in the first. */
export function movedBetween(
  before: ReadonlyMap<string, Service>,
  placedBefore: PlacedShadows,
  after: ReadonlyMap<string, Service>,
  placedAfter: PlacedShadows,
): Set<string> {
  const all = placedBefore.address !== placedAfter.address;
  const moved = new Set<string>();
  const look = (key: string) => {
    const [left, right] = [before.get(key), after.get(key)];
    if (left === right && !all) return;
    moved.add(key);
    // What one gives up or claims may be another's.
    for (const { targetPort, protocol } of [...(left?.ports ?? []), ...(right?.ports ?? [])])
      for (const { holders } of [placedBefore, placedAfter]) {
        const holder = holders.get(`${targetPort}/${protocol}`);
        if (holder !== undefined) moved.add(serviceOfOwner(holder));
      }
  };
  for (const key of before.keys()) if (!after.has(key)) look(key);
  for (const key of after.keys()) look(key);
  return moved;
}

/** Makes the allocator know what the shadow services hold; of two that hold the same port, the one first by key has it. */
export function claimAll(shadows: ReadonlyMap<string, Service>, allocator: ProxyPorts): void {
  for (const key of [...shadows.keys()].sort())
    for (const { port, protocol, targetPort } of shadows.get(key)?.ports ?? [])
      if (protocol !== "SCTP" && typeof targetPort === "number")
        allocator.claim(ownerOf(key, port), protocol, targetPort);
}

/** As the API server takes it. */
export function shadowObject(shadow: Shadow, meshNamespace: string, trafficDistribution: string | undefined): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: shadow.name,
      namespace: meshNamespace,
      labels: SHADOW_LABELS,
      annotations: { [SHADOW_OF]: shadow.key },
    },
    spec: shadowSpec(shadow, trafficDistribution),
  };
}

/** Also what the server would fill in itself: an edit of it is taken back by writing it. */
export function shadowSpec({ ports }: Shadow, trafficDistribution: string | undefined): object {
  return {
    type: "ClusterIP",
    selector: PROXY_SELECTOR,
    internalTrafficPolicy: "Cluster",
    sessionAffinity: "None",
    ipFamilyPolicy: IP_FAMILY_POLICY,
    ...(trafficDistribution === undefined ? {} : { trafficDistribution }),
    ports: ports.map(({ name, port, transport, targetPort }) => ({
      ...(name === "" ? {} : { name }),
      port,
      protocol: transport,
      targetPort,
    })),
  };
}

/** Makes the selector that there is ours: RFC 7396 keeps what it is not told to drop. */
export function selectorPatch(
  existing: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string | null>> {
  return { ...Object.fromEntries(Object.keys(existing).map((name) => [name, null])), ...PROXY_SELECTOR };
}

/** Mesh names that the pattern of mode `rewrite` cannot carry. */
export function longNamesIn(state: ClusterStateView, meshNamespace: string): LongName[] {
  return [...shadowsIn(state, meshNamespace)].flatMap(([key, { meta }]): LongName[] => {
    const [namespace = "", service = ""] = key.split("/");
    return isPatterned(meta.name, meshNamespace, namespace, service) ? [] : [{ service, namespace, shadow: meta.name }];
  });
}
