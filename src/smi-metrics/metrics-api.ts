/**
 * The API group metrics.smi-spec.io, as the API server asks for it on behalf of its users: discovery, and TrafficMetrics
 * of objects and of their edges. What is asked for in v1alpha1 and in v1alpha2 differs in nothing but that name.
 */
import type { Clock } from "../model/clock.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { ObjectRef } from "../model/objects.ts";
import type { TrafficReport } from "../traffic/traffic-report.ts";
import { WINDOW_MS } from "../traffic/traffic-window.ts";
import { METRIC_KINDS, type MetricKind } from "./metric-kinds.ts";
import { type Measured, TrafficMetrics } from "./traffic-metrics.ts";

export interface MetricsApiOptions {
  readonly clock: Clock;
  readonly state: ClusterStateView;
  /** What has passed at all proxies in the last WINDOW_MS. */
  recentTraffic(): Promise<TrafficReport>;
  /**
   * `namespace/name` of the objects that a label selector fits, or why it is not understood. @param namespace empty: all
   */
  select(kind: MetricKind, namespace: string, labelSelector: string): Promise<ReadonlySet<string> | string>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: object;
}

const GROUP = "metrics.smi-spec.io";
/** The preferred one first. */
const VERSIONS = ["v1alpha2", "v1alpha1"];
const ROOT = `/apis/${GROUP}`;

/** What a path is about. */
interface Asked {
  readonly version: string;
  readonly kind: MetricKind;
  /** Empty: of all namespaces, and for namespaces themselves. */
  readonly namespace: string;
  /** Empty: a list. */
  readonly name: string;
  readonly edges: boolean;
}

export class MetricsApi {
  readonly #options: MetricsApiOptions;
  /** What was made of the last report: within moments, it is the same one. */
  #last: { readonly report: TrafficReport; readonly metrics: TrafficMetrics } | undefined;

  constructor(options: MetricsApiOptions) {
    this.#options = options;
  }

  /** @param url path and query, as in a request line */
  async answer(method: string, url: string): Promise<ApiAnswer> {
    if (method !== "GET" && method !== "HEAD") return failure(405, "MethodNotAllowed", "TrafficMetrics are read only");
    const [path = "", query = ""] = url.split("?", 2);
    const asked = path.replace(/\/$/, "");
    const found = discovery(asked);
    if (found !== undefined) return { status: 200, body: found };
    const what = parse(asked);
    if (what === undefined) return failure(404, "NotFound", `${GROUP} has nothing at ${path}`);
    try {
      return await this.#metrics(what, new URLSearchParams(query));
    } catch (error) {
      return failure(500, "InternalError", (error as Error).message);
    }
  }

  async #metrics(asked: Asked, query: URLSearchParams): Promise<ApiAnswer> {
    if (query.get("watch") === "true" || query.get("watch") === "1")
      return failure(405, "MethodNotAllowed", "TrafficMetrics cannot be watched");
    const { kind, namespace, name, edges } = asked;
    const metrics = this.#metricsOf(await this.#options.recentTraffic());
    if (name === "") return await this.#list(asked, metrics, query.get("labelSelector") ?? "");
    const ref = { kind: kind.kind, namespace, name };
    const measured = metrics.get(ref);
    const [first] = measured;
    if (first === undefined) return failure(404, "NotFound", `${kind.plural}.${GROUP} "${name}" not found`);
    const shown = (each: Measured) => this.#shown(each, asked);
    if (edges) return { status: 200, body: list(asked, ref, metrics.edges(ref).map(shown)) };
    // A split is measured backend by backend.
    if (kind.kind === "TrafficSplit") return { status: 200, body: list(asked, ref, measured.map(shown)) };
    return { status: 200, body: shown(first) };
  }

  #metricsOf(report: TrafficReport): TrafficMetrics {
    if (this.#last?.report !== report)
      this.#last = { report, metrics: new TrafficMetrics(report, this.#options.state) };
    return this.#last.metrics;
  }

  async #list(asked: Asked, metrics: TrafficMetrics, labelSelector: string): Promise<ApiAnswer> {
    const { kind, namespace } = asked;
    let measured = metrics.list(kind.kind, namespace);
    if (labelSelector !== "") {
      if (kind.api === "") return failure(400, "BadRequest", `${kind.plural} cannot be selected by labels here`);
      const keys = await this.#options.select(kind, namespace, labelSelector);
      if (typeof keys === "string") return failure(400, "BadRequest", keys);
      measured = measured.filter(({ resource }) => keys.has(`${resource.namespace}/${resource.name}`));
    }
    const resource = { kind: kind.kind, namespace, name: "" };
    const items = measured.map((each) => this.#shown(each, asked));
    return { status: 200, body: list(asked, resource, items, labelSelector) };
  }

  #shown({ resource, edge, backend, metrics }: Measured, { version, edges }: Asked): object {
    const timestamp = new Date(this.#options.clock.wall()).toISOString().replace(/\.\d+Z$/, "Z");
    return {
      kind: "TrafficMetrics",
      apiVersion: `${GROUP}/${version}`,
      metadata: {
        name: resource.name,
        ...namespaceOf(resource),
        selfLink: linkOf(version, resource, edges),
        creationTimestamp: timestamp,
      },
      timestamp,
      window: `${WINDOW_MS / 1000}s`,
      resource: reference(resource),
      edge: { ...edge, resource: edge.resource === undefined ? {} : reference(edge.resource) },
      ...(backend === undefined ? {} : { backend }),
      metrics,
    };
  }
}

