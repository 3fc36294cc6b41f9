/** Look-ups as a Pod's resolver makes them, with ndots:5 and the usual search domains, in zones of this process. */
import type { Zone } from "../dns/zone.ts";

/** Aliases of aliases. */
const MAX_ALIASES = 8;

/**
 * @param name with a dot at its end it is whole, and no search domain is tried
 * @param namespace of the Pod; undefined where no Pod asks
 * @returns none where there is no such name
 */
export function resolveAsPod(zones: readonly Zone[], name: string, namespace: string | undefined): string[] {
  const absolute = name.endsWith(".");
  const plain = (absolute ? name.slice(0, -1) : name).toLowerCase();
  const search = absolute ? [] : searchDomains(namespace).map((domain) => `${plain}.${domain}`);
  for (const candidate of [...search, plain]) {
    const addresses = addressesOf(zones, candidate);
    if (addresses.length > 0) return addresses;
  }
  return [];
}

function searchDomains(namespace: string | undefined): readonly string[] {
  const common = ["svc.cluster.local", "cluster.local"];
  return namespace === undefined ? common : [`${namespace}.svc.cluster.local`, ...common];
}

/** Follows an alias within the zones; one that leads out of them is nothing that a mesh on one machine can call. */
function addressesOf(zones: readonly Zone[], name: string): string[] {
  let at = name;
  for (let alias = 0; alias < MAX_ALIASES; alias++) {
    const found = zones.map((zone) => zone.find(at)).find(({ kind }) => kind !== "none");
    if (found?.kind === "addresses") return [...found.addresses];
    if (found?.kind !== "alias") return [];
    at = found.target.toLowerCase().replace(/\.$/, "");
  }
  return [];
}
