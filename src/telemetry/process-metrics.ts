import { readdirSync, readFileSync } from "node:fs";
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { type Metric, single } from "./exposition.ts";

/** What there is to say of every process. */
export interface ProcessFigures {
  /** User and system time since the start. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly heapTotalBytes: number;
  /** Seconds since the epoch. */
  readonly startSeconds: number;
  readonly openDescriptors: number;
  /** How late the event loop was, in the last minute or less. */
  readonly loopDelayP50Seconds: number;
  readonly loopDelayP99Seconds: number;
  readonly loopDelayMaxSeconds: number;
}

/** How often the loop is looked at. */
const RESOLUTION_MS = 20;
const WINDOW_MS = 60_000;

/** Of this process. It measures the event loop from when it is made until `close`. */
export class ProcessMeter {
  readonly #delay: IntervalHistogram;
  #since = performance.now();

  constructor() {
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#delay.enable();
  }

  figures(wallMs: number): ProcessFigures {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed, heapTotal } = process.memoryUsage();
    const figures = {
      cpuSeconds: (user + system) / 1e6,
      residentBytes: rss,
      heapUsedBytes: heapUsed,
      heapTotalBytes: heapTotal,
      startSeconds: Math.round(wallMs / 1000 - process.uptime()),
      openDescriptors: openDescriptors(),
      loopDelayP50Seconds: this.#late(this.#delay.percentile(50)),
      loopDelayP99Seconds: this.#late(this.#delay.percentile(99)),
      loopDelayMaxSeconds: this.#late(this.#delay.max),
    };
    const now = performance.now();
    if (now - this.#since >= WINDOW_MS) {
      this.#delay.reset();
      this.#since = now;
    }
    return figures;
  }

  close(): void {
    this.#delay.disable();
  }

  /** What is measured is from one look to the next. */
  #late(ns: number): number {
    return this.#delay.max === 0 ? 0 : Math.max(ns / 1e6 - RESOLUTION_MS, 0) / 1e3;
  }
}

/** Under the names that Prometheus' client libraries have for them. */
export function processMetrics(figures: ProcessFigures): Metric[] {
  const loop = "Delay of the event loop, in the last minute or less";
  return [
    single("counter", "process_cpu_seconds_total", "User and system time.", figures.cpuSeconds),
    single("gauge", "process_resident_memory_bytes", "Resident memory.", figures.residentBytes),
    single("gauge", "process_start_time_seconds", "When the process started.", figures.startSeconds),
    single("gauge", "process_open_fds", "Open file descriptors.", figures.openDescriptors),
    single("gauge", "process_max_fds", "File descriptors that it may have.", maxDescriptors()),
    single("gauge", "nodejs_heap_size_used_bytes", "JavaScript objects.", figures.heapUsedBytes),
    single("gauge", "nodejs_heap_size_total_bytes", "Memory for JavaScript objects.", figures.heapTotalBytes),
    single("gauge", "nodejs_eventloop_lag_p50_seconds", `${loop}: the median.`, figures.loopDelayP50Seconds),
    single("gauge", "nodejs_eventloop_lag_p99_seconds", `${loop}: the 99th percentile.`, figures.loopDelayP99Seconds),
    single("gauge", "nodejs_eventloop_lag_max_seconds", `${loop}: the longest.`, figures.loopDelayMaxSeconds),
  ];
}

export function buildInfo(version: string): Metric {
  const labels = { version, node_version: process.version };
  return { type: "info", name: "tulle_build_info", help: "What runs.", samples: [{ labels, value: 1 }] };
}

/** 0 where there is no /proc. */
function openDescriptors(): number {
  try {
    // One of them is that by which it is read.
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return 0;
  }
}

/** 0 where there is no /proc. */
function maxDescriptors(): number {
  try {
    return Number(/^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
