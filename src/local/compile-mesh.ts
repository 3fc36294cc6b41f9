/** From objects to the configuration in force on one machine: topology, compiler and the loopback addresses. */
import { type Compiled, compile } from "../compiler/compile.ts";
import type { AccessMode, TrafficType } from "../config/mesh-config.ts";
import type { LoopbackAddresses } from "../manifests/loopback-addresses.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import { buildTopology } from "../topology/build-topology.ts";

export const MESH_DOMAINS: readonly string[] = ["traefik.mesh", "maesh"];

export interface CompileMeshOptions {
  readonly accessControl: AccessMode;
  readonly defaultTrafficType: TrafficType;
  readonly addresses: LoopbackAddresses;
}

/** Each mesh name has an address of its own, so the ports are the Services' own. */
export function compileMesh(state: ClusterStateView, options: CompileMeshOptions): Compiled {
  const { accessControl, defaultTrafficType, addresses } = options;
  const addressOf = (key: string) => {
    const address = addresses.meshAddress(key);
    return address === undefined ? [] : [address];
  };
  return compile(buildTopology(state), {
    accessControl,
    defaultTrafficType,
    meshDomains: MESH_DOMAINS,
    placement: {
      addresses: addressOf,
      entrypoints: (key, port) => addressOf(key).map((address) => ({ address, port })),
    },
  });
}
