import type { ClusterStateView } from "../model/cluster-state.ts";
import {
  type EndpointSlice,
  type Kind,
  keyOf,
  type MeshObject,
  type Meta,
  type ObjectOf,
  type Pod,
  refOf,
  type Service,
  type SliceEndpoint,
} from "../model/objects.ts";
import { type Problem, problem } from "../model/problems.ts";
import type { Topology, TopologyEndpoint, TopologyPort, TopologyService, TopologyWorkload } from "./topology.ts";

export interface TopologyOptions {
  /** Only objects of these namespaces, Pods that call included; empty or absent: of all. */
  readonly watchNamespaces?: readonly string[];
  readonly ignoreNamespaces?: readonly string[];
}

/** Never of the mesh, whatever the options. */
const SYSTEM_NAMESPACE = "kube-system";
/** Value of label `app` on the original mesh's own objects and its tracing. */
export const OWN_APPS = ["maesh", "jaeger"];
/** Label of every object of ours in a cluster. */
const PART_OF = "app.kubernetes.io/part-of";
const OWN_PART_OF = "tulle";

/**
 * Who serves, who calls, and what the user says about it. A pure function of the objects: their order does not matter,
 * and what is wrong with one takes nothing from the others.
 */
export function buildTopology(state: ClusterStateView, options: TopologyOptions = {}): Topology {
  const problems: Problem[] = [];
  const within = namespaceFilter(options);
  const listed = <K extends Kind>(kind: K): ObjectOf<K>[] =>
    [...state.list(kind)].filter((object) => isOfMesh(object, within)).sort(byKey);

  const workloads = indexWorkloads(listed("Pod"), zones(state), problems);
  const slices = slicesByService(listed("EndpointSlice"));
  const services = new Map<string, TopologyService>();
  for (const service of listed("Service")) {
    const key = keyOf(service.meta);
    const resolved = resolveService(service, slices.get(key) ?? [], state, workloads, problems);
    if (resolved !== undefined) services.set(key, resolved);
  }
  return {
    services,
    workloads,
    identities: new Set([...workloads.values()].map((each) => `${each.namespace}/${each.serviceAccount}`)),
    within,
    httpRouteGroups: index(listed("HTTPRouteGroup")),
    tcpRoutes: index(listed("TCPRoute")),
    udpRoutes: index(listed("UDPRoute")),
    targets: listed("TrafficTarget"),
    splits: listed("TrafficSplit").sort(byAge),
    problems,
  };
}

/** Which namespaces are of the mesh: their Services are served, their Pods are somebody, their objects count. */
export function namespaceFilter({ watchNamespaces = [], ignoreNamespaces = [] }: TopologyOptions) {
  const watched = new Set(watchNamespaces);
  const ignored = new Set([...ignoreNamespaces, SYSTEM_NAMESPACE]);
  return (namespace: string) => (watched.size === 0 || watched.has(namespace)) && !ignored.has(namespace);
}

