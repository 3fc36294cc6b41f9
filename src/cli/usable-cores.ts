import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";

/** Where a container finds its share of the processor (cgroup v2). */
const CPU_MAX = "/sys/fs/cgroup/cpu.max";

/** Cores that this process may use: by its affinity, and by the limit of its container, rounded up. */
export async function usableCores(cpuMaxFile = CPU_MAX): Promise<number> {
  const quota = coresOfQuota(await readFile(cpuMaxFile, "utf8").catch(() => ""));
  return Math.max(1, Math.min(availableParallelism(), quota));
}

/** @param text `QUOTA PERIOD` in microseconds, or `max PERIOD`. @returns Infinity where there is no limit */
export function coresOfQuota(text: string): number {
  const [quota, period] = text.trim().split(/\s+/).map(Number);
  const cores = Math.ceil((quota ?? Number.NaN) / (period ?? Number.NaN));
  return cores >= 1 ? cores : Number.POSITIVE_INFINITY;
}
