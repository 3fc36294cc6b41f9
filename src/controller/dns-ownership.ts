/**
 * Which mesh has the mesh domains. There may be several in a cluster: two installations of Tulle, or Tulle beside Traefik
 * Mesh; cluster DNS can lead to one only, so one owns the domains and the others stand by. The owner is whom cluster DNS
 * leads to, unless another mesh of Tulle claims the domains higher: by a number on its own Service `tulle-dns`. Each reads
 * all claims and writes only its own, so moving the domains is one write, and who cannot write into cluster DNS cannot
 * take them, whatever he claims.
 *
 * Whoever looks after cluster DNS reads it first and the claims after that, and writes with the version that it read:
 * so an owner that does not know yet that it lost the domains cannot overwrite what the new one wrote.
 */
import { type DnsHolder, holderOf } from "../coredns/dns-holder.ts";
import type { ObservedDns } from "../coredns/dns-provider.ts";
import { type Api, MERGE_PATCH } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import type { OriginalMesh } from "./original-meshes.ts";
import { DNS_SERVICE } from "./own-objects.ts";

/** How high the mesh claims the domains; absent: it does not. */
const CLAIM = "tulle.dev/dns-claim";
/** Asks the mesh to take the domains over: `ready`, or `force`. Gone once it has. */
const TAKE_OVER = "tulle.dev/dns-take-over";

/** Asks the owner to give the domains to Traefik Mesh in that namespace. Gone once it has. */
const HAND_BACK = "tulle.dev/dns-hand-back";

export type TakeOver = "ready" | "force";

export interface DnsStanding {
  readonly owns: boolean;
  /** Namespace of the mesh that has the domains. */
  readonly owner: string;
  /** Why a take-over that was asked for has not happened yet. */
  readonly waitsFor: readonly string[];
  /** The mesh that they were taken from by this very look. */
  readonly takenFrom?: string;
  /** Whom the owner has to give them to: Traefik Mesh cannot take them by itself. */
  readonly handsBackTo?: OriginalMesh;
  /** Traefik Mesh is in the cluster too, and knows of no owner: it may write at any time. */
  readonly contested: boolean;
}

/** A Service `tulle-dns`. */
export interface MeshClaim {
  readonly namespace: string;
  /** 0: none. */
  readonly claim: number;
  /** What is asked of this mesh; undefined: nothing. */
  readonly asked: TakeOver | undefined;
  /** Namespace of Traefik Mesh that it has to give them to; undefined: it has not. */
  readonly handBack: string | undefined;
  readonly createdAt: string;
  readonly clusterIPs: readonly string[];
}

interface ServiceJson {
  readonly metadata: {
    readonly namespace?: string;
    readonly creationTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly clusterIP?: string; readonly clusterIPs?: readonly string[] };
}

export interface DnsOwnershipOptions {
  readonly namespace: string;
  readonly meshDomains: readonly string[];
  originals(): readonly OriginalMesh[] | Promise<readonly OriginalMesh[]>;
  /** What keeps this mesh from taking over from another, a sentence each; none: it may. */
  lacks(from: string, asked: TakeOver): readonly string[] | Promise<readonly string[]>;
}

export class DnsOwnership {
  readonly #options: DnsOwnershipOptions;

  constructor(options: DnsOwnershipOptions) {
    this.#options = options;
  }

  /**
   * Whether this mesh has the domains; it claims them where nobody has them, or where it is asked to and can, and gives its
   * claim up once they are another's.
   * @param observed as it was read before
   * @throws ApiError
   */
  async decide(api: Api, observed: ObservedDns): Promise<DnsStanding> {
    const { namespace, meshDomains } = this.#options;
    const claims = await readClaims(api);
    const originals = await this.#options.originals();
    const owner = ownerFor(namespace, claims, holderOf(observed, meshDomains), originals);
    const contested = originals.length > 0;
    const mine = claims.find((each) => each.namespace === namespace);
    if (owner === undefined || owner === namespace) {
      // Without a Service to write it on, there is nothing to forward to either.
      if (mine !== undefined && (mine.claim === 0 || mine.asked !== undefined)) await this.#claim(api, mine.claim || 1);
      const handsBackTo = originals.find((each) => each.serves && each.namespace === mine?.handBack);
      const hands = handsBackTo === undefined ? {} : { handsBackTo };
      return { owns: true, owner: namespace, waitsFor: [], contested, ...hands };
    }
    if (mine?.asked === undefined) {
      if (mine !== undefined && mine.claim > 0) await this.giveUp(api);
      return { owns: false, owner, waitsFor: [], contested };
    }
    const waitsFor = await this.#options.lacks(owner, mine.asked);
    if (waitsFor.length > 0) return { owns: false, owner, waitsFor, contested };
    const claim = claims.find((each) => each.namespace === owner)?.claim ?? 0;
    await this.#claim(api, Math.max(mine.claim, claim + 1));
    return { owns: true, owner: namespace, waitsFor: [], takenFrom: owner, contested };
  }

