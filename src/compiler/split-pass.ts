/** TrafficSplits: routes of their root's service ports, with the backends' service ports as weighted backends. */
import { type Backend, type HttpMatch, MAX_PATH, type MeshConfig, type Route } from "../config/mesh-config.ts";
import { depthsOf } from "../model/depths.ts";
import { keyOf, refOf, type TrafficSplit } from "../model/objects.ts";
import { type Problem, type ProblemCode, problem } from "../model/problems.ts";
import type { RouteMatches } from "./route-matches.ts";
import type { ServedService } from "./service-pass.ts";

interface UsableBackend {
  /** `namespace/service` */
  readonly key: string;
  readonly weight: number;
  readonly index: number;
}

interface UsableSplit {
  readonly split: TrafficSplit;
  readonly root: string;
  readonly ports: readonly number[];
  readonly backends: readonly UsableBackend[];
  /** Absent: every request. */
  readonly matches: readonly HttpMatch[] | undefined;
}

/** What splits are read with: the Services of their namespaces, which no split reaches out of. */
export interface SplitSurroundings {
  /** By `namespace/service`. */
  readonly services: { has(key: string): boolean };
  readonly served: { get(key: string): ServedService | undefined };
  readonly matches: RouteMatches;
  /** By `namespace/service:port`, with endpoints. */
  readonly servicePorts: MeshConfig["servicePorts"];
}

/**
 * @param splits all those of one namespace or of several, the oldest first
 * @returns the routes of service ports that are split
 */
export function splitRoutes(
  splits: Iterable<TrafficSplit>,
  around: SplitSurroundings,
  problems: Problem[],
): Map<string, Route[]> {
  const inForce = new Map<string, UsableSplit>();
  for (const split of splits) {
    const usable = readSplit(split, around, problems);
    if (usable === undefined) continue;
    // The oldest is the one in force.
    const older = inForce.get(usable.root);
    if (older === undefined) inForce.set(usable.root, usable);
    else
      problems.push(
        problem(
          "SplitConflict",
          refOf(split),
          "spec.service",
          `"${split.service}" is split by TrafficSplit ${keyOf(older.split.meta)} already`,
        ),
      );
  }
  for (const usable of cyclic(inForce)) {
    inForce.delete(usable.root);
    problems.push(problem("SplitCycle", refOf(usable.split), "spec.backends", "its backends lead back to its root"));
  }
  for (const [root, depth] of depthsOf(following(inForce))) {
    const usable = inForce.get(root);
    // The Service that serves the call is one of them.
    if (usable === undefined || depth < MAX_PATH) continue;
    inForce.delete(root);
    const detail = `with it, calls would pass ${depth + 1} Services`;
    problems.push(problem("SplitTooDeep", refOf(usable.split), "spec.backends", detail));
  }
  const routes = new Map<string, Route[]>();
  for (const usable of inForce.values()) {
    addRoutes(usable, inForce, around.servicePorts, routes);
    reportEmptyBackends(usable, inForce, around.servicePorts, problems);
  }
  return routes;
}

function readSplit(
  split: TrafficSplit,
  { services, served, matches }: SplitSurroundings,
  problems: Problem[],
): UsableSplit | undefined {
  const report = (code: ProblemCode, field: string, detail: string): undefined => {
    problems.push(problem(code, refOf(split), field, detail));
  };
  const { namespace } = split.meta;
  const root = `${namespace}/${split.service}`;
  const rootService = served.get(root);
  if (rootService === undefined)
    return report("SplitRootMissing", "spec.service", absence(split.service, namespace, services.has(root)));
  const self = split.backends.findIndex((backend) => backend.service === split.service);
  if (self >= 0) return report("SplitCycle", `spec.backends[${self}].service`, "the root is a backend of itself");
  const conditions = readMatches(split, rootService, matches, report);
  if (conditions === "unresolved") return undefined;

  const backends: UsableBackend[] = [];
  for (const [index, { service, weight }] of split.backends.entries()) {
    const key = `${namespace}/${service}`;
    const backend = served.get(key);
    const lacking = rootService.ports.filter((port) => backend?.ports.includes(port) !== true);
    let fault: readonly [ProblemCode, string] | undefined;
    if (backend === undefined) fault = ["SplitBackendMissing", absence(service, namespace, services.has(key))];
    else if (backend.trafficType !== rootService.trafficType)
      fault = [
        "SplitBackendTrafficType",
        `"${service}" is of traffic type ${backend.trafficType}, the root of ${rootService.trafficType}`,
      ];
    else if (lacking.length > 0)
      fault = [
        "SplitBackendPortMissing",
        `"${service}" has no port ${lacking.join(", ")}, which "${split.service}" has`,
      ];
    if (fault === undefined) backends.push({ key, weight, index });
    else report(fault[0], `spec.backends[${index}].service`, fault[1]);
  }
  if (backends.length === 0)
    return report("SplitNoUsableBackend", "spec.backends", "it has no backend that can be used");
  if (backends.every(({ weight }) => weight === 0))
    return report("SplitWeightsZero", "spec.backends", "no backend that can be used has a weight above 0");
  return { split, root, ports: rootService.ports, backends, matches: conditions };
}

