/**
 * SMI's TrafficMetrics from what the proxies counted: for an object, the HTTP requests that it got; for its edges, those
 * that it got from each caller and those that it sent to each server. Everything is counted by the proxy of the caller's
 * node, which SMI calls the client's side.
 */
import type { ClusterStateView } from "../model/cluster-state.ts";
import { keyOf, type ObjectRef, refOf, type SplitBackend, type TrafficSplit } from "../model/objects.ts";
import {
  DURATION_BOUNDS_MS,
  NO_COUNTS,
  sumOfCounts,
  type TrafficCounts,
  type TrafficEdge,
  type TrafficReport,
} from "../traffic/traffic-report.ts";
import { MeshResources, type Owners } from "./mesh-resources.ts";

export interface Metric {
  readonly name: string;
  readonly unit?: "ms";
  /** A Kubernetes quantity. */
  readonly value: string;
}

export interface Measured {
  readonly resource: ObjectRef;
  readonly edge: Edge;
  readonly backend?: { readonly apex: string; readonly name: string; readonly weight: number };
  readonly metrics: readonly Metric[];
}

export interface Edge {
  readonly direction: "from" | "to";
  readonly side: "client";
  /** Absent: anyone, or a caller that is no Pod of the mesh. */
  readonly resource?: ObjectRef;
}

/** One edge of a report, and what stands at its ends. */
interface Call {
  readonly counts: TrafficCounts;
  readonly sourceNamespace: string;
  readonly caller: Owners;
  /** `namespace/name` of the Service that was called, and of the one whose endpoints served: most often the same. */
  readonly called: string;
  readonly served: string;
  readonly server: Owners;
}

export class TrafficMetrics {
  readonly #state: ClusterStateView;
  readonly #resources: MeshResources;
  readonly #calls: readonly Call[];

  constructor(report: TrafficReport, state: ClusterStateView) {
    this.#state = state;
    this.#resources = new MeshResources(state);
    // What is beyond a proxy's ceiling of edges is nobody's; flows have neither answers nor times.
    const http = report.edges.filter(({ protocol, servicePort }) => protocol === "http" && servicePort !== "");
    this.#calls = http.map((edge) => this.#callOf(edge));
  }

  /** Of each object of a kind that took part in calls, in order. @param namespace empty for all */
  list(kind: string, namespace: string): Measured[] {
    if (kind === "TrafficSplit") return this.#splitsIn(namespace).flatMap((split) => this.#ofSplit(split));
    const found = new Map<string, { readonly ref: ObjectRef; counts: TrafficCounts }>();
    const take = (ref: ObjectRef, counts: TrafficCounts) => {
      if (ref.kind !== kind || (namespace !== "" && ref.namespace !== namespace)) return;
      const known = found.get(keyOf(ref));
      if (known === undefined) found.set(keyOf(ref), { ref, counts });
      else known.counts = sumOfCounts(known.counts, counts);
    };
    for (const call of this.#calls) {
      for (const ref of sendersOf(call)) take(ref, NO_COUNTS);
      for (const ref of receiversOf(call)) take(ref, call.counts);
    }
    return [...found.keys()].sort().map((key) => {
      const { ref, counts } = found.get(key) as { ref: ObjectRef; counts: TrafficCounts };
      return received(ref, counts);
    });
  }

  /** Of one object; of a split, for each backend. Empty where there is no such object. */
  get(ref: ObjectRef): Measured[] {
    if (ref.kind === "TrafficSplit") {
      const split = this.#state.get("TrafficSplit", keyOf(ref));
      return split === undefined ? [] : this.#ofSplit(split);
    }
    const calls = this.#calls.filter((call) => isIn(ref, receiversOf(call)));
    const isKnown =
      calls.length > 0 || this.#resources.has(ref) || this.#calls.some((call) => isIn(ref, sendersOf(call)));
    return isKnown ? [received(ref, sumOfCalls(calls))] : [];
  }

  /** Who called the object, and what it called. */
  edges(ref: ObjectRef): Measured[] {
    const edges = new Map<string, { readonly edge: Edge; counts: TrafficCounts }>();
    const add = (direction: Edge["direction"], peer: ObjectRef | undefined, counts: TrafficCounts) => {
      const key = `${direction} ${peer?.kind} ${peer === undefined ? "" : keyOf(peer)}`;
      const known = edges.get(key);
      const edge: Edge = { direction, side: "client", ...(peer === undefined ? {} : { resource: peer }) };
      if (known === undefined) edges.set(key, { edge, counts });
      else known.counts = sumOfCounts(known.counts, counts);
    };
    for (const call of this.#calls) {
      if (isIn(ref, receiversOf(call))) add("from", callerAs(ref.kind, call), call.counts);
      if (isIn(ref, sendersOf(call))) add("to", serverAs(ref.kind, call), call.counts);
    }
    return [...edges.keys()].sort().map((key) => {
      const { edge, counts } = edges.get(key) as { edge: Edge; counts: TrafficCounts };
      return { resource: ref, edge, metrics: metricsOf(counts) };
    });
  }

