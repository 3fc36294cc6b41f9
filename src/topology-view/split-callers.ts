/** Which TrafficSplits are in force, and whom their backends admit. */
import type { MeshConfig } from "../config/mesh-config.ts";

interface Split {
  readonly service: string;
  readonly backends?: readonly { readonly weight: number; readonly service: string }[];
}

/** Keys `name@namespace` of the splits that the proxies go by. */
export function splitsInForce({ servicePorts }: MeshConfig): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const { routes = [] } of Object.values(servicePorts))
    for (const { origin } of routes) if (origin.kind === "TrafficSplit") keys.add(`${origin.name}@${origin.namespace}`);
  return keys;
}

/**
 * Pods that are admitted wherever a split may lead: its backends with a weight, and theirs where they are split in turn.
 * With access control off no target says so, and there are none.
 */
export class SplitCallers {
  readonly #splits: Readonly<Record<string, Split>>;
  readonly #splitOf: ReadonlyMap<string, string>;
  readonly #admittedAt: (service: string) => ReadonlySet<string>;
  readonly #known = new Map<string, ReadonlySet<string>>();

  /**
   * @param inForce keys of those splits that are
   * @param admittedAt the Pods that a Service admits, were it not split
   */
  constructor(
    splits: Readonly<Record<string, Split>>,
    inForce: ReadonlySet<string>,
    admittedAt: (service: string) => ReadonlySet<string>,
  ) {
    this.#splits = splits;
    this.#splitOf = new Map([...inForce].map((key) => [splits[key]?.service ?? "", key] as const));
    this.#admittedAt = admittedAt;
  }

  /** Each split is gone through once, by however many ways it is come to. */
  of(key: string): ReadonlySet<string> {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    // The objects may be newer than what is in force, and lead back here: that way admits those who it would plainly.
    this.#known.set(key, this.#admittedAt(this.#splits[key]?.service ?? ""));
    const weighted = (this.#splits[key]?.backends ?? []).filter(({ weight }) => weight > 0);
    const sets = weighted.map(({ service }) => {
      const next = this.#splitOf.get(service);
      return next === undefined ? this.#admittedAt(service) : this.of(next);
    });
    const [first = new Set<string>(), ...others] = sets;
    const callers = new Set([...first].filter((pod) => others.every((set) => set.has(pod))));
    this.#known.set(key, callers);
    return callers;
  }
}