function absence(service: string, namespace: string, exists: boolean): string {
  if (exists) return `"${service}" is a Service that the mesh does not serve`;
  return `"${service}" is not a Service of namespace ${namespace}`;
}

function readMatches(
  split: TrafficSplit,
  root: ServedService,
  matches: RouteMatches,
  report: (code: ProblemCode, field: string, detail: string) => undefined,
): HttpMatch[] | undefined | "unresolved" {
  if (split.matches.length === 0) return undefined;
  if (root.trafficType !== "http") {
    report(
      "SplitMatchesIgnored",
      "spec.matches",
      `connections of traffic type ${root.trafficType} have nothing to match`,
    );
    return undefined;
  }
  const conditions: HttpMatch[] = [];
  for (const [index, { kind, name }] of split.matches.entries()) {
    const key = `${split.meta.namespace}/${name}`;
    if (kind !== "HTTPRouteGroup" || matches.of(key) === undefined) {
      report("SplitMatchUnresolved", `spec.matches[${index}]`, `there is no ${kind} ${key} to match with`);
      return "unresolved";
    }
    conditions.push(...matches.all(key));
  }
  if (conditions.length > 0) return conditions;
  report("SplitMatchUnresolved", "spec.matches", "none of its matches can fit a request");
  return "unresolved";
}

/** Roots and their backends. */
function following(inForce: ReadonlyMap<string, UsableSplit>): Map<string, ReadonlySet<string>> {
  return new Map([...inForce].map(([root, { backends }]) => [root, new Set(backends.map(({ key }) => key))]));
}

/** Splits from whose root a way over backends leads back to it. */
function cyclic(inForce: ReadonlyMap<string, UsableSplit>): UsableSplit[] {
  const depths = depthsOf(following(inForce));
  return [...inForce.values()].filter((usable) => {
    // As a rule no way ever leads back, and none has to be followed.
    if (Number.isFinite(depths.get(usable.root))) return false;
    const seen = new Set<string>();
    const open = usable.backends.map(({ key }) => key);
    for (let key = open.pop(); key !== undefined; key = open.pop()) {
      if (key === usable.root) return true;
      if (seen.has(key)) continue;
      seen.add(key);
      for (const next of inForce.get(key)?.backends ?? []) open.push(next.key);
    }
    return false;
  });
}

function addRoutes(
  { split, root, ports, backends, matches }: UsableSplit,
  inForce: ReadonlyMap<string, UsableSplit>,
  servicePorts: MeshConfig["servicePorts"],
  into: Map<string, Route[]>,
): void {
  const { namespace, name } = split.meta;
  for (const port of ports) {
    const key = `${root}:${port}`;
    const own = servicePorts[key];
    if (own === undefined) continue;
    const weighted = backends.map(
      (backend): Backend => ({
        servicePort: `${backend.key}:${port}`,
        weight: backend.weight,
        ...(inForce.has(backend.key) ? { routed: true as const } : {}),
      }),
    );
    const origin = { kind: "TrafficSplit", namespace, name };
    const routes: Route[] = [{ origin, matches: [...(matches ?? [])], backends: weighted }];
    if (matches !== undefined) {
      const service = { kind: "Service", namespace: own.namespace, name: own.service };
      routes.push({ origin: service, matches: [], backends: [{ servicePort: key, weight: 1 }] });
    }
    into.set(key, routes);
  }
}

function reportEmptyBackends(
  { split, ports, backends }: UsableSplit,
  inForce: ReadonlyMap<string, UsableSplit>,
  servicePorts: MeshConfig["servicePorts"],
  problems: Problem[],
): void {
  for (const { key, weight, index } of backends) {
    if (weight === 0 || inForce.has(key)) continue;
    const empty = ports.filter((port) => Object.keys(servicePorts[`${key}:${port}`]?.endpoints ?? {}).length === 0);
    if (empty.length > 0)
      problems.push(
        problem(
          "SplitBackendWithoutEndpoints",
          refOf(split),
          `spec.backends[${index}].service`,
          `"${key.slice(split.meta.namespace.length + 1)}" has no ready endpoint on port ${empty.join(", ")}`,
        ),
      );
  }
}
