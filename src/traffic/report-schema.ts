/** What another process says that has passed. */
import { z } from "zod";
import { STATUS_CLASSES, type TrafficReport } from "./traffic-report.ts";

const CountsSchema = z.object({
  exchanges: z.array(z.number()).min(STATUS_CLASSES),
  failures: z.record(z.string(), z.number()),
  durations: z.array(z.number()),
  durationUs: z.number(),
  retries: z.number(),
  bytesUp: z.number(),
  bytesDown: z.number(),
  flowsOpened: z.number(),
  flowsEnded: z.number(),
  audited: z.number(),
});
/** Of another process, perhaps of another version. */
export const ReportSchema = z.object({
  edges: z.array(
    CountsSchema.extend({
      source: z.string(),
      servicePort: z.string(),
      backend: z.string(),
      protocol: z.enum(["http", "tcp", "udp"]),
      exemplar: z.object({ traceId: z.string(), durationMs: z.number(), at: z.number() }).exactOptional(),
    }),
  ),
  retired: CountsSchema,
});

/** @throws Error where it is none */
export function readReport(answer: unknown): TrafficReport {
  const report = ReportSchema.safeParse(answer);
  if (!report.success) throw new Error("what was answered is no traffic report: is it of the same version?");
  return report.data;
}
