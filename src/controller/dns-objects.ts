/** Cluster DNS at the API server: what a plan is made from, and how it is put into effect. */
import type { ChangedObject, ObjectChange } from "../coredns/dns-plan.ts";
import {
  type ConfigMapJson,
  configMapsToRead,
  DNS_NAMESPACE,
  type DnsOperatorJson,
  type ObservedDns,
  type WorkloadJson,
  type WorkloadRef,
} from "../coredns/dns-provider.ts";
import { type Api, MERGE_PATCH } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";

const OPERATOR = "/apis/operator.openshift.io/v1/dnses/default";
/** On the Pods of cluster DNS, so that a change of the configuration is a new rollout. */
const RESTART_ANNOTATION = "tulle.dev/dns-configuration";

/** @throws ApiError */
export async function observeDns(api: Api): Promise<ObservedDns> {
  const apps = `/apis/apps/v1/namespaces/${DNS_NAMESPACE}`;
  const [deployments, daemonSets, dnsOperator] = await Promise.all([
    list(api, `${apps}/deployments`, "Deployment"),
    list(api, `${apps}/daemonsets`, "DaemonSet"),
    found<DnsOperatorJson>(api, OPERATOR),
  ]);
  const workloads = [...deployments, ...daemonSets];
  const names = configMapsToRead(workloads);
  const maps = await Promise.all(names.map((name) => found<ConfigMapJson>(api, configMapPath(name))));
  const configMaps: Record<string, ConfigMapJson> = {};
  for (const [index, name] of names.entries()) {
    const map = maps[index];
    if (map !== undefined) configMaps[name] = map;
  }
  return {
    workloads,
    configMaps,
    ...(dnsOperator === undefined ? {} : { dnsOperator }),
  };
}

/** Writes the changes in their order. @throws ApiError; what was written before stays written */
export async function writeChanges(api: Api, changes: readonly ObjectChange[]): Promise<void> {
  for (const change of changes) {
    const path = pathOf(change.object);
    if (change.action === "create")
      await api.request("POST", path.slice(0, path.lastIndexOf("/")), { body: change.body });
    else if (change.action === "delete") await remove(api, path);
    else {
      const { resourceVersion, mergePatch } = change;
      const metadata = resourceVersion === undefined ? {} : { metadata: { resourceVersion } };
      await api.request("PATCH", path, { contentType: MERGE_PATCH, body: { ...mergePatch, ...metadata } });
    }
  }
}

/** What takes the changes back, made from what was observed before them. */
export function reversed(observed: ObservedDns, changes: readonly ObjectChange[]): ObjectChange[] {
  return changes.toReversed().flatMap((change): ObjectChange[] => {
    const { object } = change;
    if (object.kind !== "ConfigMap") return [];
    const before = observed.configMaps[object.name];
    if (change.action === "create") return [{ action: "delete", object }];
    if (before === undefined) return [];
    if (change.action === "delete")
      return [{ action: "create", object, body: { ...before, apiVersion: "v1", kind: "ConfigMap" } }];
    const written = Object.keys((change.mergePatch as { data?: object }).data ?? {});
    const data = Object.fromEntries(written.map((key) => [key, before.data?.[key] ?? null]));
    return [{ action: "update", object, mergePatch: { data } }];
  });
}

/** @param mark of the configuration that the Pods are to have; null takes the mark away */
export async function restartWorkload(api: Api, workload: WorkloadRef, mark: string | null): Promise<void> {
  const annotations = { [RESTART_ANNOTATION]: mark };
  const body = { spec: { template: { metadata: { annotations } } } };
  await api.request("PATCH", workloadPath(workload), { contentType: MERGE_PATCH, body });
}

export interface RolloutStatus {
  readonly done: boolean;
  /** One of the new Pods is ready. */
  readonly started: boolean;
}

interface WorkloadStatus {
  readonly metadata: { readonly generation: number };
  readonly spec: { readonly replicas?: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
    readonly unavailableReplicas?: number;
    readonly desiredNumberScheduled?: number;
    readonly updatedNumberScheduled?: number;
    readonly numberUnavailable?: number;
  };
}

export async function rolloutStatus(api: Api, workload: WorkloadRef): Promise<RolloutStatus> {
  const { metadata, spec, status = {} } = await api.request<WorkloadStatus>("GET", workloadPath(workload));
  const seen = (status.observedGeneration ?? 0) >= metadata.generation;
  if (workload.kind === "DaemonSet") {
    const wanted = status.desiredNumberScheduled ?? 0;
    const done = seen && (status.updatedNumberScheduled ?? 0) >= wanted && (status.numberUnavailable ?? 0) === 0;
    return { done, started: done };
  }
  const wanted = spec.replicas ?? 1;
  const updated = status.updatedReplicas ?? 0;
  const done =
    seen && updated >= wanted && (status.replicas ?? 0) <= updated && (status.availableReplicas ?? 0) >= updated;
  return { done, started: done || (seen && updated > 0 && (status.unavailableReplicas ?? 0) === 0) };
}

function pathOf({ apiVersion, kind, namespace, name }: ChangedObject): string {
  if (kind === "ConfigMap") return `/api/v1/namespaces/${namespace}/configmaps/${name}`;
  return `/apis/${apiVersion}/${kind.toLowerCase()}es/${name}`;
}

const configMapPath = (name: string) => `/api/v1/namespaces/${DNS_NAMESPACE}/configmaps/${name}`;

function workloadPath({ kind, namespace, name }: WorkloadRef): string {
  return `/apis/apps/v1/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`;
}

async function list(api: Api, path: string, kind: string): Promise<WorkloadJson[]> {
  const { items = [] } = await api.request<{ items?: WorkloadJson[] }>("GET", path);
  return items.map((item) => ({ ...item, kind }));
}

/** @returns undefined where there is no such object, or none that we may see */
async function found<T>(api: Api, path: string): Promise<T | undefined> {
  try {
    return await api.request<T>("GET", path);
  } catch (error) {
    if (isApiError(error, 404) || isApiError(error, 403)) return undefined;
    throw error;
  }
}

async function remove(api: Api, path: string): Promise<void> {
  try {
    await api.request("DELETE", path);
  } catch (error) {
    if (!isApiError(error, 404)) throw error;
  }
}
