import { type Change, changedKeys } from "../config/changes.ts";
import type { MeshConfig } from "../config/mesh-config.ts";
import { EMPTY, type Found, NONE, type Zone } from "./zone.ts";

/**
 * `service.namespace.domain` for every mesh domain. An update costs as much as it changes, however many names there are.
 */
export class MeshZone implements Zone {
  #origins: readonly string[];
  /** Its own: in the configuration a name may be there before its sockets listen. */
  readonly #names = new Map<string, readonly string[]>();
  #namespaces: ReadonlySet<string> | undefined;

  /** @param domains without dots at their ends */
  constructor(domains: readonly string[]) {
    this.#origins = innermostFirst(domains);
  }

  get origins(): readonly string[] {
    return this.#origins;
  }

  /** @param changes since the one before; absent: anything may be another */
  update(
    { names, meshDomains }: Pick<MeshConfig, "names"> & Partial<Pick<MeshConfig, "meshDomains">>,
    changes?: readonly Change[],
  ): void {
    if (meshDomains !== undefined) this.#origins = innermostFirst(meshDomains);
    for (const key of changedKeys(changes, "names", names, this.#names.keys())) {
      const addresses = Object.hasOwn(names, key) ? names[key] : undefined;
      if (addresses === undefined) this.#names.delete(key);
      else this.#names.set(key, addresses);
      this.#namespaces = undefined;
    }
  }

  find(name: string): Found {
    if (this.origins.includes(name)) return EMPTY;
    const origin = this.origins.find((each) => name.endsWith(`.${each}`));
    if (origin === undefined) return NONE;
    const labels = name.slice(0, -origin.length - 1).split(".");
    const [first = "", namespace] = labels;
    // A namespace's own name has no address, but names below it.
    if (namespace === undefined) return this.#knownNamespaces().has(first) ? EMPTY : NONE;
    if (labels.length > 2) return NONE;
    const key = `${namespace}/${first}`;
    const addresses = this.#names.get(key);
    return addresses === undefined ? NONE : { kind: "addresses", addresses };
  }

  #knownNamespaces(): ReadonlySet<string> {
    this.#namespaces ??= new Set([...this.#names.keys()].map((key) => key.slice(0, key.indexOf("/"))));
    return this.#namespaces;
  }
}

/** Of two domains, one within the other, a name is taken for the inner one's. */
function innermostFirst(domains: readonly string[]): readonly string[] {
  return domains.map((domain) => domain.toLowerCase()).sort((a, b) => b.length - a.length);
}
