/**
 * Which objects a caller or a Service of a report stands for. Proxies count by workload and Service, so a Pod is told only
 * where it is the one there is, and a Service's workload only where all its endpoints are of that one: else it would be a
 * guess.
 */
import type { ClusterStateView } from "../model/cluster-state.ts";
import { keyOf, type ObjectRef, type Pod } from "../model/objects.ts";

export interface Owners {
  /** What its Pods are one of; a Pod on its own is its own. */
  readonly workload?: ObjectRef;
  readonly pod?: ObjectRef;
}

interface Workload {
  /** Several, where a Deployment and a CronJob have one name. */
  readonly kinds: Set<string>;
  /** Of one of its Pods. */
  readonly pod: string;
  pods: number;
}

export class MeshResources {
  readonly #state: ClusterStateView;
  /** By `namespace/name`, as proxies name callers. */
  readonly #workloads = new Map<string, Workload>();
  readonly #namespaces = new Set<string>();
  /** Keys of the Pods behind each Service. */
  readonly #backing = new Map<string, Set<string>>();
  /** What was found of Services: many edges lead to the same. */
  readonly #servers = new Map<string, Owners>();

  constructor(state: ClusterStateView) {
    this.#state = state;
    for (const pod of state.list("Pod")) this.#addPod(pod);
    for (const { meta } of state.list("Service")) this.#namespaces.add(meta.namespace);
    for (const { meta, service, endpoints } of state.list("EndpointSlice")) {
      const key = `${meta.namespace}/${service}`;
      const pods = this.#backing.get(key) ?? new Set();
      for (const { pod } of endpoints) if (pod !== undefined) pods.add(keyOf(pod));
      this.#backing.set(key, pods);
    }
  }

  /** @param source `namespace/workload`, or `namespace/pod` for one on its own */
  caller(source: string): Owners {
    const known = this.#workloads.get(source);
    if (known === undefined || known.kinds.size > 1) return {};
    const [namespace = "", name = ""] = source.split("/");
    const [kind = ""] = known.kinds;
    const pod = { kind: "Pod", namespace, name: known.pod };
    return { workload: { kind, namespace, name }, ...(known.pods === 1 ? { pod } : {}) };
  }

  /** @param service `namespace/name`, whose endpoints served */
  server(service: string): Owners {
    const found = this.#servers.get(service) ?? this.#serverOf(service);
    this.#servers.set(service, found);
    return found;
  }

  /** Whether there is such an object, as far as the mesh knows. */
  has(ref: ObjectRef): boolean {
    switch (ref.kind) {
      case "Namespace":
        return this.#namespaces.has(ref.name);
      case "Pod":
      case "Service":
      case "TrafficSplit":
        return this.#state.get(ref.kind, keyOf(ref)) !== undefined;
      default:
        return this.#workloads.get(keyOf(ref))?.kinds.has(ref.kind) ?? false;
    }
  }

  #serverOf(service: string): Owners {
    const pods = [...(this.#backing.get(service) ?? [])].flatMap((key) => this.#state.get("Pod", key) ?? []);
    const [workload, ...others] = new Set(pods.map(workloadKeyOf));
    if (workload === undefined || others.length > 0) return {};
    const { pod: _, ...owners } = this.caller(workload);
    const [first] = pods;
    if (pods.length > 1 || first === undefined) return owners;
    return { ...owners, pod: { kind: "Pod", namespace: first.meta.namespace, name: first.meta.name } };
  }

  #addPod(pod: Pod): void {
    this.#namespaces.add(pod.meta.namespace);
    const key = workloadKeyOf(pod);
    const kind = pod.workload === undefined ? "Pod" : (pod.workloadKind ?? "");
    const known = this.#workloads.get(key);
    if (known === undefined) {
      this.#workloads.set(key, { kinds: new Set([kind]), pod: pod.meta.name, pods: 1 });
      return;
    }
    known.kinds.add(kind);
    known.pods++;
  }
}

function workloadKeyOf({ meta, workload }: Pod): string {
  return `${meta.namespace}/${workload ?? meta.name}`;
}
