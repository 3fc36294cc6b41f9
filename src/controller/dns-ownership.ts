/**
 * Which mesh has the mesh domains. There may be several in a cluster: two installations of Tulle, or Tulle beside Traefik
 * Mesh; cluster DNS can lead to one only, so one owns the domains and the others stand by. The owner stands on DNS's own
 * workload (DnsRecord); where nothing stands there, it is whom cluster DNS leads to. Both can be written by those alone who
 * may change cluster DNS, so nothing that a user of the cluster makes in a namespace of his own decides it.
 *
 * Whoever changes cluster DNS writes the record first, with the version that it read, and DNS after that, with the version
 * that it read: so an owner that does not know yet that it lost the domains is refused.
 */
import { type DnsHolder, holderOf } from "../coredns/dns-holder.ts";
import type { ObservedDns } from "../coredns/dns-provider.ts";
import type { BlockMarks } from "../coredns/mesh-block.ts";
import { type Api, MERGE_PATCH } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import type { Clock } from "../model/clock.ts";
import { type DnsRecord, recordOf } from "./dns-record.ts";
import type { OriginalMesh } from "./original-meshes.ts";
import { DNS_SERVICE } from "./own-objects.ts";

/** Asks the mesh to take the domains over: `ready`, or `force`. Gone once it has. */
const TAKE_OVER = "tulle.dev/dns-take-over";
/** Asks the owner to give the domains to Traefik Mesh in that namespace. Gone once it has. */
const HAND_BACK = "tulle.dev/dns-hand-back";

/** Traefik Mesh has these, and cannot be told others. */
const ORIGINAL_DOMAINS = ["maesh", "traefik.mesh"];
/** An owner that is not there for a shorter time is being made anew. */
const GONE_MS = 30_000;

export type TakeOver = "ready" | "force";

export interface DnsStanding {
  readonly owns: boolean;
  /** Namespace of the mesh that has the domains. */
  readonly owner: string;
  /** Nothing of the owner is there any more: this mesh takes over soon. */
  readonly ownerGone: boolean;
  /** Why a take-over that was asked for, or is due, has not happened yet. */
  readonly waitsFor: readonly string[];
  /** Of the owner: what has to be on record while it changes cluster DNS. */
  readonly record: DnsRecord;
  /** Whom the owner has to give them to: Traefik Mesh cannot take them by itself. */
  readonly handsBackTo?: OriginalMesh;
  /** Traefik Mesh in the cluster: it knows of no owner, and may write at any time. */
  readonly originals: readonly OriginalMesh[];
}

/** A Service `tulle-dns`. */
interface MeshDns {
  readonly namespace: string;
  /** What is asked of this mesh; undefined: nothing. */
  readonly asked: TakeOver | undefined;
  /** Namespace of Traefik Mesh that it has to give them to; undefined: it has not. */
  readonly handBack: string | undefined;
  readonly clusterIPs: readonly string[];
}

interface ServiceJson {
  readonly metadata: { readonly namespace?: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: { readonly clusterIP?: string; readonly clusterIPs?: readonly string[] };
}

export interface DnsOwnershipOptions {
  readonly namespace: string;
  readonly meshDomains: readonly string[];
  readonly clock: Clock;
  /** Whatever looks like Traefik Mesh; anybody can make that. */
  originals(): readonly OriginalMesh[] | Promise<readonly OriginalMesh[]>;
  /** What keeps this mesh from taking over from another, a sentence each; none: it may. */
  lacks(from: string, asked: TakeOver): readonly string[] | Promise<readonly string[]>;
}

/** Whom the domains are with. */
interface Owner {
  /** Empty: an address that nobody has. */
  readonly namespace: string;
  /** Something serves, or may write, there. */
  readonly alive: boolean;
  readonly domains: readonly string[];
}

export class DnsOwnership {
  readonly #options: DnsOwnershipOptions;
  /** Since when the owner is gone. */
  #gone: { readonly namespace: string; readonly since: number } | undefined;

  constructor(options: DnsOwnershipOptions) {
    this.#options = options;
  }

