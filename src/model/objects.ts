/**
 * The Kubernetes and SMI objects as the mesh sees them: only the fields that it reads, in one form for every API
 * version. Sources (kube, manifests) decode into these; everything after trusts the types.
 */

/** Which object, without its content. `namespace` is empty for cluster-scoped kinds. */
export interface ObjectRef {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface Meta {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch; 0 where the source has no creation time (a manifest). */
  readonly createdAt: number;
}

export interface Namespace {
  readonly kind: "Namespace";
  readonly meta: Meta;
}

export interface Node {
  readonly kind: "Node";
  readonly meta: Meta;
  /** Label `topology.kubernetes.io/zone`. */
  readonly zone?: string;
}

export interface ServiceAccount {
  readonly kind: "ServiceAccount";
  readonly meta: Meta;
}

export type Protocol = "TCP" | "UDP" | "SCTP";

export interface ServicePort {
  /** Empty where the port has no name (allowed for a single port). */
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** A container port's number or name; the port itself where the manifest is silent. */
  readonly targetPort: number | string;
  readonly appProtocol?: string;
}

export interface Service {
  readonly kind: "Service";
  readonly meta: Meta;
  readonly type: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
  /** All cluster addresses, empty for headless (`None`), ExternalName and not yet allotted. */
  readonly clusterIPs: readonly string[];
  readonly headless: boolean;
  readonly externalName?: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly publishNotReadyAddresses: boolean;
  readonly ipFamilyPolicy?: string;
  readonly trafficDistribution?: string;
  /** Where it is not `Cluster`. */
  readonly internalTrafficPolicy?: string;
  /** Where it is not `None`. */
  readonly sessionAffinity?: string;
  /** Where there are any. */
  readonly externalIPs?: readonly string[];
  readonly ports: readonly ServicePort[];
}

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly nodeName?: string;
  readonly zone?: string;
  /** The Pod behind the address, where the slice names one. */
  readonly pod?: { readonly namespace: string; readonly name: string };
}

export interface SlicePort {
  /** Equals the Service port's name; empty for an unnamed port. */
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
}

/** discovery.k8s.io/v1 EndpointSlice. Core/v1 Endpoints become one, as the mirroring controller does it. */
export interface EndpointSlice {
  readonly kind: "EndpointSlice";
  readonly meta: Meta;
  /** Label `kubernetes.io/service-name`; the Service is in the slice's namespace. */
  readonly service: string;
  readonly addressType: "IPv4" | "IPv6" | "FQDN";
  readonly endpoints: readonly SliceEndpoint[];
  readonly ports: readonly SlicePort[];
}

export interface ContainerPort {
  readonly name: string;
  readonly containerPort: number;
  readonly protocol: Protocol;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly ContainerPort[];
}

/** What made a Pod, as its metadata.ownerReferences say it. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** Empty where there is no API server that gave one. */
  readonly uid: string;
  readonly controller: boolean;
}

export interface Pod {
  readonly kind: "Pod";
  readonly meta: Meta;
  /** Empty while the Pod has no address. */
  readonly ips: readonly string[];
  readonly phase: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
  readonly ready: boolean;
  /** Shares the node's network: its address says nothing about who calls. */
  readonly hostNetwork: boolean;
  readonly serviceAccount: string;
  /** What it is one of (workloadName); absent: it is on its own. */
  readonly workload?: string;
  /** The kind of that. */
  readonly workloadKind?: string;
  /** Absent where there are none. */
  readonly owners?: readonly OwnerReference[];
  readonly nodeName?: string;
  readonly containers: readonly Container[];
}

export interface HttpRouteMatch {
  readonly name: string;
  readonly pathRegex?: string;
  readonly methods?: readonly string[];
  readonly headers?: readonly { readonly name: string; readonly value: string }[];
}

/** specs.smi-spec.io HTTPRouteGroup, every version. */
export interface HTTPRouteGroup {
  readonly kind: "HTTPRouteGroup";
  readonly meta: Meta;
  readonly version: string;
  readonly matches: readonly HttpRouteMatch[];
}

/** specs.smi-spec.io TCPRoute and UDPRoute. `ports` absent or empty: every port. They are the pod's ports. */
export interface TCPRoute {
  readonly kind: "TCPRoute";
  readonly meta: Meta;
  readonly version: string;
  readonly ports?: readonly number[];
}
export interface UDPRoute {
  readonly kind: "UDPRoute";
  readonly meta: Meta;
  readonly version: string;
  readonly ports?: readonly number[];
}

export interface TargetSubject {
  readonly kind: string;
  readonly name: string;
  /** Absent where the manifest names none. */
  readonly namespace?: string;
}

export interface TargetRule {
  readonly kind: string;
  readonly name: string;
  /** Absent or empty: every match of the group. */
  readonly matches?: readonly string[];
}

/** access.smi-spec.io TrafficTarget, every version. `specs` of v1alpha1 are its rules. */
export interface TrafficTarget {
  readonly kind: "TrafficTarget";
  readonly meta: Meta;
  readonly version: string;
  /** `port` is the pod's port; 0 and absent: every port. */
  readonly destination: TargetSubject & { readonly port?: number };
  /** Absent where the manifest has no such field, which v1alpha2 reads as "every HTTP request". */
  readonly rules?: readonly TargetRule[];
  readonly sources: readonly TargetSubject[];
}

export interface SplitBackend {
  readonly service: string;
  /** Relative, ≥ 0. v1alpha1's quantities are in thousandths: `500m` is 500, `1` is 1000. */
  readonly weight: number;
}

/** split.smi-spec.io TrafficSplit, every version. */
export interface TrafficSplit {
  readonly kind: "TrafficSplit";
  readonly meta: Meta;
  readonly version: string;
  readonly service: string;
  readonly backends: readonly SplitBackend[];
  readonly matches: readonly { readonly kind: string; readonly name: string }[];
}

/** Every kind that a ClusterState holds. Workload templates (Deployment …) exist only before it: as their Pods. */
export type MeshObject =
  | Namespace
  | Node
  | ServiceAccount
  | Service
  | EndpointSlice
  | Pod
  | HTTPRouteGroup
  | TCPRoute
  | UDPRoute
  | TrafficTarget
  | TrafficSplit;

export type Kind = MeshObject["kind"];
export type ObjectOf<K extends Kind> = Extract<MeshObject, { kind: K }>;

export const KINDS = [
  "Namespace",
  "Node",
  "ServiceAccount",
  "Service",
  "EndpointSlice",
  "Pod",
  "HTTPRouteGroup",
  "TCPRoute",
  "UDPRoute",
  "TrafficTarget",
  "TrafficSplit",
] as const satisfies readonly Kind[];

/** `namespace/name`, or `name` alone for a cluster-scoped object. */
export function keyOf(of: { readonly namespace: string; readonly name: string }): string {
  return of.namespace === "" ? of.name : `${of.namespace}/${of.name}`;
}

export function refOf(object: MeshObject): ObjectRef {
  return { kind: object.kind, namespace: object.meta.namespace, name: object.meta.name };
}

/** As an operator reads and greps it: `Service whoami/whoami`. */
export function formatRef(ref: ObjectRef): string {
  return `${ref.kind} ${keyOf(ref)}`;
}
