import { readFileSync } from "node:fs";

/** How many file descriptors this process may have open; undefined where there is no bound, or nobody tells. */
export function descriptorLimit(): number | undefined {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // Not Linux, or /proc is not mounted: the kernel will say.
    return undefined;
  }
}
