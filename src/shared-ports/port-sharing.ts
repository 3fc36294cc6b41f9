/** For `listen` and `bind`: the port may be had by another process too, if that one says so as well (SO_REUSEPORT). */
export const SHARED_PORT = { reusePort: true } as const;

/** Whether this runtime has `reusePort`; an older one ignores it. @param version as `process.versions.node` */
export function canSharePorts(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}
