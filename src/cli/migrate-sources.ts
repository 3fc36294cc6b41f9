/** Where `tulle migrate` reads from: a cluster, or manifests and a file of values. */
import { readFile } from "node:fs/promises";
import { parse, parseAllDocuments } from "yaml";
import type { Api } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import { findFiles, STANDARD_INPUT } from "../manifests/find-files.ts";
import { type RawObject, rawObjects } from "../migrate/installation.ts";
import { isTree, type Values } from "../migrate/value-tree.ts";
import { UsageError } from "./usage-error.ts";

/** What `helm get values` writes above them. */
const HEADINGS = ["USER-SUPPLIED VALUES", "COMPUTED VALUES"];
/** A chart of one's own that has Traefik Mesh's as a part names its values after it. */
const PARTS = ["traefik-mesh", "maesh"];

/** @throws UsageError where the file cannot be read, or holds no values */
export async function readValues(path: string): Promise<Values> {
  let values: unknown;
  try {
    values = parse(await readFile(path, "utf8")) ?? {};
  } catch (error) {
    throw new UsageError(`--values ${path}: ${(error as Error).message}`);
  }
  if (!isTree(values))
    throw new UsageError(`--values ${path}: these are no values, such as \`helm get values\` prints`);
  const entries = Object.entries(values).filter(([key]) => !HEADINGS.includes(key));
  const [first] = entries;
  if (first !== undefined && entries.length === 1 && PARTS.includes(first[0]) && isTree(first[1])) return first[1];
  return Object.fromEntries(entries);
}

/** Deployments, DaemonSets and SMI's definitions in files; what cannot be read is told by who reads the rest. */
export async function workloadsIn(paths: readonly string[]): Promise<RawObject[]> {
  const { places } = await findFiles(paths.filter((path) => path !== STANDARD_INPUT));
  const objects: RawObject[] = [];
  for (const place of places) {
    if (!("stamp" in place)) continue;
    const documents = parseAllDocuments(await readFile(place.path, "utf8"));
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
