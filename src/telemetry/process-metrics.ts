/** What Prometheus' client libraries say of every process, under their names. */
export interface ProcessFigures {
  /** User and system time since the start. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Seconds since the epoch. */
  readonly startSeconds: number;
}

/** Prometheus text format 0.0.4. */
export function processMetrics({ cpuSeconds, residentBytes, startSeconds }: ProcessFigures): string {
  const rows: readonly (readonly [string, string, string, number])[] = [
    ["process_cpu_seconds_total", "counter", "User and system time.", cpuSeconds],
    ["process_resident_memory_bytes", "gauge", "Resident memory.", residentBytes],
    ["process_start_time_seconds", "gauge", "When the process started.", startSeconds],
  ];
  return rows
    .map(([name, type, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`)
    .join("");
}

/** Of this process, now. */
export function processFigures(wallMs: number): ProcessFigures {
  const { user, system } = process.cpuUsage();
  return {
    cpuSeconds: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    startSeconds: Math.round(wallMs / 1000 - process.uptime()),
  };
}
