/**
 * A look at all proxies, and what passed between two. By proxy and not by their sum: a proxy that did not answer in time
 * takes its counters out of a sum and brings them back at the next look, which would seem to be all its traffic at once.
 */
import { differenceOfTraffic, sumOfTraffic, type TrafficEdge, type TrafficReport } from "./traffic-report.ts";

export interface TrafficLook {
  /** Milliseconds, when it was looked; only differences mean something. */
  readonly atMs: number;
  /** By proxy; those that did not answer are absent. */
  readonly reports: ReadonlyMap<string, TrafficReport>;
}

export interface PassedTraffic {
  readonly edges: readonly TrafficEdge[];
  readonly seconds: number;
  /** Proxies that it is known of. */
  readonly proxies: number;
  /** Proxies of one of the two looks alone: what they carried is not in `edges`. */
  readonly unheard: readonly string[];
}

/** @returns undefined where no time is between them: the second is a look that was remembered */
export function passedBetween(before: TrafficLook, now: TrafficLook): PassedTraffic | undefined {
  const seconds = (now.atMs - before.atMs) / 1000;
  if (seconds <= 0) return undefined;
  const unheard = new Set([...before.reports.keys(), ...now.reports.keys()]);
  const differences: TrafficReport[] = [];
  for (const [proxy, report] of now.reports) {
    const earlier = before.reports.get(proxy);
    if (earlier === undefined) continue;
    unheard.delete(proxy);
    differences.push(differenceOfTraffic(report, earlier));
  }
  const { edges } = sumOfTraffic(differences);
  return { edges, seconds, proxies: differences.length, unheard: [...unheard].sort() };
}
