/** The resources that the mesh reads, and which of them a cluster has. */
import { SMI_KINDS } from "../model/decode/smi-kinds.ts";
import type { Kind } from "../model/objects.ts";
import type { Api } from "./api-client.ts";
import type { Resource } from "./reflector.ts";

/** In every cluster. Finished Pods have given their address back, and a Pod without node never had one. */
export const CORE_RESOURCES: readonly (Resource & { readonly kind: Kind })[] = [
  { path: "/api/v1/services", apiVersion: "v1", kind: "Service" },
  {
    path: "/api/v1/pods",
    apiVersion: "v1",
    kind: "Pod",
    fieldSelector: "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!=",
  },
  {
    path: "/apis/discovery.k8s.io/v1/endpointslices",
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    // The cluster makes one for every shadow service, with its labels, and changes all of them with every proxy.
    labelSelector: "app.kubernetes.io/managed-by!=tulle",
  },
  { path: "/api/v1/nodes", apiVersion: "v1", kind: "Node", metadataOnly: true },
];

interface GroupList {
  readonly groups?: readonly {
    readonly name: string;
    readonly versions: readonly { readonly version: string }[];
    readonly preferredVersion?: { readonly version: string };
  }[];
}

interface ResourceList {
  readonly resources?: readonly { readonly name: string; readonly kind: string }[];
}

export interface Discovered {
  readonly resources: readonly (Resource & { readonly kind: Kind })[];
  /** Groups of SMI of which the cluster serves no version that we read: group, versions. */
  readonly unknown: readonly { readonly group: string; readonly versions: readonly string[] }[];
}

const SMI_GROUPS = [...new Set(Object.values(SMI_KINDS).map(({ group }) => group))];

/** SMI's resources that the cluster has now, each in the version that it prefers, if we read that. @throws ApiError */
export async function discoverSmi(api: Api, signal: AbortSignal): Promise<Discovered> {
  const { groups = [] } = await api.request<GroupList>("GET", "/apis", { signal });
  const resources: (Resource & { readonly kind: Kind })[] = [];
  const unknown: { group: string; versions: string[] }[] = [];
  for (const group of SMI_GROUPS) {
    const served = groups.find(({ name }) => name === group);
    if (served === undefined) continue;
    const versions = served.versions.map(({ version }) => version);
    const kinds = Object.entries(SMI_KINDS).filter(([, decoder]) => decoder.group === group);
    const preferred = served.preferredVersion?.version;
    const order = [...(preferred === undefined ? [] : [preferred]), ...versions];
    const found = await kindsByVersion(api, group, [...new Set(order)], kinds, signal);
    if (found.length === 0) unknown.push({ group, versions });
    resources.push(...found);
  }
  return { resources, unknown };
}

/** Each kind in the first version that serves it and that we read. */
async function kindsByVersion(
  api: Api,
  group: string,
  versions: readonly string[],
  kinds: readonly (readonly [string, { readonly versions: readonly string[] }])[],
  signal: AbortSignal,
): Promise<(Resource & { readonly kind: Kind })[]> {
  const found = new Map<string, Resource & { readonly kind: Kind }>();
  for (const version of versions) {
    const wanted = kinds.filter(([kind, decoder]) => decoder.versions.includes(version) && !found.has(kind));
    if (wanted.length === 0) continue;
    const base = `/apis/${group}/${version}`;
    const { resources = [] } = await api.request<ResourceList>("GET", base, { signal });
    for (const [kind] of wanted) {
      const resource = resources.find((each) => each.kind === kind && !each.name.includes("/"));
      if (resource === undefined) continue;
      found.set(kind, { path: `${base}/${resource.name}`, apiVersion: `${group}/${version}`, kind: kind as Kind });
    }
  }
  return [...found.values()];
}