  /** The one before has the domains again. @throws ApiError */
  async giveUp(api: Api): Promise<void> {
    await annotate(api, this.#options.namespace, { [CLAIM]: null, [TAKE_OVER]: null, [HAND_BACK]: null });
  }

  async #claim(api: Api, claim: number): Promise<void> {
    await annotate(api, this.#options.namespace, { [CLAIM]: String(claim), [TAKE_OVER]: null, [HAND_BACK]: null });
  }
}

/** Asks the mesh of that namespace to take over, or takes that back. @throws ApiError */
export async function askToTakeOver(api: Api, namespace: string, asked: TakeOver | null): Promise<void> {
  await annotate(api, namespace, { [TAKE_OVER]: asked });
}

/** Asks the mesh of that namespace to give the domains to Traefik Mesh, or takes that back. @throws ApiError */
export async function askToHandBack(api: Api, namespace: string, to: string | null): Promise<void> {
  await annotate(api, namespace, { [HAND_BACK]: to });
}

/** Of all meshes of Tulle in the cluster. @throws ApiError */
export async function readClaims(api: Api): Promise<MeshClaim[]> {
  const query = { fieldSelector: `metadata.name=${DNS_SERVICE}` };
  try {
    const { items = [] } = await api.request<{ items?: ServiceJson[] }>("GET", "/api/v1/services", { query });
    return items.filter(({ metadata }) => metadata.labels?.["app.kubernetes.io/part-of"] === "tulle").map(claimOf);
  } catch (error) {
    if (isApiError(error, 404)) return [];
    throw error;
  }
}

/** Namespace of the mesh that has the domains, as the mesh in `namespace` has to see it; undefined: nobody has. */
export function ownerFor(
  namespace: string,
  claims: readonly MeshClaim[],
  holder: DnsHolder | undefined,
  originals: readonly OriginalMesh[],
): string | undefined {
  const mine = claims.find((each) => each.namespace === namespace);
  const claiming = mine !== undefined && mine.claim > 0;
  const leadsTo = holder && meshOf(holder, claims, originals);
  if (leadsTo === undefined) {
    if (claiming) return namespace;
    // Overwritten a moment ago: whoever claims them puts them back.
    return claims.filter(({ claim }) => claim > 0).sort(byClaim)[0]?.namespace;
  }
  const other = claims.find((each) => each.namespace === leadsTo);
  const above = claiming && (other === undefined || byClaim(mine, other) < 0);
  return above ? namespace : leadsTo;
}

/** Namespace of the mesh that cluster DNS leads to; undefined where nothing serves there any more. */
function meshOf(
  holder: DnsHolder,
  claims: readonly MeshClaim[],
  originals: readonly OriginalMesh[],
): string | undefined {
  const leadsTo = (addresses: readonly string[]) => addresses.some((address) => holder.addresses.includes(address));
  const tulle = claims.find(({ namespace, clusterIPs }) => namespace === holder.namespace || leadsTo(clusterIPs));
  if (tulle !== undefined) return tulle.namespace;
  return originals.find(
    ({ namespace, serves, dnsAddresses }) => serves && (namespace === holder.namespace || leadsTo(dnsAddresses)),
  )?.namespace;
}

/** The higher first; two that claimed at the same time are told apart by age. */
function byClaim(a: MeshClaim, b: MeshClaim): number {
  if (a.claim !== b.claim) return b.claim - a.claim;
  const [left, right] = [`${a.createdAt} ${a.namespace}`, `${b.createdAt} ${b.namespace}`];
  return left < right ? -1 : left > right ? 1 : 0;
}

function claimOf({ metadata, spec = {} }: ServiceJson): MeshClaim {
  const { namespace = "", creationTimestamp = "", annotations = {} } = metadata;
  const claim = Number(annotations[CLAIM] ?? 0);
  const asked = annotations[TAKE_OVER];
  return {
    namespace,
    claim: Number.isSafeInteger(claim) && claim > 0 ? claim : 0,
    handBack: annotations[HAND_BACK],
    asked: asked === undefined ? undefined : asked === "force" ? "force" : "ready",
    createdAt: creationTimestamp,
    clusterIPs: (spec.clusterIPs ?? [spec.clusterIP ?? ""]).filter((address) => address !== "" && address !== "None"),
  };
}

async function annotate(api: Api, namespace: string, annotations: Readonly<Record<string, string | null>>) {
  await api.request("PATCH", `/api/v1/namespaces/${namespace}/services/${DNS_SERVICE}`, {
    contentType: MERGE_PATCH,
    body: { metadata: { annotations } },
  });
}
