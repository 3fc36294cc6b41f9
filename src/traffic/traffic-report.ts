/**
 * What has passed, by who called what: plain data, as JSON at `/api/traffic`. Counters only grow, and reports add
 * up: over the workers of a node, over nodes, and over time. What passed between two looks is their difference.
 *
 * An edge is one caller workload with one service port, by the service port whose endpoints served it; the edges of
 * a report are its graph. There are never more than a ceiling of them (see TrafficLedger): what is beyond it is
 * counted in an overflow edge, whose `servicePort` is empty, so a total over all edges is exact all the same.
 */
import type { Failure } from "../model/failures.ts";

export interface TrafficCounts {
  /** HTTP, ended, by class of the status that the caller got: [2] is 2xx. [0]: ended without an answer. */
  readonly exchanges: readonly number[];
  /** Exchanges and flows that were not served as asked, by code of failures.ts; codes that did not occur are absent. */
  readonly failures: Readonly<Partial<Record<Failure, number>>>;
  /**
   * Of the exchanges, by how long they took, tries included: [i] is at most DURATION_BOUNDS_MS[i] and over the bound
   * before, the last is over all bounds. Tunnels (101) are not in it: theirs is as long as they lived.
   */
  readonly durations: readonly number[];
  /** Sum of what is in `durations`, in whole microseconds. */
  readonly durationUs: number;
  /** Tries after the first. */
  readonly retries: number;
  /** Content from callers, and to them. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** TCP and UDP, that got an endpoint. */
  readonly flowsOpened: number;
  /** TCP and UDP, also those that never got an endpoint: the difference is not the number of open ones. */
  readonly flowsEnded: number;
  /** Exchanges and flows that access control would have refused, in audit mode. */
  readonly audited: number;
}

export type TrafficProtocol = "http" | "tcp" | "udp";

export interface TrafficEdge extends TrafficCounts {
  /** `namespace/workload` that called, or `namespace/pod` for one on its own; "" for strangers and overflow edges. */
  readonly source: string;
  /** `namespace/service:port` that was called; "" in the overflow edges. */
  readonly servicePort: string;
  /** The service port whose endpoint answered or was tried last: another one by a split; "" where none was tried. */
  readonly backend: string;
  readonly protocol: TrafficProtocol;
  /** The last exchange whose trace is recorded; absent: none. */
  readonly exemplar?: Exemplar;
}

/** A way from a figure to a trace. */
export interface Exemplar {
  readonly traceId: string;
  readonly durationMs: number;
  /** Seconds since the epoch, when it ended. */
  readonly at: number;
}

export interface TrafficReport {
  /** In order of their keys, each key once. */
  readonly edges: readonly TrafficEdge[];
  /** Of edges that made place for others after a time without traffic. */
  readonly retired: TrafficCounts;
}

/** Upper bounds of the buckets of `durations`, those in between inclusive. */
export const DURATION_BOUNDS_MS: readonly number[] = [
  0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
];
export const STATUS_CLASSES = 6;

/** Index into `durations`. */
export function durationBucket(durationMs: number): number {
  let index = 0;
  while (index < DURATION_BOUNDS_MS.length && durationMs > (DURATION_BOUNDS_MS[index] as number)) index++;
  return index;
}

const zeros = (length: number): readonly number[] => Array.from({ length }, () => 0);

export const NO_COUNTS: TrafficCounts = {
  exchanges: zeros(STATUS_CLASSES),
  failures: {},
  durations: zeros(DURATION_BOUNDS_MS.length + 1),
  durationUs: 0,
  retries: 0,
  bytesUp: 0,
  bytesDown: 0,
  flowsOpened: 0,
  flowsEnded: 0,
  audited: 0,
};

export const NO_TRAFFIC: TrafficReport = { edges: [], retired: NO_COUNTS };

/** Tells edges apart; names have no spaces. */
export function edgeKey({
  source,
  servicePort,
  backend,
  protocol,
}: Pick<TrafficEdge, "source" | "servicePort" | "backend" | "protocol">): string {
  return `${source} ${servicePort} ${backend} ${protocol}`;
}

/** Where the ceiling's surplus is counted. */
export function overflowEdge(protocol: TrafficProtocol): TrafficEdge {
  return { source: "", servicePort: "", backend: "", protocol, ...NO_COUNTS };
}

export function sumOfCounts(a: TrafficCounts, b: TrafficCounts): TrafficCounts {
  return combine(a, b, 1);
}

/** @param b of the same key */
export function sumOfEdges(a: TrafficEdge, b: TrafficEdge): TrafficEdge {
  return withCounts(a, combine(a, b, 1), newer(a.exemplar, b.exemplar));
}

