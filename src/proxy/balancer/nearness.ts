/**
 * The endpoints that are near, of those a call may reach: on the proxy's own node, else in its zone, else all of them. A
 * proxy carries the calls of its own node, so that its place is the caller's.
 */
import type { Balancing } from "../../config/mesh-config.ts";

/** Where a proxy runs, so far as it knows. */
export interface Place {
  readonly node: string | undefined;
  readonly zone: string | undefined;
}

export interface Placed {
  readonly config: { readonly node?: string; readonly zone?: string };
}

export class Nearness<T extends Placed> {
  #prefer: Balancing["prefer"];
  #place: Place = { node: undefined, zone: undefined };
  /** By the list that was asked about: lists are made anew when what is in them changes. */
  #known = new WeakMap<readonly T[], readonly T[]>();

  change(prefer: Balancing["prefer"], place: Place): void {
    if (prefer === this.#prefer && place.node === this.#place.node && place.zone === this.#place.zone) return;
    this.#prefer = prefer;
    this.#place = place;
    this.#known = new WeakMap();
  }

  /** @returns the list itself where none is nearer than others */
  nearOf(candidates: readonly T[]): readonly T[] {
    if (this.#prefer === undefined) return candidates;
    let near = this.#known.get(candidates);
    if (near === undefined) {
      near = this.#find(candidates);
      this.#known.set(candidates, near);
    }
    return near;
  }

  #find(candidates: readonly T[]): readonly T[] {
    const { node, zone } = this.#place;
    const onNode =
      this.#prefer === "node" && node !== undefined ? candidates.filter(({ config }) => config.node === node) : [];
    if (onNode.length > 0) return onNode;
    const inZone = zone === undefined ? [] : candidates.filter(({ config }) => config.zone === zone);
    return inZone.length > 0 ? inZone : candidates;
  }
}
