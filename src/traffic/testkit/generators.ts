import fc from "fast-check";
import type { Failure } from "../../model/failures.ts";
import {
  DURATION_BOUNDS_MS,
  NO_COUNTS,
  STATUS_CLASSES,
  sumOfTraffic,
  type TrafficCounts,
  type TrafficEdge,
  type TrafficReport,
} from "../traffic-report.ts";

const count = fc.nat(1_000_000);
const counts = (length: number) => fc.array(count, { minLength: length, maxLength: length });
const CODES: readonly Failure[] = ["AccessDenied", "RateLimited", "NoEndpoint"];

const trafficCounts: fc.Arbitrary<TrafficCounts> = fc.record({
  exchanges: counts(STATUS_CLASSES),
  // A code that did not occur is absent.
  failures: fc.dictionary(fc.constantFrom(...CODES), fc.integer({ min: 1, max: 1_000 })),
  durations: counts(DURATION_BOUNDS_MS.length + 1),
  durationUs: count,
  retries: count,
  bytesUp: count,
  bytesDown: count,
  flowsOpened: count,
  flowsEnded: count,
  audited: count,
});

const trafficEdge: fc.Arbitrary<TrafficEdge> = fc
  .tuple(
    fc.record({
      source: fc.constantFrom("", "a/web", "b/web"),
      servicePort: fc.constantFrom("n/s:80", "n/t:80"),
      backend: fc.constantFrom("", "n/s:80", "n/s-v2:80"),
      protocol: fc.constantFrom("http", "tcp", "udp"),
    }),
    trafficCounts,
    fc.option(fc.record({ traceId: fc.constantFrom("a", "b", "c"), durationMs: fc.nat(9), at: fc.nat(3) }), {
      nil: undefined,
    }),
  )
  // One trace has one duration.
  .map(([key, values, exemplar]) => ({
    ...key,
    ...values,
    ...(exemplar === undefined ? {} : { exemplar: { ...exemplar, durationMs: exemplar.traceId.charCodeAt(0) } }),
  }));

/** As a meter tells it: each edge once, in order. */
export const trafficReport: fc.Arbitrary<TrafficReport> = fc
  .array(trafficEdge, { maxLength: 12 })
  .map((edges) => sumOfTraffic(edges.map((edge) => ({ edges: [edge], retired: NO_COUNTS }))));