/** Field by field: a spread takes several times as long, and there are thousands of edges. */
function withCounts(edge: TrafficEdge, counts: TrafficCounts, exemplar: Exemplar | undefined): TrafficEdge {
  const { source, servicePort, backend, protocol } = edge;
  const sum = {
    source,
    servicePort,
    backend,
    protocol,
    exchanges: counts.exchanges,
    failures: counts.failures,
    durations: counts.durations,
    durationUs: counts.durationUs,
    retries: counts.retries,
    bytesUp: counts.bytesUp,
    bytesDown: counts.bytesDown,
    flowsOpened: counts.flowsOpened,
    flowsEnded: counts.flowsEnded,
    audited: counts.audited,
  };
  return exemplar === undefined ? sum : { ...sum, exemplar };
}

/** Of equals the same one, whichever comes first. */
function newer(a: Exemplar | undefined, b: Exemplar | undefined): Exemplar | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.at !== b.at) return a.at > b.at ? a : b;
  return a.traceId > b.traceId ? a : b;
}

/** Of several workers or nodes, or of one at several times. Whatever is added first, the sum is the same. */
export function sumOfTraffic(reports: Iterable<TrafficReport>): TrafficReport {
  const edges = new Map<string, TrafficEdge>();
  let retired = NO_COUNTS;
  for (const report of reports) {
    retired = sumOfCounts(retired, report.retired);
    for (const edge of report.edges) {
      const key = edgeKey(edge);
      const known = edges.get(key);
      edges.set(key, known === undefined ? edge : sumOfEdges(known, edge));
    }
  }
  return { edges: sortedEdges(edges), retired };
}

/** All edges in one, those that are no longer told apart too. */
export function totalTraffic({ edges, retired }: TrafficReport): TrafficCounts {
  return edges.reduce<TrafficCounts>(sumOfCounts, retired);
}

/**
 * What passed between two reports of the same counters; edges without traffic are left out. Of an edge that counts
 * less than before, everything is new: who counted it began again.
 */
export function differenceOfTraffic(now: TrafficReport, before: TrafficReport): TrafficReport {
  const earlier = new Map(before.edges.map((edge) => [edgeKey(edge), edge]));
  const edges: TrafficEdge[] = [];
  for (const edge of now.edges) {
    const old = earlier.get(edgeKey(edge)) ?? NO_COUNTS;
    // Nobody has added to it.
    if (old === edge) continue;
    const passed = combine(edge, old, -1);
    const counts = someCount(passed, isNegative) ? edge : passed;
    if (someCount(counts, isPositive)) edges.push(withCounts(edge, counts, edge.exemplar));
  }
  return { edges, retired: NO_COUNTS };
}

function sortedEdges(edges: ReadonlyMap<string, TrafficEdge>): TrafficEdge[] {
  return [...edges.keys()].sort().map((key) => edges.get(key) as TrafficEdge);
}

/** @param sign 1: a + b; -1: a - b */
function combine(a: TrafficCounts, b: TrafficCounts, sign: 1 | -1): TrafficCounts {
  return {
    exchanges: combineLists(a.exchanges, b.exchanges, sign),
    failures: combineFailures(a.failures, b.failures, sign),
    durations: combineLists(a.durations, b.durations, sign),
    durationUs: a.durationUs + sign * b.durationUs,
    retries: a.retries + sign * b.retries,
    bytesUp: a.bytesUp + sign * b.bytesUp,
    bytesDown: a.bytesDown + sign * b.bytesDown,
    flowsOpened: a.flowsOpened + sign * b.flowsOpened,
    flowsEnded: a.flowsEnded + sign * b.flowsEnded,
    audited: a.audited + sign * b.audited,
  };
}

function combineLists(a: readonly number[], b: readonly number[], sign: 1 | -1): number[] {
  const list: number[] = [];
  for (let index = 0; index < a.length; index++) list.push((a[index] as number) + sign * (b[index] ?? 0));
  return list;
}

type FailureCounts = TrafficCounts["failures"];

function combineFailures(a: FailureCounts, b: FailureCounts, sign: 1 | -1): FailureCounts {
  // Of most edges, nothing has failed.
  if (isEmpty(b)) return a;
  if (isEmpty(a) && sign === 1) return b;
  const codes = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort() as Failure[];
  const counts: Partial<Record<Failure, number>> = {};
  for (const code of codes) {
    const count = (a[code] ?? 0) + sign * (b[code] ?? 0);
    if (count !== 0) counts[code] = count;
  }
  return counts;
}

function isEmpty(failures: FailureCounts): boolean {
  for (const _ in failures) return false;
  return true;
}

const isNegative = (count: number) => count < 0;
const isPositive = (count: number) => count > 0;

function someCount(counts: TrafficCounts, is: (count: number) => boolean): boolean {
  const { durationUs, retries, bytesUp, bytesDown, flowsOpened, flowsEnded, audited } = counts;
  return (
    is(durationUs) ||
    is(retries) ||
    is(bytesUp) ||
    is(bytesDown) ||
    is(flowsOpened) ||
    is(flowsEnded) ||
    is(audited) ||
    counts.exchanges.some(is) ||
    counts.durations.some(is) ||
    Object.values(counts.failures).some(is)
  );
}
