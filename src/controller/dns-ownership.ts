/**
 * Which mesh has the mesh domains. There may be several in a cluster: two installations of Tulle, or Tulle beside Traefik
 * Mesh; cluster DNS can lead to one only, so one owns the domains and the others stand by. A mesh of Tulle says so by a
 * claim, a number on its own Service `tulle-dns`: the highest is the owner's. Each can read all claims, writes only its
 * own, and moving the domains is one write.
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

export type TakeOver = "ready" | "force";

export interface DnsStanding {
  readonly owns: boolean;
  /** Namespace of the mesh that has the domains. */
  readonly owner: string;
  /** Why a take-over that was asked for has not happened yet. */
  readonly waitsFor: readonly string[];
  /** The mesh that they were taken from by this very look. */
  readonly takenFrom?: string;
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
   * Whether this mesh has the domains; it claims them where nobody has them, or where it is asked to and can.
   * @param observed as it was read before
   * @throws ApiError
   */
  async decide(api: Api, observed: ObservedDns): Promise<DnsStanding> {
    const { namespace, meshDomains } = this.#options;
    const claims = await readClaims(api);
    const originals = await this.#options.originals();
    const owner = ownerOf(claims, holderOf(observed, meshDomains), originals);
    const contested = originals.length > 0;
    const mine = claims.find((each) => each.namespace === namespace);
    if (owner === undefined || owner === namespace) {
      // Without a Service to write it on, there is nothing to forward to either.
      if (mine !== undefined && (mine.claim === 0 || mine.asked !== undefined)) await this.#claim(api, claims);
      return { owns: true, owner: namespace, waitsFor: [], contested };
    }
    if (mine?.asked === undefined) return { owns: false, owner, waitsFor: [], contested };
    const waitsFor = await this.#options.lacks(owner, mine.asked);
    if (waitsFor.length > 0) return { owns: false, owner, waitsFor, contested };
    await this.#claim(api, claims);
    return { owns: true, owner: namespace, waitsFor: [], takenFrom: owner, contested };
  }

  /** The one before has the domains again. @throws ApiError */
  async giveUp(api: Api): Promise<void> {
    await annotate(api, this.#options.namespace, { [CLAIM]: null, [TAKE_OVER]: null });
  }

  async #claim(api: Api, claims: readonly MeshClaim[]): Promise<void> {
    const { namespace } = this.#options;
    const others = claims.filter((each) => each.namespace !== namespace).map(({ claim }) => claim);
    const own = claims.find((each) => each.namespace === namespace)?.claim ?? 0;
    const next = Math.max(own, Math.max(0, ...others) + 1);
    await annotate(api, namespace, { [CLAIM]: String(next), [TAKE_OVER]: null });
  }
}

/** Asks the mesh of that namespace to take over, or takes that back. @throws ApiError */
export async function askToTakeOver(api: Api, namespace: string, asked: TakeOver | null): Promise<void> {
  await annotate(api, namespace, { [TAKE_OVER]: asked });
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

/** Namespace of the mesh that has the domains; undefined: nobody has. */
export function ownerOf(
  claims: readonly MeshClaim[],
  holder: DnsHolder | undefined,
  originals: readonly OriginalMesh[],
): string | undefined {
  const [first] = claims.filter(({ claim }) => claim > 0).sort(byClaim);
  if (first !== undefined) return first.namespace;
  if (holder === undefined) return undefined;
  const leadsTo = (addresses: readonly string[]) => addresses.some((address) => holder.addresses.includes(address));
  const tulle = claims.find(({ namespace, clusterIPs }) => namespace === holder.namespace || leadsTo(clusterIPs));
  if (tulle !== undefined) return tulle.namespace;
  return originals.find(
    ({ namespace, serves, dnsAddresses }) => serves && (namespace === holder.namespace || leadsTo(dnsAddresses)),
  )?.namespace;
}

/** Two that claimed at the same time are told apart by age. */
function byClaim(a: MeshClaim, b: MeshClaim): number {
  if (a.claim !== b.claim) return b.claim - a.claim;
  const [left, right] = [`${a.createdAt} ${a.namespace}`, `${b.createdAt} ${b.namespace}`];
  return left < right ? -1 : 1;
}

function claimOf({ metadata, spec = {} }: ServiceJson): MeshClaim {
  const { namespace = "", creationTimestamp = "", annotations = {} } = metadata;
  const claim = Number(annotations[CLAIM] ?? 0);
  const asked = annotations[TAKE_OVER];
  return {
    namespace,
    claim: Number.isSafeInteger(claim) && claim > 0 ? claim : 0,
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
