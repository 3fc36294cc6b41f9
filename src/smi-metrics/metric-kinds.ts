/** The kinds of objects that have TrafficMetrics: those of SMI's list that a proxy's counters can be laid to. */

export interface MetricKind {
  readonly kind: string;
  /** In paths. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** Where the API server has the objects themselves; empty where it has them in several versions. */
  readonly api: string;
}

const kind = (name: string, plural: string, api: string, namespaced = true): MetricKind => ({
  kind: name,
  plural,
  namespaced,
  api,
});

export const METRIC_KINDS: readonly MetricKind[] = [
  kind("Namespace", "namespaces", "/api/v1", false),
  kind("Pod", "pods", "/api/v1"),
  kind("Service", "services", "/api/v1"),
  kind("ReplicationController", "replicationcontrollers", "/api/v1"),
  kind("Deployment", "deployments", "/apis/apps/v1"),
  kind("ReplicaSet", "replicasets", "/apis/apps/v1"),
  kind("StatefulSet", "statefulsets", "/apis/apps/v1"),
  kind("DaemonSet", "daemonsets", "/apis/apps/v1"),
  kind("Job", "jobs", "/apis/batch/v1"),
  kind("TrafficSplit", "trafficsplits", ""),
];
