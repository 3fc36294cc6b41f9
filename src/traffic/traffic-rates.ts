/** What counts say of a time: rates, latencies and which share came to something. */
import { FAILURES, type Failure } from "../model/failures.ts";
import { latencyMs } from "./latency.ts";
import { NO_COUNTS, sumOfCounts, type TrafficCounts, type TrafficEdge } from "./traffic-report.ts";

export interface TrafficRates {
  /** Exchanges that ended, a second. */
  readonly requests: number;
  /** Flows that got an endpoint, a second. */
  readonly flows: number;
  /** Of what ended, from 0 to 1; undefined where nothing did. */
  readonly success: number | undefined;
  /** Of exchanges, tries included; undefined where there were none, LONGEST_MS for that or more. */
  readonly p50Ms: number | undefined;
  readonly p95Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** A second, from callers and to them. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Refused by access control, a second. */
  readonly denied: number;
  /** Would have been refused (audit mode), a second. */
  readonly audited: number;
}

/** Of edges together. @param seconds in which it passed; more than 0 */
export function ratesOf(edges: readonly TrafficEdge[], seconds: number): TrafficRates {
  const counts = edges.reduce<TrafficCounts>(sumOfCounts, NO_COUNTS);
  const ended = sum(edges.map(endedOf));
  return {
    requests: sum(counts.exchanges) / seconds,
    flows: counts.flowsOpened / seconds,
    success: ended === 0 ? undefined : 1 - sum(edges.map(failedOf)) / ended,
    p50Ms: latencyMs(counts, 0.5),
    p95Ms: latencyMs(counts, 0.95),
    p99Ms: latencyMs(counts, 0.99),
    bytesUp: counts.bytesUp / seconds,
    bytesDown: counts.bytesDown / seconds,
    denied: deniedOf(counts) / seconds,
    audited: counts.audited / seconds,
  };
}

/** Exchanges and flows that are over. */
export function endedOf({ protocol, exchanges, flowsEnded }: TrafficEdge): number {
  return protocol === "http" ? sum(exchanges) : flowsEnded;
}

/**
 * Of those, what came to nothing by no doing of the caller: answers from 500 on, no answer while the caller was there,
 * flows with a failure that would be such an answer. gRPC's own status is within a 200 and no part of the counts.
 */
export function failedOf({ protocol, exchanges, failures, flowsEnded }: TrafficEdge): number {
  if (protocol === "http") return (exchanges[5] ?? 0) + Math.max(0, (exchanges[0] ?? 0) - (failures.ClientGone ?? 0));
  const codes = Object.keys(failures) as Failure[];
  const failed = sum(codes.filter((code) => (FAILURES[code]?.status ?? 0) >= 500).map((code) => failures[code] ?? 0));
  return Math.min(failed, flowsEnded);
}

export function deniedOf({ failures }: Pick<TrafficCounts, "failures">): number {
  return (failures.AccessDenied ?? 0) + (failures.AmbiguousPath ?? 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
