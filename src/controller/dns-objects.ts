/** Cluster DNS at the API server: what a plan is made from, and how it is put into effect. */
import type { ChangedObject, ObjectChange } from "../coredns/dns-plan.ts";
import {
  type ConfigMapJson,
  configMapsToRead,
  DNS_NAMESPACE,
  type DnsOperatorJson,
  type ObjectJson,
  type ObservedDns,
  type WorkloadJson,
  type WorkloadRef,
} from "../coredns/dns-provider.ts";
import { type Api, MERGE_PATCH } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";

export const OPERATOR = "/apis/operator.openshift.io/v1/dnses/default";
/** On the Pods of cluster DNS, so that a change of the configuration is a new rollout. */
const RESTART_ANNOTATION = "tulle.dev/dns-configuration";
/** On the workload itself, as long as it is not known whether it gets ready with a change: the change's mark. */
export const TRIAL_ANNOTATION = "tulle.dev/dns-trial";

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

/**
 * Writes the changes in their order.
 * @returns the versions that the objects have now, empty for one that is gone
 * @throws ApiError; what was written before stays written
 */
export async function writeChanges(api: Api, changes: readonly ObjectChange[]): Promise<string[]> {
  const versions: string[] = [];
  for (const change of changes) versions.push(await writeChange(api, change));
  return versions;
}

async function writeChange(api: Api, change: ObjectChange): Promise<string> {
  const path = pathOf(change.object);
  if (change.action === "create")
    return versionOf(await api.request("POST", path.slice(0, path.lastIndexOf("/")), { body: change.body }));
  const { resourceVersion } = change;
  if (change.action === "delete") {
    await remove(api, path, resourceVersion);
    return "";
  }
  const metadata = resourceVersion === undefined ? {} : { metadata: { resourceVersion } };
  const body = { ...change.mergePatch, ...metadata };
  return versionOf(await api.request("PATCH", path, { contentType: MERGE_PATCH, body }));
}

const versionOf = (written: ObjectJson) => written.metadata?.resourceVersion ?? "";

/**
 * What takes the changes back, made from what was observed before them.
 * @param versions that the objects had once they were changed: what somebody writes after that is not undone
 */
export function reversed(
  observed: ObservedDns,
  changes: readonly ObjectChange[],
  versions: readonly string[],
): ObjectChange[] {
  return changes
    .flatMap((change, index): ObjectChange[] => {
      const { object } = change;
      if (object.kind !== "ConfigMap") return [];
      const resourceVersion = versions[index] ?? "";
      const before = observed.configMaps[object.name];
      if (change.action === "create") return [{ action: "delete", object, resourceVersion }];
      if (before === undefined) return [];
      if (change.action === "delete")
        return [{ action: "create", object, body: { ...before, apiVersion: "v1", kind: "ConfigMap" } }];
      const written = Object.keys((change.mergePatch as { data?: object }).data ?? {});
      const data = Object.fromEntries(written.map((key) => [key, before.data?.[key] ?? null]));
      return [{ action: "update", object, resourceVersion, mergePatch: { data } }];
    })
    .reverse();
}

/** @param mark of the change that the Pods are to have loaded */
export async function restartWorkload(api: Api, workload: WorkloadRef, mark: string): Promise<void> {
  const body = { spec: podAnnotation(mark) };
  await api.request("PATCH", workloadPath(workload), { contentType: MERGE_PATCH, body });
}

/** Restarts it without any mark of ours, once the configuration is as it was. @throws ApiError */
export async function unmarkWorkload(api: Api, workload: WorkloadRef): Promise<void> {
  await api.request("PATCH", workloadPath(workload), { contentType: MERGE_PATCH, body: { spec: podAnnotation(null) } });
}

/** Of a workload. @param mark null: as it was before any of ours */
export const podAnnotation = (mark: string | null) => ({
  template: { metadata: { annotations: { [RESTART_ANNOTATION]: mark } } },
});

export interface RolloutStatus {
  readonly done: boolean;
  /** At least one of the new Pods is available. */
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
  const ofDaemonSet = workload.kind === "DaemonSet";
  const updated = (ofDaemonSet ? status.updatedNumberScheduled : status.updatedReplicas) ?? 0;
  const unavailable = (ofDaemonSet ? status.numberUnavailable : status.unavailableReplicas) ?? 0;
  const wanted = ofDaemonSet ? (status.desiredNumberScheduled ?? 0) : (spec.replicas ?? 1);
  const whole = ofDaemonSet
    ? unavailable === 0
    : (status.replicas ?? 0) <= updated && (status.availableReplicas ?? 0) >= updated;
  const done = seen && updated >= wanted && whole;
  // The status does not say which Pods are unavailable. Were it all of them new ones, one would still be ready.
  return { done, started: done || (seen && updated > unavailable) };
}

function pathOf({ apiVersion, kind, namespace, name }: ChangedObject): string {
  if (kind === "ConfigMap") return `/api/v1/namespaces/${namespace}/configmaps/${name}`;
  return `/apis/${apiVersion}/${kind.toLowerCase()}es/${name}`;
}

const configMapPath = (name: string) => `/api/v1/namespaces/${DNS_NAMESPACE}/configmaps/${name}`;

export function workloadPath({ kind, namespace, name }: WorkloadRef): string {
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

async function remove(api: Api, path: string, resourceVersion: string | undefined): Promise<void> {
  const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { resourceVersion } };
  try {
    await api.request("DELETE", path, resourceVersion === undefined ? {} : { body });
  } catch (error) {
    if (!isApiError(error, 404)) throw error;
  }
}