function list({ version, edges }: Asked, resource: ObjectRef, items: readonly object[], labelSelector = ""): object {
  const matchLabels = equalitiesOf(labelSelector);
  return {
    kind: "TrafficMetricsList",
    apiVersion: `${GROUP}/${version}`,
    metadata: { selfLink: linkOf(version, resource, edges) },
    resource: reference(resource),
    ...(matchLabels === undefined ? {} : { selector: { matchLabels } }),
    items,
  };
}

/** The selector as SMI repeats it, where it is of equalities alone. */
function equalitiesOf(labelSelector: string): Record<string, string> | undefined {
  const parts = labelSelector.split(",").map((part) => /^\s*([^\s=!()]+)\s*==?\s*([^\s=!()]*)\s*$/.exec(part));
  if (parts.some((part) => part === null)) return undefined;
  return Object.fromEntries(parts.map((part) => [part?.[1] ?? "", part?.[2] ?? ""]));
}

const namespaceOf = ({ namespace }: ObjectRef) => (namespace === "" ? {} : { namespace });

function reference(ref: ObjectRef): object {
  return { kind: ref.kind, ...namespaceOf(ref), ...(ref.name === "" ? {} : { name: ref.name }) };
}

function linkOf(version: string, { kind, namespace, name }: ObjectRef, edges: boolean): string {
  const plural = METRIC_KINDS.find((each) => each.kind === kind)?.plural ?? "";
  const scope = namespace === "" ? [] : ["namespaces", namespace];
  return [ROOT, version, ...scope, plural, ...(name === "" ? [] : [name]), ...(edges ? ["edges"] : [])].join("/");
}

function parse(path: string): Asked | undefined {
  if (!path.startsWith(`${ROOT}/`)) return undefined;
  const [version = "", ...rest] = path.slice(ROOT.length + 1).split("/");
  if (!VERSIONS.includes(version) || rest.length === 0 || rest.includes("")) return undefined;
  const [first, namespace = "", ...inside] = rest;
  // `namespaces/shop/edges` is of the namespace itself, as there is no kind of that name.
  const isOfNamespace = first === "namespaces" && inside.length > 0 && inside[0] !== "edges";
  const [plural, name = "", sub, ...more] = isOfNamespace ? inside : rest;
  const kind = METRIC_KINDS.find((each) => each.plural === plural && (!isOfNamespace || each.namespaced));
  if (kind === undefined || more.length > 0 || (sub !== undefined && sub !== "edges")) return undefined;
  // An object with a namespace is asked for in it.
  if (name !== "" && kind.namespaced && !isOfNamespace) return undefined;
  if (sub !== undefined && kind.kind === "TrafficSplit") return undefined;
  return { version, kind, namespace: isOfNamespace ? namespace : "", name, edges: sub !== undefined };
}

function discovery(path: string): object | undefined {
  const versions = VERSIONS.map((version) => ({ groupVersion: `${GROUP}/${version}`, version }));
  const group = { name: GROUP, versions, preferredVersion: versions[0] };
  if (path === "/apis") return { kind: "APIGroupList", apiVersion: "v1", groups: [group] };
  if (path === ROOT) return { kind: "APIGroup", apiVersion: "v1", ...group };
  const version = VERSIONS.find((each) => path === `${ROOT}/${each}`);
  if (version === undefined) return undefined;
  const resources = METRIC_KINDS.map(({ plural, namespaced }) => ({
    name: plural,
    singularName: "",
    namespaced,
    kind: "TrafficMetrics",
    verbs: ["get", "list"],
  }));
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion: `${GROUP}/${version}`, resources };
}

function failure(code: number, reason: string, message: string): ApiAnswer {
  return {
    status: code,
    body: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code },
  };
}
