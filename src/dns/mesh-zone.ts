import type { MeshConfig } from "../config/mesh-config.ts";
import { EMPTY, type Found, NONE, type Zone } from "./zone.ts";

/**
 * `service.namespace.domain` for every mesh domain. Names are looked up in the configuration as it is: an update costs
 * nothing, however many names there are.
 */
export class MeshZone implements Zone {
  #origins: readonly string[];
  #names: MeshConfig["names"] = {};
  #namespaces: ReadonlySet<string> | undefined;

  /** @param domains without dots at their ends */
  constructor(domains: readonly string[]) {
    this.#origins = innermostFirst(domains);
  }

  get origins(): readonly string[] {
    return this.#origins;
  }

  update({ names, meshDomains }: Pick<MeshConfig, "names"> & Partial<Pick<MeshConfig, "meshDomains">>): void {
    if (meshDomains !== undefined) this.#origins = innermostFirst(meshDomains);
    this.#names = names;
    this.#namespaces = undefined;
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
    const addresses = Object.hasOwn(this.#names, key) ? this.#names[key] : undefined;
    return addresses === undefined ? NONE : { kind: "addresses", addresses };
  }

  #knownNamespaces(): ReadonlySet<string> {
    this.#namespaces ??= new Set(Object.keys(this.#names).map((key) => key.slice(0, key.indexOf("/"))));
    return this.#namespaces;
  }
}

/** Of two domains, one within the other, a name is taken for the inner one's. */
function innermostFirst(domains: readonly string[]): readonly string[] {
  return domains.map((domain) => domain.toLowerCase()).sort((a, b) => b.length - a.length);
}
