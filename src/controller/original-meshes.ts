/** Traefik Mesh in the same cluster, told from its Pods and Services, whatever its release is called. */
import type { Api } from "../kube/api-client.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import { keyOf } from "../model/objects.ts";
import { SHADOW_OF } from "./own-objects.ts";

export interface OriginalMesh {
  readonly namespace: string;
  /** Its controller runs: each time that it starts, it writes its blocks into cluster DNS. */
  readonly controls: boolean;
  /** It has proxies and shadow services: mesh names that lead to it are served. */
  readonly serves: boolean;
  /** Of its private CoreDNS, to which KubeDNS forwards the mesh domains. */
  readonly dnsAddresses: readonly string[];
}

/** What is read of a Pod or Service. */
export interface MeshPart {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly clusterIPs?: readonly string[];
}

interface PartJson {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly clusterIPs?: readonly string[] };
  readonly status?: { readonly phase?: string };
}

const CONTROLLER_POD = /^(?:traefik-mesh|maesh)-controller-/;
const CONTROLLER_SERVICE = /^(?:traefik-mesh|maesh)-controller$/;
const PRIVATE_DNS = "coredns";
const SEPARATOR = "-6d61657368-";

/** @param pods those that run */
export function originalMeshes(pods: readonly MeshPart[], services: readonly MeshPart[]): OriginalMesh[] {
  const theirPods = pods.filter(isTheirs);
  const theirServices = services.filter(isTheirs);
  const namespaces = new Set([...theirPods, ...theirServices].map(({ namespace }) => namespace));
  return [...namespaces].sort().map((namespace) => {
    const ofIt = (part: MeshPart) => part.namespace === namespace;
    const podsOfIt = theirPods.filter(ofIt);
    const servicesOfIt = theirServices.filter(ofIt);
    return {
      namespace,
      // Helm deletes its Service first and runs its cleanup last.
      controls:
        podsOfIt.some(({ name }) => CONTROLLER_POD.test(name)) &&
        servicesOfIt.some(({ name }) => CONTROLLER_SERVICE.test(name)),
      serves: podsOfIt.some(({ labels }) => labels["component"] === "maesh-mesh") && servicesOfIt.some(isTheirShadow),
      dnsAddresses: servicesOfIt.find(({ name }) => name === PRIVATE_DNS)?.clusterIPs ?? [],
    };
  });
}

export function originalMeshesIn(state: ClusterStateView): OriginalMesh[] {
  const pods = [...state.list("Pod")].filter(({ phase }) => phase !== "Succeeded" && phase !== "Failed");
  return originalMeshes(
    pods.map(({ meta }) => meta),
    [...state.list("Service")].map(({ meta, clusterIPs }) => ({ ...meta, clusterIPs })),
  );
}

/** As the API server says it now. @throws ApiError */
export async function readOriginalMeshes(api: Api): Promise<OriginalMesh[]> {
  const list = async (path: string): Promise<PartJson[]> => {
    const query = { labelSelector: "app=maesh" };
    const { items = [] } = await api.request<{ items?: PartJson[] }>("GET", path, { query });
    return items;
  };
  const partOf = ({ metadata, spec = {} }: PartJson): MeshPart => ({
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    labels: metadata.labels ?? {},
    clusterIPs: spec.clusterIPs ?? [],
  });
  const [pods, services] = await Promise.all([list("/api/v1/pods"), list("/api/v1/services")]);
  const running = pods.filter(({ status }) => status?.phase !== "Succeeded" && status?.phase !== "Failed");
  return originalMeshes(running.map(partOf), services.map(partOf));
}

/** Whether a change of this object may change what originalMeshes says. */
export function concernsOriginal({ kind, name }: { readonly kind: string; readonly name: string }): boolean {
  return (kind === "Pod" && CONTROLLER_POD.test(name)) || (kind === "Service" && CONTROLLER_SERVICE.test(name));
}

function isTheirs({ labels }: MeshPart): boolean {
  return labels["app"] === "maesh" && labels["app.kubernetes.io/managed-by"] !== "tulle";
}

function isTheirShadow(part: MeshPart): boolean {
  return isTheirs(part) && part.labels["type"] === "shadow";
}

/** Keys of the Services that have a mesh name from the mesh in that namespace, Traefik Mesh or Tulle; without leftovers. */
export function servedFrom(state: ClusterStateView, meshNamespace: string): string[] {
  const keys: string[] = [];
  for (const { meta } of state.list("Service")) {
    if (meta.namespace !== meshNamespace || meta.labels["app"] !== "maesh" || meta.labels["type"] !== "shadow")
      continue;
    const key = meta.annotations[SHADOW_OF] ?? keyOfShadow(meta.name, meshNamespace);
    const service = key === undefined ? undefined : state.get("Service", key);
    if (key !== undefined && service !== undefined && service.type !== "ExternalName") keys.push(key);
  }
  return keys.sort();
}

/** `MESHNS-SERVICE-6d61657368-NAMESPACE`, where it is not ambiguous. */
function keyOfShadow(name: string, meshNamespace: string): string | undefined {
  if (!name.startsWith(`${meshNamespace}-`)) return undefined;
  const [service = "", namespace, ...more] = name.slice(meshNamespace.length + 1).split(SEPARATOR);
  return namespace === undefined || more.length > 0 ? undefined : keyOf({ namespace, name: service });
}
