import type { Api } from "../kube/api-client.ts";
import { MESH_LABELS } from "./own-objects.ts";

interface Deployments {
  readonly items?: readonly { readonly metadata: { readonly namespace: string } }[];
}

/** The namespaces that have a mesh's controller, sorted. @throws ApiError where they may not be asked about */
export async function meshNamespaces(api: Api): Promise<readonly string[]> {
  const labelSelector = Object.entries(MESH_LABELS)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
  const { items = [] } = await api.request<Deployments>("GET", "/apis/apps/v1/deployments", {
    query: { labelSelector },
  });
  return [...new Set(items.map(({ metadata }) => metadata.namespace))].sort();
}
