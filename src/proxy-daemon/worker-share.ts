/**
 * Which entrypoints a worker serves. TCP ports are served by all of them, but for Services whose policy counts what the
 * node as a whole does (rate limit, circuit breaker, limit of connections): those have one worker, so that what it counts is what there is.
 * Services that are joined by a split are counted together. A UDP port has one worker, which sees all of a flow.
 */
import { type Change, entryOf } from "../config/changes.ts";
import type { MeshConfig, ServicePort } from "../config/mesh-config.ts";

/** @param worker below `workers`. @returns the same configuration, with the entrypoints of that worker only */
export function shareOf(config: MeshConfig, worker: number, workers: number): MeshConfig {
  if (workers === 1) return config;
  const owners = ownersOf(config, workers);
  const entrypoints: Record<string, MeshConfig["entrypoints"][string]> = {};
  for (const [key, entrypoint] of Object.entries(config.entrypoints)) {
    const owner =
      entrypoint.transport === "udp" ? hash(entrypoint.servicePort) % workers : owners.get(entrypoint.servicePort);
    if (owner === undefined || owner === worker) entrypoints[key] = entrypoint;
  }
  return { ...config, entrypoints };
}

/** Whether the workers may have other entrypoints after these changes. */
export function movesShares(changes: readonly Change[], config: MeshConfig): boolean {
  return changes.some(({ section, key, before }) => {
    if (section !== "servicePorts") return section === "entrypoints";
    const was = before as ServicePort | undefined;
    const is = entryOf(config, section, key) as ServicePort | undefined;
    return was?.routes !== is?.routes || was?.middlewares !== is?.middlewares || was?.limits !== is?.limits;
  });
}

/** The one worker of each service port that must not have several. */
function ownersOf(config: MeshConfig, workers: number): Map<string, number> {
  const groups = new Groups();
  for (const [key, { routes = [] }] of Object.entries(config.servicePorts))
    for (const { backends } of routes) for (const { servicePort } of backends) groups.join(key, servicePort);
  const counted = new Set<string>();
  for (const [key, servicePort] of Object.entries(config.servicePorts))
    if (countsForNode(servicePort)) counted.add(groups.leader(key));
  const owners = new Map<string, number>();
  for (const key of Object.keys(config.servicePorts)) {
    const leader = groups.leader(key);
    if (counted.has(leader)) owners.set(key, hash(leader) % workers);
  }
  return owners;
}

function countsForNode({ middlewares, limits }: ServicePort): boolean {
  return middlewares.rateLimit !== undefined || middlewares.circuitBreaker !== undefined || limits !== undefined;
}

/** Service ports that calls can pass one after the other. A group is known by the least of its keys. */
class Groups {
  readonly #parents = new Map<string, string>();

  leader(key: string): string {
    let leader = key;
    for (let parent = this.#parents.get(leader); parent !== undefined; parent = this.#parents.get(leader))
      leader = parent;
    // What was long is short from now on.
    for (let at = key; at !== leader; ) {
      const next = this.#parents.get(at) as string;
      this.#parents.set(at, leader);
      at = next;
    }
    return leader;
  }

  join(a: string, b: string): void {
    const [first, second] = [this.leader(a), this.leader(b)].sort() as [string, string];
    if (first !== second) this.#parents.set(second, first);
  }
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
}
