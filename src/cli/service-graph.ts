/**
 * Who calls whom: what passed, and of the configuration what explains it. Callers are workloads and what is called are
 * service ports; a workload that serves one and calls others joins the two, so that chains of calls are seen.
 */
import { type MeshConfig, type ServicePort, splitAddressPort } from "../config/mesh-config.ts";
import { endedOf, ratesOf, type TrafficRates } from "../traffic/traffic-rates.ts";
import type { TrafficEdge, TrafficProtocol } from "../traffic/traffic-report.ts";

export interface Call {
  /** `namespace/workload`; "" for strangers. */
  readonly from: string;
  /** `namespace/service:port`; "" for what is beyond the number of edges that a proxy tells apart. */
  readonly to: string;
  readonly protocol: TrafficProtocol;
  readonly rates: TrafficRates;
}

/** From a service port to one that is given a part of its calls. */
export interface SplitPart {
  readonly from: string;
  readonly to: string;
  /** The object that says so, as `TrafficSplit namespace/name`; absent where the configuration does not say it any more. */
  readonly origin?: string;
  /** Percent, as configured; absent with `origin`. */
  readonly weight?: number;
  /** Percent, as it was; absent where that is not known. */
  readonly measured?: number;
}

/** Endpoints of a service port are of a workload that calls others. */
export interface Serving {
  readonly service: string;
  readonly workload: string;
}

/** In order of names. */
export interface ServiceGraph {
  readonly calls: readonly Call[];
  readonly splits: readonly SplitPart[];
  readonly serves: readonly Serving[];
}

/**
 * @param edges what passed in so many seconds
 * @param config absent: without splits and what serves what
 * @param namespace only what is called in it, or from it
 */
export function serviceGraph(
  edges: readonly TrafficEdge[],
  seconds: number,
  config: MeshConfig | undefined,
  namespace: string | undefined,
): ServiceGraph {
  const isIn = (name: string) => namespace === undefined || name.startsWith(`${namespace}/`);
  const seen = edges.filter(({ source, servicePort, backend }) => [source, servicePort, backend].some(isIn));
  const calls = [...grouped(seen, ({ source, servicePort, protocol }) => `${source} ${servicePort} ${protocol}`)].map(
    (group): Call => {
      const { source, servicePort, protocol } = group[0] as TrafficEdge;
      return { from: source, to: servicePort, protocol, rates: ratesOf(group, seconds) };
    },
  );
  const splits = [...grouped(seen, ({ servicePort }) => servicePort)].flatMap((group) => splitsOf(group, config));
  return {
    calls: sorted(calls, ({ from, to, protocol }) => `${from} ${to} ${protocol}`),
    // A backend that splits in turn is met by way of each of its roots.
    splits: sorted(unique(splits, keyOfPart), keyOfPart),
    serves: config === undefined ? [] : servings(calls, splits, config),
  };
}

const keyOfPart = ({ from, to, origin = "" }: SplitPart) => `${from} ${to} ${origin}`;

/** @param edges of one service port */
function splitsOf(edges: readonly TrafficEdge[], config: MeshConfig | undefined): SplitPart[] {
  const root = (edges[0] as TrafficEdge).servicePort;
  const configured = config === undefined ? [] : configuredParts(root, config, new Set());
  const total = edges.reduce((sum, edge) => sum + (edge.backend === "" ? 0 : endedOf(edge)), 0);
  const shares = new Map<string, number>();
  if (total > 0)
    for (const edge of edges)
      if (edge.backend !== "")
        shares.set(edge.backend, (shares.get(edge.backend) ?? 0) + (100 * endedOf(edge)) / total);
  const splitAgain = new Set(configured.map(({ from }) => from));
  const parts = configured.map((part) => {
    // What is split in turn serves nothing itself, and of what is further on it is not known by which way it came.
    const isKnown = total > 0 && part.from === root && (shares.has(part.to) || !splitAgain.has(part.to));
    return isKnown ? { ...part, measured: shares.get(part.to) ?? 0 } : part;
  });
  const known = new Set([root, ...configured.map(({ to }) => to)]);
  const others = [...shares].filter(([backend]) => !known.has(backend));
  return [...parts, ...others.map(([to, measured]) => ({ from: root, to, measured }))];
}

/** @param met service ports whose parts are known already: no cycle is followed, whatever the configuration says */
function configuredParts(from: string, config: MeshConfig, met: Set<string>): SplitPart[] {
  if (met.has(from)) return [];
  met.add(from);
  return (config.servicePorts[from]?.routes ?? []).flatMap((route) => {
    const { kind, namespace, name } = route.origin;
    const total = route.backends.reduce((sum, { weight }) => sum + weight, 0);
    if (total === 0) return [];
    return route.backends.flatMap(({ servicePort: to, weight, routed }) => [
      ...(to === from && route.backends.length === 1
        ? []
        : [{ from, to, origin: `${kind} ${namespace}/${name}`, weight: (100 * weight) / total }]),
      ...(routed === true ? configuredParts(to, config, met) : []),
    ]);
  });
}

function servings(calls: readonly Call[], splits: readonly SplitPart[], config: MeshConfig): Serving[] {
  const callers = new Set(calls.map(({ from }) => from));
  const services = new Set([...calls.map(({ to }) => to), ...splits.map(({ to }) => to)]);
  const found = [...services].sort().flatMap((service) =>
    [...workloadsOf(config.servicePorts[service], config)]
      .filter((workload) => callers.has(workload))
      .sort()
      .map((workload) => ({ service, workload })),
  );
  return found;
}

/** As reports name callers. */
function workloadsOf(servicePort: ServicePort | undefined, { workloads }: MeshConfig): Set<string> {
  const names = Object.keys(servicePort?.endpoints ?? {}).flatMap((endpoint) => {
    const found = workloads[splitAddressPort(endpoint).address];
    return found === undefined ? [] : `${found.namespace}/${found.workload ?? found.pod}`;
  });
  return new Set(names);
}

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Iterable<T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups.values();
}

function unique<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}

function sorted<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...items].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}
