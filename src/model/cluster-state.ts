import { KINDS, type Kind, keyOf, type MeshObject, type ObjectOf, type ObjectRef, refOf } from "./objects.ts";

/** One step of a source: objects to set (whole, replacing what has their key), and objects that are gone. */
export interface ClusterDelta {
  readonly put: readonly MeshObject[];
  readonly remove: readonly ObjectRef[];
}

/** What topology reads. */
export interface ClusterStateView {
  get<K extends Kind>(kind: K, key: string): ObjectOf<K> | undefined;
  /** In no promised order. */
  list<K extends Kind>(kind: K): Iterable<ObjectOf<K>>;
  size(kind: Kind): number;
}

/** The objects as they are, by kind and `namespace/name`. A source writes it through deltas only. */
export class ClusterState implements ClusterStateView {
  readonly #kinds = new Map<Kind, Map<string, MeshObject>>(KINDS.map((kind) => [kind, new Map()]));

  static of(objects: Iterable<MeshObject>): ClusterState {
    const state = new ClusterState();
    state.apply({ put: [...objects], remove: [] });
    return state;
  }

  static copyOf(state: ClusterStateView): ClusterState {
    return ClusterState.of(KINDS.flatMap((kind): MeshObject[] => [...state.list(kind)]));
  }

  get<K extends Kind>(kind: K, key: string): ObjectOf<K> | undefined {
    return this.#map(kind).get(key) as ObjectOf<K> | undefined;
  }

  list<K extends Kind>(kind: K): Iterable<ObjectOf<K>> {
    return this.#map(kind).values() as Iterable<ObjectOf<K>>;
  }

  size(kind: Kind): number {
    return this.#map(kind).size;
  }

  apply(delta: ClusterDelta): void {
    for (const ref of delta.remove) this.#kinds.get(ref.kind as Kind)?.delete(keyOf(ref));
    for (const object of delta.put) this.#map(object.kind).set(keyOf(refOf(object)), object);
  }

  *all(): Iterable<MeshObject> {
    for (const map of this.#kinds.values()) yield* map.values();
  }

  #map(kind: Kind): Map<string, MeshObject> {
    return this.#kinds.get(kind) as Map<string, MeshObject>;
  }
}
