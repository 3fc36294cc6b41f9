/**
 * Topology to MeshConfig, by passes in this order: services, splits, access. A pass reads the topology and adds to the
 * draft; what is wrong becomes problems beside it. Same topology, same bytes: everything is walked in key order.
 */
import { type AccessMode, emptyMeshConfig, type MeshConfig, type TrafficType } from "../config/mesh-config.ts";
import { formatRef } from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";
import type { Topology } from "../topology/topology.ts";
import { accessRules, reportNobodys } from "./access-pass.ts";
import { RouteMatches } from "./route-matches.ts";
import { type Placement, reportUnserved, serviceRouters } from "./service-pass.ts";
import { splitRoutes } from "./split-pass.ts";

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
  const draft = emptyMeshConfig();
  draft.accessControl = options.accessControl;
  draft.meshDomains = [...options.meshDomains];
  draft.workloads = Object.fromEntries(topology.workloads);

  const served = serviceRouters(topology, options.defaultTrafficType, options.placement, draft, problems);
  const matches = new RouteMatches(topology.httpRouteGroups.values(), problems);
  splitRoutes(topology, served, matches, draft, problems);
  accessRules(topology, matches, draft, problems);
  reportUnserved(topology, served, draft, problems);
  if (options.accessControl === "off") draft.accessRules = {};
  else reportNobodys(topology, problems);
  return { config: draft, problems: problems.sort(byObject) };
}

function byObject(a: Problem, b: Problem): number {
  const left = `${formatRef(a.object)} ${a.field} ${a.code}`;
  const right = `${formatRef(b.object)} ${b.field} ${b.code}`;
  return left < right ? -1 : left > right ? 1 : 0;
}
