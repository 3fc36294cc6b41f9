/**
 * The configuration of a cluster's proxies, kept while its objects change. What `compileCluster` makes of all objects
 * at once is the measure; this comes to the same and looks only at what changed.
 */
import { type LiveCompiled, LiveCompiler } from "../compiler/live-compiler.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { ObjectRef, Service } from "../model/objects.ts";
import type { ClusterMeshOptions } from "./compile-cluster.ts";
import { movedBetween, type PlacedShadows, placementOf, type SharesPort, shadowsIn } from "./shadow-services.ts";

export class ClusterCompiler {
  readonly #namespace: string;
  readonly #compiler: LiveCompiler;
  readonly #shares: SharesPort | undefined;
  #shadows: ReadonlyMap<string, Service> = new Map();
  #placement: PlacedShadows = placementOf(this.#shadows);

  /** @param shares absent: each port of the proxies is one service port's */
  constructor({ namespace, ...options }: ClusterMeshOptions, shares?: SharesPort) {
    this.#namespace = namespace;
    this.#shares = shares;
    this.#compiler = new LiveCompiler(options);
  }

  /** @param changed refs of all that was put into the state or removed since the last time */
  update(state: ClusterStateView, changed: readonly ObjectRef[]): LiveCompiled {
    const moved = this.#moved(state, changed);
    return this.#compiler.update(state, changed, this.#placement, moved);
  }

  /** Takes up shadow services that changed. @returns keys of Services that are placed elsewhere now */
  #moved(state: ClusterStateView, changed: readonly ObjectRef[]): Iterable<string> {
    if (!changed.some(({ kind, namespace }) => kind === "Service" && namespace === this.#namespace)) return [];
    const shadows = shadowsIn(state, this.#namespace);
    const placement = placementOf(shadows, this.#shares);
    const moved = movedBetween(this.#shadows, this.#placement, shadows, placement);
    this.#shadows = shadows;
    this.#placement = placement;
    return moved;
  }
}
