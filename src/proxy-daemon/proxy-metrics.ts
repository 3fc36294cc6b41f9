/** What the process of a node tells Prometheus beside its calls: docs/metrics.md has it as a table. */
import type { DurationHistogram } from "../telemetry/duration-histogram.ts";
import { type Metric, single } from "../telemetry/exposition.ts";
import type { WorkerFigures } from "./data-plane.ts";

export interface ConfigFigures {
  /** "" while there is none. */
  readonly version: string;
  /** Seconds since the epoch; 0 while there is none. */
  readonly appliedAt: number;
  readonly applyTimes: DurationHistogram;
  readonly connected: boolean;
  readonly silentSeconds: number;
  readonly closedEntrypoints: number;
}

export function configMetrics(figures: ConfigFigures): Metric[] {
  const { version, appliedAt, applyTimes, connected, silentSeconds, closedEntrypoints } = figures;
  const info: Metric = {
    type: "info",
    name: "tulle_config_info",
    help: "Version of the configuration in force.",
    samples: version === "" ? [] : [{ labels: { version }, value: 1 }],
  };
  const at = "When the configuration came into force; 0: there is none.";
  return [
    info,
    single("gauge", "tulle_config_applied_timestamp_seconds", at, appliedAt),
    applyTimes.metric("tulle_config_apply_seconds", "From a configuration's arrival to its sockets' listening."),
    single("gauge", "tulle_config_stream_up", "1 while the controller is heard.", connected ? 1 : 0),
    single("gauge", "tulle_config_silent_seconds", "Since the controller was last heard.", silentSeconds),
    single("gauge", "tulle_closed_entrypoints", "Ports that could not be opened.", closedEntrypoints),
  ];
}

/** Of each worker; empty where there is none. */
export function workerMetrics(workers: readonly WorkerFigures[]): Metric[] {
  const each = (type: "counter" | "gauge", name: string, help: string, read: (figures: WorkerFigures) => number) => ({
    type,
    name,
    help,
    samples: workers.map((figures) => ({ labels: { worker: `${figures.worker}` }, value: read(figures) })),
  });
  const lag = "Delay of a worker's event loop, in the last minute or less:";
  return [
    each("gauge", "tulle_worker_resident_memory_bytes", "Resident memory of a worker.", (of) => of.residentBytes),
    each("gauge", "tulle_worker_heap_used_bytes", "JavaScript objects of a worker.", (of) => of.heapUsedBytes),
    each("counter", "tulle_worker_cpu_seconds_total", "Time of a worker since its start.", (of) => of.cpuSeconds),
    each("gauge", "tulle_worker_open_fds", "Open file descriptors of a worker.", (of) => of.openDescriptors),
    each("gauge", "tulle_worker_eventloop_lag_p50_seconds", `${lag} the median.`, (of) => of.loopDelayP50Seconds),
    each(
      "gauge",
      "tulle_worker_eventloop_lag_p99_seconds",
      `${lag} the 99th percentile.`,
      (of) => of.loopDelayP99Seconds,
    ),
    each("gauge", "tulle_worker_eventloop_lag_max_seconds", `${lag} the longest.`, (of) => of.loopDelayMaxSeconds),
  ];
}
