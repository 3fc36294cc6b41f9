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

  of(key: string): ReadonlySet<string> {
    return this.#walk(key, [key]);
  }

  #walk(key: string, passed: readonly string[]): ReadonlySet<string> {
    const weighted = (this.#splits[key]?.backends ?? []).filter(({ weight }) => weight > 0);
    const sets = weighted.map(({ service }) => {
      const next = this.#splitOf.get(service);
      // A split that is not in force may lead to itself.
      if (next === undefined || passed.includes(next)) return this.#admittedAt(service);
      return this.#walk(next, [...passed, next]);
    });
    const [first = new Set<string>(), ...others] = sets;
    return new Set([...first].filter((pod) => others.every((set) => set.has(pod))));
  }
}
