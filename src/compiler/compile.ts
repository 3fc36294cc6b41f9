/**
 * Topology to MeshConfig, by passes in this order: services, splits, access. A pass works on one object (the splits, on
 * those of a namespace) with what it looks at, and gives its part of the configuration; what is wrong becomes problems
 * beside it. Same topology, same bytes: everything is walked in key order. LiveCompiler runs the same passes change by
 * change.
 */
import {
  type AccessMode,
  emptyMeshConfig,
  type MeshConfig,
  type ServicePort,
  type TrafficType,
} from "../config/mesh-config.ts";
import { keyOf } from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";
import type { Topology, TopologyService } from "../topology/topology.ts";
import { accessRule, reportNobodys, restingPortsOf, servedPlaces, type TargetSurroundings } from "./access-pass.ts";
import { inOrder } from "./problem-book.ts";
import { RouteMatches } from "./route-matches.ts";
import { type Placement, reportUnserved, type ServiceRouters, serviceRouters } from "./service-pass.ts";
import { splitRoutes } from "./split-pass.ts";

const NO_PORTS: ReadonlySet<number> = new Set();

export interface CompileOptions {
  readonly accessControl: AccessMode;
  /** Traffic type of Services without annotation. */
  readonly defaultTrafficType: TrafficType;
  readonly meshDomains: readonly string[];
  readonly placement: Placement;
}

export interface Compiled {
  readonly config: MeshConfig;
  /** Of the topology and of the compiler, by object. */
  readonly problems: readonly Problem[];
}

/** With access control off, targets are checked all the same, and no rule of them is in the configuration. */
export function compile(topology: Topology, options: CompileOptions): Compiled {
  const problems: Problem[] = [...topology.problems];
  const draft = newDraft(options);
  draft.workloads = Object.fromEntries(topology.workloads);
  const { servicePorts } = draft;

  const served = new Map<string, ServiceRouters>();
  for (const each of topology.services.values()) {
    const routers = serviceRouters(each, options.defaultTrafficType, options.placement, problems);
    if (routers === undefined) continue;
    served.set(each.key, routers);
    draft.names[each.key] = routers.addresses;
    Object.assign(draft.entrypoints, routers.entrypoints);
    Object.assign(servicePorts, routers.servicePorts);
  }
  const matches = new RouteMatches();
  for (const group of topology.httpRouteGroups.values()) matches.set(group, problems);
  const splits = { services: topology.services, served, matches, servicePorts };
  for (const [key, routes] of splitRoutes(topology.splits, splits, problems))
    servicePorts[key] = { ...(servicePorts[key] as ServicePort), routes };

  const targets = { ...topology, ...placesIn(topology), matches };
  for (const target of topology.targets) {
    const rule = accessRule(target, targets, problems);
    if (rule !== undefined && options.accessControl !== "off") draft.accessRules[keyOf(target.meta)] = rule;
  }
  for (const [key, routers] of served)
    reportUnserved(topology.services.get(key) as TopologyService, routers, servicePorts, problems);
  if (options.accessControl !== "off") for (const each of topology.services.values()) reportNobodys(each, problems);
  return { config: draft, problems: inOrder(problems) };
}

/** What the options alone say. */
export function newDraft({
  accessControl,
  meshDomains,
}: Pick<CompileOptions, "accessControl" | "meshDomains">): MeshConfig {
  return { ...emptyMeshConfig(), accessControl, meshDomains: [...meshDomains] };
}

function placesIn(topology: Topology): Pick<TargetSurroundings, "podPorts" | "restingPorts"> {
  const ports = new Map<string, Set<number>>();
  const resting = new Map<string, Set<number>>();
  const add = (to: Map<string, Set<number>>, key: string, port: number) => {
    const known = to.get(key);
    if (known === undefined) to.set(key, new Set([port]));
    else known.add(port);
  };
  for (const each of topology.services.values()) {
    for (const [identity, port] of servedPlaces(each)) add(ports, identity, port);
    for (const port of restingPortsOf(each)) add(resting, each.service.meta.namespace, port);
  }
  return {
    podPorts: (identity) => ports.get(identity),
    restingPorts: (namespace) => resting.get(namespace) ?? NO_PORTS,
  };
}
