/** The mesh that is in force on this machine, in the forms in which its admin API and its callers ask for it. */
import { ConfigHistory } from "../config/config-history.ts";
import { emptyMeshConfig, type MeshConfig } from "../config/mesh-config.ts";
import { type Snapshot, seal } from "../config/snapshot.ts";
import type { ExplainedMesh } from "../explain/explain.ts";
import type { LocatedProblem } from "../manifests/manifest-file.ts";
import { ClusterState, type ClusterStateView } from "../model/cluster-state.ts";
import type { Pod, Service } from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";
import { buildTopology } from "../topology/build-topology.ts";
import type { MeshNow } from "../topology-view/topology-route.ts";
import type { PolledMesh } from "../traefik/configuration-route.ts";
import { AssignedNumbers } from "../traefik/entrypoint-numbers.ts";
import { nodeData } from "../traefik/node-data.ts";
import { type CompileMeshOptions, compileMesh } from "./compile-mesh.ts";

export interface MeshInForceOptions extends CompileMeshOptions {
  /** Of what was found wrong with objects, what is wrong with those that the user wrote, and where. */
  readonly locate?: (problems: readonly Problem[]) => readonly LocatedProblem[];
}

export class MeshInForce {
  readonly #options: MeshInForceOptions;
  readonly #history = new ConfigHistory();
  readonly #numbers = new AssignedNumbers();
  #state: ClusterStateView | undefined;
  #updates = 0;
  #snapshot: Snapshot = seal(emptyMeshConfig());
  #known: readonly LocatedProblem[] = [];
  #found: readonly Problem[] = [];
  /** Both, as they are written. */
  #problems: readonly Problem[] = [];

  constructor(options: MeshInForceOptions) {
    this.#options = options;
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  get history(): ConfigHistory {
    return this.#history;
  }

  /** What is wrong with the objects, those that were not put in force included, and where they stand now. */
  get located(): readonly LocatedProblem[] {
    return [...this.#known, ...this.locate(this.#found)];
  }

  locate(problems: readonly Problem[]): readonly LocatedProblem[] {
    const { locate = nowhere } = this.#options;
    return locate(problems);
  }

  /**
   * @param known what the source found wrong
   * @param found what else is
   */
  noteProblems(known: readonly LocatedProblem[], found: readonly Problem[]): void {
    this.#known = known;
    this.#found = found;
    this.#problems = this.located.map(({ problem }) => problem);
  }

  /** @returns whether this is another configuration than the one before */
  update(state: ClusterStateView, config: MeshConfig): boolean {
    const snapshot = seal(config);
    const changed = snapshot.version !== this.#snapshot.version;
    // The source goes on writing into its own.
    this.#state = ClusterState.copyOf(state);
    this.#updates++;
    if (changed) this.#snapshot = snapshot;
    return changed;
  }

  pods(): readonly Pod[] {
    return [...(this.#state?.list("Pod") ?? [])];
  }

  /** Address of `namespace/name`, where there is such a Pod and it has one. */
  podAddress(key: string): string | undefined {
    return this.#state?.get("Pod", key)?.ips[0];
  }

  readonly service = (key: string): Service | undefined => this.#state?.get("Service", key);

  /** As Traefiks in the place of the proxy would run it. */
  exported(): PolledMesh | undefined {
    if (this.#state === undefined) return undefined;
    const { service } = this;
    const { config } = this.#snapshot;
    return { config, service, numbers: this.#numbers.of(service), serial: this.#updates };
  }

  /** As Traefik Mesh's controller told the configuration of a node. */
  nodeData(): object {
    return nodeData(this.#snapshot, this.service, this.#numbers.of(this.service));
  }

  now(): MeshNow | undefined {
    const state = this.#state;
    if (state === undefined) return undefined;
    const { config } = this.#snapshot;
    return {
      // Some of what is told is in no configuration.
      stamp: this.#updates,
      problems: this.#problems,
      told: () => ({ state, config, topology: buildTopology(state) }),
    };
  }

  explained(): ExplainedMesh | undefined {
    const state = this.#state;
    if (state === undefined) return undefined;
    const { accessControl: enforced } = this.#options;
    // Rules are in a configuration only where they may be asked.
    const { config, problems } = compileMesh(state, { ...this.#options, accessControl: "on" });
    return { state, config, enforced, problems };
  }
}

const nowhere = (problems: readonly Problem[]): LocatedProblem[] =>
  problems.map((each) => ({ problem: each, file: "", line: 0 }));
