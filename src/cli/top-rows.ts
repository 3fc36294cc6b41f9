/** Rows of `tulle top`: by service port that is called, or by who calls which of them. */
import { ratesOf, type TrafficRates } from "../traffic/traffic-rates.ts";
import type { TrafficEdge } from "../traffic/traffic-report.ts";

export interface TopRow extends TrafficRates {
  /** `namespace/service:port`; "" for what is beyond the number of edges that a proxy tells apart. */
  readonly service: string;
  /** Only by callers: `namespace/workload`, "" for strangers. */
  readonly caller?: string;
  /** Only by callers: the service port whose endpoints served, where that is another one, as by a split. */
  readonly backend?: string;
}

export const SORT_KEYS = ["requests", "errors", "p50", "p95", "p99", "bytes", "flows", "denied", "name"] as const;
export type SortKey = (typeof SORT_KEYS)[number];

const WEIGHTS: Readonly<Record<Exclude<SortKey, "name">, (row: TopRow) => number>> = {
  requests: ({ requests, flows }) => requests + flows,
  errors: ({ success = 1 }) => 1 - success,
  p50: ({ p50Ms = 0 }) => p50Ms,
  p95: ({ p95Ms = 0 }) => p95Ms,
  p99: ({ p99Ms = 0 }) => p99Ms,
  bytes: ({ bytesUp, bytesDown }) => bytesUp + bytesDown,
  flows: ({ flows }) => flows,
  denied: ({ denied, audited }) => denied + audited,
};

/** @returns whether `NAMESPACE`, `NAMESPACE/SERVICE` or `NAMESPACE/SERVICE:PORT` is or contains a service port */
export function isWithin(scope: string | undefined, servicePort: string): boolean {
  if (scope === undefined || scope === servicePort) return true;
  return servicePort.startsWith(`${scope}${scope.includes("/") ? ":" : "/"}`);
}

/**
 * @param edges what passed in so many seconds
 * @param scope only edges to, or served by, what is within it
 * @param byCallers a row for each edge
 */
export function topRows(
  edges: readonly TrafficEdge[],
  seconds: number,
  scope: string | undefined,
  byCallers: boolean,
): TopRow[] {
  const groups = new Map<string, TrafficEdge[]>();
  for (const edge of edges) {
    if (!isWithin(scope, edge.servicePort) && !isWithin(scope, edge.backend)) continue;
    const key = byCallers ? `${edge.servicePort} ${edge.source} ${otherBackend(edge)}` : edge.servicePort;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [edge]);
    else group.push(edge);
  }
  return [...groups.values()].map((group) => rowOf(group, seconds, byCallers));
}

function rowOf(edges: readonly TrafficEdge[], seconds: number, byCallers: boolean): TopRow {
  const edge = edges[0] as TrafficEdge;
  const { servicePort, source } = edge;
  const backend = otherBackend(edge);
  return {
    service: servicePort,
    ...(byCallers ? { caller: source } : {}),
    ...(byCallers && backend !== "" ? { backend } : {}),
    ...ratesOf(edges, seconds),
  };
}

function otherBackend({ servicePort, backend }: TrafficEdge): string {
  return backend === servicePort ? "" : backend;
}

/** The most first, then by name, so that rows of the same weight keep their places. */
export function sortedRows(rows: readonly TopRow[], key: SortKey): TopRow[] {
  const weight = key === "name" ? () => 0 : WEIGHTS[key];
  const nameOf = ({ service, caller = "", backend = "" }: TopRow) => `${service} ${caller} ${backend}`;
  return [...rows].sort((a, b) => weight(b) - weight(a) || (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** Of those that were seen before and have no row now. */
export function quietRow({ service, caller, backend }: TopRow): TopRow {
  return {
    service,
    ...(caller === undefined ? {} : { caller }),
    ...(backend === undefined ? {} : { backend }),
    ...ratesOf([], 1),
  };
}