  #ofSplit(split: TrafficSplit): Measured[] {
    return split.backends.map((backend) => ({
      resource: refOf(split),
      edge: { direction: "from", side: "client" },
      backend: { apex: split.service, name: backend.service, weight: Math.round(backend.weight) },
      metrics: metricsOf(sumOfCalls(this.#throughSplit(split, backend))),
    }));
  }

  #throughSplit({ meta, service }: TrafficSplit, backend: SplitBackend): Call[] {
    const { namespace } = meta;
    return this.#calls.filter(
      ({ called, served }) => called === `${namespace}/${service}` && served === `${namespace}/${backend.service}`,
    );
  }

  #splitsIn(namespace: string): TrafficSplit[] {
    const all = [...this.#state.list("TrafficSplit")].filter(
      ({ meta }) => namespace === "" || meta.namespace === namespace,
    );
    return all.sort((a, b) => (keyOf(a.meta) < keyOf(b.meta) ? -1 : 1));
  }

  #callOf(edge: TrafficEdge): Call {
    const called = serviceOf(edge.servicePort);
    const served = edge.backend === "" ? called : serviceOf(edge.backend);
    return {
      counts: edge,
      sourceNamespace: namespaceOf(edge.source),
      caller: edge.source === "" ? {} : this.#resources.caller(edge.source),
      called,
      served,
      // A call that no endpoint was tried for reached no workload.
      server: edge.backend === "" ? {} : this.#resources.server(served),
    };
  }
}

const namespaceOf = (key: string): string => key.split("/", 1)[0] as string;
const serviceOf = (servicePort: string): string => servicePort.slice(0, servicePort.lastIndexOf(":"));
const namespaceRef = (name: string): ObjectRef => ({ kind: "Namespace", namespace: "", name });

function serviceRef(key: string): ObjectRef {
  const [namespace = "", name = ""] = key.split("/");
  return { kind: "Service", namespace, name };
}

function ownersOf({ workload, pod }: Owners): ObjectRef[] {
  if (workload?.kind === "Pod") return [workload];
  return [workload, pod].filter((ref) => ref !== undefined);
}

function sendersOf({ sourceNamespace, caller }: Call): ObjectRef[] {
  return [...(sourceNamespace === "" ? [] : [namespaceRef(sourceNamespace)]), ...ownersOf(caller)];
}

function receiversOf({ called, served, server }: Call): ObjectRef[] {
  const namespace = namespaceRef(namespaceOf(served));
  const services = called === served ? [serviceRef(served)] : [serviceRef(called), serviceRef(served)];
  return [namespace, ...services, ...ownersOf(server)];
}

function isIn({ kind, namespace, name }: ObjectRef, refs: readonly ObjectRef[]): boolean {
  return refs.some((ref) => ref.kind === kind && ref.name === name && ref.namespace === namespace);
}

function received(ref: ObjectRef, counts: TrafficCounts): Measured {
  return { resource: ref, edge: { direction: "from", side: "client" }, metrics: metricsOf(counts) };
}

/** The other end, as an object of that kind sees it: namespaces see namespaces, Pods see Pods where they can be told. */
function callerAs(kind: string, { sourceNamespace, caller }: Call): ObjectRef | undefined {
  if (kind === "Namespace") return sourceNamespace === "" ? undefined : namespaceRef(sourceNamespace);
  return kind === "Pod" ? (caller.pod ?? caller.workload) : caller.workload;
}

function serverAs(kind: string, { served, server }: Call): ObjectRef {
  if (kind === "Namespace") return namespaceRef(namespaceOf(served));
  const owner = kind === "Pod" ? (server.pod ?? server.workload) : server.workload;
  return owner ?? serviceRef(served);
}

function sumOfCalls(calls: readonly Call[]): TrafficCounts {
  return calls.reduce<TrafficCounts>((sum, { counts }) => sumOfCounts(sum, counts), NO_COUNTS);
}

export function metricsOf({ exchanges, durations }: TrafficCounts): Metric[] {
  const [unanswered = 0, ...classes] = exchanges;
  const failures = unanswered + (classes[4] ?? 0);
  const all = exchanges.reduce((sum, count) => sum + count, 0);
  const latency = (percent: number): Metric => ({
    name: `p${percent}_response_latency`,
    unit: "ms",
    value: quantity(percentileMs(percent, durations)),
  });
  return [
    latency(99),
    latency(90),
    latency(50),
    { name: "success_count", value: quantity(all - failures) },
    { name: "failure_count", value: quantity(failures) },
  ];
}

/** Within its bucket as if what is there were evenly spread, as Prometheus does it; 0 of nothing. */
export function percentileMs(percent: number, durations: readonly number[]): number {
  const rank = (percent / 100) * durations.reduce((sum, count) => sum + count, 0);
  let before = 0;
  let lower = 0;
  for (const [index, upper] of DURATION_BOUNDS_MS.entries()) {
    const count = durations[index] ?? 0;
    if (count > 0 && before + count >= rank) return lower + ((upper - lower) * (rank - before)) / count;
    before += count;
    lower = upper;
  }
  return rank === 0 ? 0 : lower;
}

/** In thousandths where it is not whole. */
function quantity(value: number): string {
  const milli = Math.round(value * 1000);
  return milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`;
}
