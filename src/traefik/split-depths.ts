import type { MeshConfig } from "../config/mesh-config.ts";

/**
 * How many splits a call may pass, one behind another, from each service port that has routes on; infinitely many where
 * they lead in a circle. Each way between two of them is gone once, from the last ones back, so that neither the number of
 * ways through them nor their length matters.
 */
export function splitDepths(servicePorts: MeshConfig["servicePorts"]): ReadonlyMap<string, number> {
  const known = new Map<string, number>();
  /** How many of those that each leads to are not known yet. */
  const unknown = new Map<string, number>();
  const leadingTo = new Map<string, string[]>();
  const isSplit = new Set(Object.keys(servicePorts).filter((key) => (servicePorts[key]?.routes ?? []).length > 0));
  for (const key of isSplit) {
    const backends = (servicePorts[key]?.routes ?? []).flatMap((route) => route.backends);
    const next = new Set(
      backends
        .filter(({ routed, weight, servicePort }) => routed === true && weight > 0 && servicePort !== key)
        .map(({ servicePort }) => servicePort)
        .filter((each) => isSplit.has(each)),
    );
    unknown.set(key, next.size);
    for (const each of next) {
      const roots = leadingTo.get(each);
      if (roots === undefined) leadingTo.set(each, [key]);
      else roots.push(key);
    }
  }
  const depths = new Map<string, number>([...isSplit].map((key) => [key, 1]));
  const ready = [...isSplit].filter((key) => unknown.get(key) === 0);
  for (let key = ready.pop(); key !== undefined; key = ready.pop()) {
    const depth = depths.get(key) as number;
    known.set(key, depth);
    for (const each of leadingTo.get(key) ?? []) {
      depths.set(each, Math.max(depths.get(each) as number, depth + 1));
      const left = (unknown.get(each) as number) - 1;
      unknown.set(each, left);
      if (left === 0) ready.push(each);
    }
  }
  for (const key of isSplit) if (!known.has(key)) known.set(key, Number.POSITIVE_INFINITY);
  return known;
}