  /**
   * Whether this mesh has the domains: it does where nobody has them, where its owner is gone for good, or where it is asked
   * to and can. Nothing of it is written down here, but that what was asked is done.
   * @param observed as it was read before
   * @param resting why this mesh changes nothing just now, a sentence each
   * @throws ApiError
   */
  async decide(api: Api, observed: ObservedDns, resting: readonly string[] = []): Promise<DnsStanding> {
    const { namespace, meshDomains } = this.#options;
    const record = recordOf(observed);
    const own = await readMeshDns(api, namespace);
    const originals = await this.originalsIn(observed);
    const owner = await findOwner({ api, observed, namespace, meshDomains, originals });
    const original = record.original ?? originals[0]?.namespace;
    const mine: DnsRecord = {
      namespace,
      domains: meshDomains.toSorted(),
      ...(original === undefined ? {} : { original }),
    };
    const isMine = owner === undefined || owner.namespace === namespace;
    if (isMine || owner.alive) this.#gone = undefined;
    if (isMine) {
      if (own?.asked !== undefined && record.from === undefined) await this.answered(api);
      const handsBackTo = originals.find((each) => each.serves && each.namespace === own?.handBack);
      const from = record.namespace === namespace && record.from !== undefined ? { from: record.from } : {};
      const hands = handsBackTo === undefined ? {} : { handsBackTo };
      return {
        owns: true,
        owner: namespace,
        ownerGone: false,
        waitsFor: [],
        record: { ...mine, ...from },
        originals,
        ...hands,
      };
    }
    const alive = owner.alive || !this.#isGone(owner.namespace);
    const standsBy = { owns: false, owner: owner.namespace, ownerGone: !owner.alive, record, originals };
    const asked = own?.asked ?? (alive ? undefined : "force");
    if (asked === undefined) {
      if (own?.handBack !== undefined) await this.answered(api);
      return { ...standsBy, waitsFor: [] };
    }
    const lost = asked === "force" ? [] : lostDomains(owner, meshDomains);
    const waitsFor = [...resting, ...(await this.#options.lacks(owner.namespace, asked)), ...lost];
    if (waitsFor.length > 0) return { ...standsBy, waitsFor };
    const from = { namespace: owner.namespace, domains: [...owner.domains] };
    return { owns: true, owner: namespace, ownerGone: false, waitsFor: [], record: { ...mine, from }, originals };
  }

  /** Traefik Mesh where cluster DNS leads, or led, to it: what somebody labels as if it were, is none. */
  async originalsIn(observed: ObservedDns): Promise<OriginalMesh[]> {
    return knownOriginals(await this.#options.originals(), observed);
  }

  /** What was asked for is done, or cannot be. @throws ApiError */
  async answered(api: Api): Promise<void> {
    await annotate(api, this.#options.namespace, { [TAKE_OVER]: null, [HAND_BACK]: null });
  }

  #isGone(namespace: string): boolean {
    const now = this.#options.clock.now();
    if (this.#gone?.namespace !== namespace) this.#gone = { namespace, since: now };
    return now - this.#gone.since >= GONE_MS;
  }
}

/** Between its marks stands what a controller of it that starts may replace. */
export function marksBeside(originals: readonly OriginalMesh[]): BlockMarks {
  return originals.some(({ controls }) => controls) ? "original" : "own";
}

/** Of all that look like Traefik Mesh those that cluster DNS leads, or led, to. */
export function knownOriginals(originals: readonly OriginalMesh[], observed: ObservedDns): OriginalMesh[] {
  const { original } = recordOf(observed);
  const holder = holderOf(observed, ORIGINAL_DOMAINS);
  return originals.filter(
    (each) => each.namespace === original || (holder !== undefined && isOriginalAt(each, holder)),
  );
}

interface Sight {
  readonly api: Api;
  readonly observed: ObservedDns;
  /** Of the mesh that looks. */
  readonly namespace: string;
  readonly meshDomains: readonly string[];
  readonly originals: readonly OriginalMesh[];
}

/** As the mesh in that namespace has to see it; undefined: nobody has them. @throws ApiError */
export async function findOwner(sight: Sight): Promise<Owner | undefined> {
  const { api, observed, namespace } = sight;
  const record = recordOf(observed);
  const { domains } = record;
  if (record.namespace === namespace) return { namespace, alive: true, domains };
  if (record.namespace !== "" && (await readMeshDns(api, record.namespace)) !== undefined)
    return { namespace: record.namespace, alive: true, domains };
  const led = await findLed(sight);
  return record.namespace === "" || led?.alive === true ? led : { namespace: record.namespace, alive: false, domains };
}

/** Whom cluster DNS leads to, whatever is on record. */
async function findLed({ api, observed, meshDomains, originals }: Sight): Promise<Owner | undefined> {
  const holder = holderOf(observed, meshDomains) ?? holderOf(observed, ORIGINAL_DOMAINS);
  if (holder === undefined) return undefined;
  const original = originals.find((each) => (each.serves || each.controls) && isOriginalAt(each, holder));
  if (original !== undefined) return { namespace: original.namespace, alive: true, domains: ORIGINAL_DOMAINS };
  const mesh =
    holder.namespace === undefined ? await findMeshAt(api, holder) : await readMeshDns(api, holder.namespace);
  const namespace = mesh?.namespace ?? holder.namespace ?? "";
  return { namespace, alive: mesh !== undefined, domains: [] };
}

function isOriginalAt({ namespace, dnsAddresses }: OriginalMesh, holder: DnsHolder): boolean {
  return namespace === holder.namespace || dnsAddresses.some((address) => holder.addresses.includes(address));
}

function lostDomains({ namespace, domains }: Owner, meshDomains: readonly string[]): string[] {
  const lost = domains.filter((domain) => !meshDomains.includes(domain));
  if (lost.length === 0) return [];
  return [
    `names of ${lost.join(" and ")}, which the mesh in namespace ${namespace} has, would lead nowhere: add that to meshDomains`,
  ];
}

/** Asks the mesh of that namespace to take over, or takes that back. @throws ApiError */
export async function askToTakeOver(api: Api, namespace: string, asked: TakeOver | null): Promise<void> {
  await annotate(api, namespace, { [TAKE_OVER]: asked });
}

/** Asks the mesh of that namespace to give the domains to Traefik Mesh, or takes that back. @throws ApiError */
export async function askToHandBack(api: Api, namespace: string, to: string | null): Promise<void> {
  await annotate(api, namespace, { [HAND_BACK]: to });
}

/** The mesh whose DNS has that address, which no other Service of the cluster can have. @throws ApiError */
async function findMeshAt(api: Api, { addresses }: DnsHolder): Promise<MeshDns | undefined> {
  const query = { fieldSelector: `metadata.name=${DNS_SERVICE}` };
  const { items = [] } = await api.request<{ items?: ServiceJson[] }>("GET", "/api/v1/services", { query });
  return items.map(meshDnsOf).find(({ clusterIPs }) => clusterIPs.some((address) => addresses.includes(address)));
}

/** @returns undefined where there is none. @throws ApiError */
async function readMeshDns(api: Api, namespace: string): Promise<MeshDns | undefined> {
  try {
    return meshDnsOf(await api.request<ServiceJson>("GET", servicePath(namespace)));
  } catch (error) {
    if (isApiError(error, 404)) return undefined;
    throw error;
  }
}

function meshDnsOf({ metadata, spec = {} }: ServiceJson): MeshDns {
  const { namespace = "", annotations = {} } = metadata;
  const asked = annotations[TAKE_OVER];
  return {
    namespace,
    handBack: annotations[HAND_BACK],
    asked: asked === undefined ? undefined : asked === "force" ? "force" : "ready",
    clusterIPs: (spec.clusterIPs ?? [spec.clusterIP ?? ""]).filter((address) => address !== "" && address !== "None"),
  };
}

const servicePath = (namespace: string) => `/api/v1/namespaces/${namespace}/services/${DNS_SERVICE}`;

async function annotate(api: Api, namespace: string, annotations: Readonly<Record<string, string | null>>) {
  await api.request("PATCH", servicePath(namespace), { contentType: MERGE_PATCH, body: { metadata: { annotations } } });
}
