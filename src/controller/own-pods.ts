/** Pods of this mesh: its proxies, and the replicas of its controller. */
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { Pod } from "../model/objects.ts";
import { PROXY_SELECTOR } from "./own-objects.ts";

/** In the order of their names. */
export function ownPods(state: ClusterStateView, namespace: string, component: "proxy" | "controller"): Pod[] {
  const pods = [...state.list("Pod")].filter(
    ({ meta }) =>
      meta.namespace === namespace &&
      meta.labels["app.kubernetes.io/part-of"] === PROXY_SELECTOR["app.kubernetes.io/name"] &&
      meta.labels["app.kubernetes.io/component"] === component,
  );
  return pods.sort((a, b) => (a.meta.name < b.meta.name ? -1 : 1));
}