export function isOfMesh(object: MeshObject, within: (namespace: string) => boolean): boolean {
  const { meta } = object;
  if (!within(meta.namespace) || meta.labels[PART_OF] === OWN_PART_OF) return false;
  return !OWN_APPS.includes(meta.labels["app"] ?? "");
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
/** The oldest first, then by key. */
export const byAge = (a: { readonly meta: Meta }, b: { readonly meta: Meta }) =>
  a.meta.createdAt - b.meta.createdAt || byKey(a, b);
export const byKey = (a: { readonly meta: Meta }, b: { readonly meta: Meta }) => compare(keyOf(a.meta), keyOf(b.meta));

function index<T extends { readonly meta: Meta }>(objects: readonly T[]): Map<string, T> {
  return new Map(objects.map((object) => [keyOf(object.meta), object]));
}

function zones(state: ClusterStateView): ReadonlyMap<string, string> {
  const byNode = new Map<string, string>();
  for (const { meta, zone } of state.list("Node")) if (zone !== undefined) byNode.set(meta.name, zone);
  return byNode;
}

/**
 * Who calls from an address. A Pod that has completed gave its address back; one on the node's network shares it with
 * everything there; an address that two Pods claim says nothing about who calls.
 */
function indexWorkloads(
  pods: readonly Pod[],
  zoneOf: ReadonlyMap<string, string>,
  problems: Problem[],
): Map<string, TopologyWorkload> {
  const owners = new Map<string, Pod[]>();
  for (const pod of pods) for (const ip of claimedBy(pod)) owners.set(ip, [...(owners.get(ip) ?? []), pod]);
  const workloads = new Map<string, TopologyWorkload>();
  for (const ip of [...owners.keys()].sort(compare)) {
    const workload = workloadAt(ip, owners.get(ip) as Pod[], (node) => zoneOf.get(node), problems);
    if (workload !== undefined) workloads.set(ip, workload);
  }
  return workloads;
}

/** Addresses that are a Pod's as long as no other claims them. */
export function claimedBy({ hostNetwork, phase, ips }: Pod): ReadonlySet<string> {
  return new Set(hostNetwork || phase === "Succeeded" || phase === "Failed" ? [] : ips);
}

/** @param claimants in key order */
export function workloadAt(
  ip: string,
  claimants: readonly Pod[],
  zoneOf: (node: string) => string | undefined,
  problems: Problem[],
): TopologyWorkload | undefined {
  const [owner] = claimants;
  if (claimants.length > 1) for (const pod of claimants) problems.push(sharedAddress(pod, ip, claimants));
  return owner === undefined || claimants.length > 1 ? undefined : asWorkload(owner, zoneOf);
}

function asWorkload(pod: Pod, zoneOf: (node: string) => string | undefined): TopologyWorkload {
  const { nodeName, workload: name } = pod;
  const zone = nodeName === undefined ? undefined : zoneOf(nodeName);
  return {
    namespace: pod.meta.namespace,
    pod: pod.meta.name,
    serviceAccount: pod.serviceAccount,
    ...(name === undefined ? {} : { workload: name }),
    ...(nodeName === undefined ? {} : { node: nodeName }),
    ...(zone === undefined ? {} : { zone }),
  };
}

function sharedAddress(pod: Pod, ip: string, claimants: readonly Pod[]): Problem {
  const others = claimants.filter((other) => other !== pod).map((other) => keyOf(other.meta));
  return problem(
    "PodAddressShared",
    refOf(pod),
    "status.podIP",
    `address ${ip} is also that of Pod ${others.join(", ")}`,
  );
}

function slicesByService(slices: readonly EndpointSlice[]): Map<string, EndpointSlice[]> {
  const byService = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const key = `${slice.meta.namespace}/${slice.service}`;
    const known = byService.get(key);
    if (known === undefined) byService.set(key, [slice]);
    else known.push(slice);
  }
  return byService;
}

/**
 * @param slices those of the Service, in key order
 * @returns undefined for what is no Service of the mesh
 */
export function resolveService(
  service: Service,
  slices: readonly EndpointSlice[],
  state: ClusterStateView,
  workloads: ReadonlyMap<string, TopologyWorkload>,
  problems: Problem[],
): TopologyService | undefined {
  const key = keyOf(service.meta);
  if (key === "default/kubernetes") return undefined;
  if (service.type !== "ExternalName") return { key, service, ports: resolvePorts(service, slices, state, workloads) };
  problems.push(problem("ExternalNameUnsupported", refOf(service), "spec.type", "it is of type ExternalName"));
  return undefined;
}

function resolvePorts(
  service: Service,
  slices: readonly EndpointSlice[],
  state: ClusterStateView,
  workloads: ReadonlyMap<string, TopologyWorkload>,
): TopologyPort[] {
  return service.ports.map(({ name, port, protocol }) => {
    // By address and port: slices may name an endpoint twice while they are being rearranged.
    const endpoints = new Map<string, TopologyEndpoint>();
    for (const slice of slices) {
      for (const slicePort of slice.ports) {
        if (slicePort.name !== name || slicePort.protocol !== protocol) continue;
        for (const endpoint of slice.endpoints) {
          if (!endpoint.ready && !service.publishNotReadyAddresses) continue;
          for (const address of endpoint.addresses)
            endpoints.set(
              `${address} ${slicePort.port}`,
              resolveEndpoint(endpoint, address, slicePort.port, state, workloads),
            );
        }
      }
    }
    const sorted = [...endpoints.keys()].sort(compare).map((key) => endpoints.get(key) as TopologyEndpoint);
    return { name, port, protocol, endpoints: sorted };
  });
}

function resolveEndpoint(
  endpoint: SliceEndpoint,
  address: string,
  port: number,
  state: ClusterStateView,
  workloads: ReadonlyMap<string, TopologyWorkload>,
): TopologyEndpoint {
  const owner = workloads.get(address);
  const named = endpoint.pod === undefined ? undefined : state.get("Pod", keyOf(endpoint.pod));
  // Where slice and address disagree, one of them is out of date, and neither may open anything.
  const agreed =
    named === undefined ||
    (owner !== undefined && owner.pod === named.meta.name && owner.namespace === named.meta.namespace);
  const node = endpoint.nodeName ?? owner?.node;
  const zone = endpoint.zone ?? owner?.zone;
  const pod = endpoint.pod ?? (owner === undefined ? undefined : { namespace: owner.namespace, name: owner.pod });
  return {
    address,
    port,
    ...(pod === undefined ? {} : { pod: keyOf(pod) }),
    ...(owner === undefined || !agreed ? {} : { identity: `${owner.namespace}/${owner.serviceAccount}` }),
    ...(node === undefined ? {} : { node }),
    ...(zone === undefined ? {} : { zone }),
  };
}
