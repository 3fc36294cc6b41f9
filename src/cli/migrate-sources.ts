/** Where `tulle migrate` reads from: a cluster, or manifests and a file of values. */
import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import type { Api } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import { findFiles, STANDARD_INPUT } from "../manifests/find-files.ts";
import { type RawObject, rawObjects } from "../migrate/installation.ts";
import type { Values } from "../migrate/value-tree.ts";
import { parseValues } from "./helm-values.ts";
import { UsageError } from "./usage-error.ts";

/** @throws UsageError where the file cannot be read, or holds no values */
export async function readValues(path: string): Promise<Values> {
  let values: Values | undefined;
  try {
    values = parseValues(await readFile(path, "utf8"));
  } catch (error) {
    throw new UsageError(`--values ${path}: ${whyUnread(error as NodeJS.ErrnoException)}`);
  }
  if (values === undefined)
    throw new UsageError(`--values ${path}: these are no values, such as \`helm get values\` prints`);
  return values;
}

function whyUnread({ code, message }: NodeJS.ErrnoException): string {
  const remedy = "`helm get values` prints it";
  if (code === "ENOENT") return `there is no such file; ${remedy}`;
  return code === "MULTIPLE_DOCS" ? `one YAML document is expected; ${remedy}` : message;
}

/**
 * Deployments, DaemonSets and SMI's definitions in files; what cannot be read is told by who reads the rest.
 * @param input what came by standard input, which can be read once
 */
export async function workloadsIn(paths: readonly string[], input = ""): Promise<RawObject[]> {
  const { places } = await findFiles(paths);
  const objects: RawObject[] = [];
  for (const place of places) {
    if (!("stamp" in place)) continue;
    const documents = parseAllDocuments(place.path === STANDARD_INPUT ? input : await readFile(place.path, "utf8"));
    for (const document of Array.isArray(documents) ? documents : [])
      if (document.errors.length === 0) objects.push(...rawObjects(document.toJS({ maxAliasCount: 100 })));
  }
  return objects;
}

/** Of Traefik Mesh and its parts. What may not be looked at is left out. @throws ApiError */
export async function workloadsOf(api: Api): Promise<RawObject[]> {
  const labelSelector = "app in (maesh,jaeger)";
  const list = async (path: string, kind: string, query: Record<string, string>) => {
    try {
      const { items = [] } = await api.request<{ items?: object[] }>("GET", path, { query });
      return items.flatMap((item) => rawObjects({ ...item, kind }));
    } catch (error) {
      if (isApiError(error, 403) || isApiError(error, 404)) return [];
      throw error;
    }
  };
  const [deployments, daemonSets, definitions] = await Promise.all([
    list("/apis/apps/v1/deployments", "Deployment", { labelSelector }),
    list("/apis/apps/v1/daemonsets", "DaemonSet", { labelSelector }),
    list("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "CustomResourceDefinition", {}),
  ]);
  return [...deployments, ...daemonSets, ...definitions.filter(({ name }) => name.endsWith(".smi-spec.io"))];
}
