/** From a cluster's objects to the configuration of its proxies: topology, compiler, and the shadow services as placement. */
import { type Compiled, compile } from "../compiler/compile.ts";
import type { AccessMode, TrafficType } from "../config/mesh-config.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import { buildTopology } from "../topology/build-topology.ts";
import { placementOf, shadowsIn } from "./shadow-services.ts";

/** What an installation is told by its owner. */
export interface ClusterMeshOptions {
  /** The mesh's own namespace. */
  readonly namespace: string;
  readonly accessControl: AccessMode;
  readonly defaultTrafficType: TrafficType;
  readonly watchNamespaces: readonly string[];
  readonly ignoreNamespaces: readonly string[];
  readonly meshDomains: readonly string[];
}

export function compileCluster(state: ClusterStateView, options: ClusterMeshOptions): Compiled {
  const { namespace, watchNamespaces, ignoreNamespaces, ...rest } = options;
  return compile(buildTopology(state, { watchNamespaces, ignoreNamespaces }), {
    accessControl: rest.accessControl,
    defaultTrafficType: rest.defaultTrafficType,
    meshDomains: rest.meshDomains,
    placement: placementOf(shadowsIn(state, namespace)),
  });
}
