/** The mesh that this replica serves, in the forms in which routes of the admin API ask for it. */
import type { MeshConfig } from "../config/mesh-config.ts";
import type { ExplainedMesh } from "../explain/explain.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { Problem } from "../model/problems.ts";
import { buildTopology, namespaceFilter } from "../topology/build-topology.ts";
import type { MeshNow } from "../topology-view/topology-route.ts";
import type { PolledMesh } from "../traefik/configuration-route.ts";
import { placedNumbers } from "../traefik/entrypoint-numbers.ts";
import { type ClusterMeshOptions, compileCluster } from "./compile-cluster.ts";

/** At one moment. */
export interface Serving {
  readonly config: MeshConfig;
  readonly problems: readonly Problem[];
  /** Grows with each compilation. */
  readonly serial: number;
}

export class ServedMesh {
  readonly #options: ClusterMeshOptions;
  readonly #state: ClusterStateView;
  readonly #serving: () => Serving | undefined;
  /** What questions were answered from last. */
  #asked: (ReturnType<typeof compileCluster> & { readonly serial: number }) | undefined;

  /** @param serving undefined: nothing is served yet */
  constructor(options: ClusterMeshOptions, state: ClusterStateView, serving: () => Serving | undefined) {
    this.#options = options;
    this.#state = state;
    this.#serving = serving;
  }

  /** As Traefiks beside the proxies would run it. */
  exported(): PolledMesh | undefined {
    const serving = this.#serving();
    if (serving === undefined) return undefined;
    const { config, serial } = serving;
    const service = (key: string) => this.#state.get("Service", key);
    return { config, service, numbers: placedNumbers(config, service), serial };
  }

  now(): MeshNow | undefined {
    const serving = this.#serving();
    if (serving === undefined) return undefined;
    const { config, problems, serial } = serving;
    const state = this.#state;
    return {
      stamp: serial,
      problems,
      told: () => ({ state, config, topology: buildTopology(state, this.#options) }),
    };
  }

  explained(): ExplainedMesh | undefined {
    const serving = this.#serving();
    if (serving === undefined) return undefined;
    const { serial } = serving;
    const state = this.#state;
    // Rules are in a configuration only where they may be asked. To compile all of a big cluster takes a second.
    if (this.#asked?.serial !== serial)
      this.#asked = { serial, ...compileCluster(state, { ...this.#options, accessControl: "on" }) };
    const { config, problems } = this.#asked;
    const enforced = this.#options.accessControl;
    return { state, config, enforced, problems, within: namespaceFilter(this.#options) };
  }
}
