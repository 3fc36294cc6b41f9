import { meshNamespaces } from "../controller/mesh-namespaces.ts";
import type { Api } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import { DEFAULT_NAMESPACE } from "./cluster-options.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Where the mesh is installed: as told, or as its controller says.
 * @throws UsageError where there are several
 */
export async function meshNamespace(api: Api, told: string | undefined): Promise<string> {
  if (told !== undefined) return told;
  try {
    const namespaces = await meshNamespaces(api);
    if (namespaces.length > 1)
      throw new UsageError(
        `there is a mesh in each of the namespaces ${namespaces.join(", ")}: say which with --namespace`,
      );
    return namespaces[0] ?? DEFAULT_NAMESPACE;
  } catch (error) {
    // Who may not look everywhere may still look there.
    if (isApiError(error, 403)) return DEFAULT_NAMESPACE;
    throw error;
  }
}
