/** What an owner of the mesh domains writes into cluster DNS and on record, and what it was before. */
import { createHash } from "node:crypto";
import { holderOf } from "../coredns/dns-holder.ts";
import { planPatch, planRestore } from "../coredns/dns-patch.ts";
import type { DnsPlan, PatchOptions } from "../coredns/dns-plan.ts";
import type { ObservedDns } from "../coredns/dns-provider.ts";
import { type DnsStanding, marksBeside } from "./dns-ownership.ts";
import type { DnsRecord } from "./dns-record.ts";
import type { OriginalMesh } from "./original-meshes.ts";

/** `manual`: nothing is touched, and the block is said for the owner to add. */
export type DnsMode = PatchOptions["mode"] | "manual";

export type WantedDns = Omit<PatchOptions, "mode" | "marks">;

/** What is to be in cluster DNS. */
export function planOf(observed: ObservedDns, wanted: WantedDns, mode: DnsMode, standing: DnsStanding): DnsPlan {
  const { handsBackTo, originals } = standing;
  return planPatch(
    observed,
    handsBackTo === undefined ? ownOptions(wanted, mode, originals) : optionsFor(wanted, handsBackTo),
  );
}

/**
 * Back to what was there before a change of which only that is known: Traefik Mesh gets the blocks that it writes itself, and
 * of this mesh the mesh domains are taken out.
 */
export function planBefore(
  now: ObservedDns,
  wanted: WantedDns,
  mode: DnsMode,
  { owner, handsBackTo, originals, record }: DnsStanding,
): Pick<DnsPlan, "changes" | "faults"> {
  const own = ownOptions(wanted, mode, originals);
  if (handsBackTo !== undefined) return planPatch(now, own);
  const holder = holderOf(now, wanted.meshDomains);
  const isOurs = holder?.namespace === owner || holder?.addresses.some((each) => wanted.dnsServiceIPs.includes(each));
  if (isOurs !== true) return { changes: [], faults: [] };
  const before = originals.find(({ namespace }) => namespace === record.from?.namespace);
  return before === undefined ? planRestore(now, own) : planPatch(now, optionsFor(wanted, before));
}

export function ownOptions(wanted: WantedDns, mode: DnsMode, originals: readonly OriginalMesh[]): PatchOptions {
  return { ...wanted, mode: mode === "rewrite" ? "rewrite" : "forward", marks: marksBeside(originals) };
}

/** For Traefik Mesh, what it would write itself. */
function optionsFor(wanted: WantedDns, { namespace, dnsAddresses }: OriginalMesh): PatchOptions {
  const theirs = { meshNamespace: namespace, dnsServiceIPs: dnsAddresses, longNames: [] };
  return { ...wanted, ...theirs, mode: "rewrite", marks: "original" };
}

/** Once the change works. */
export function settledRecord({ record, handsBackTo }: DnsStanding): DnsRecord {
  const { from: _, ...settled } = record;
  return handsBackTo === undefined ? settled : { ...settled, namespace: "", domains: [] };
}

/** Traefik Mesh is told from whom cluster DNS leads to. */
export function recordBefore({ record, originals }: DnsStanding): DnsRecord {
  const { from, ...settled } = record;
  if (from === undefined) return settled;
  const ofTulle = !originals.some(({ namespace }) => namespace === from.namespace);
  return { ...settled, ...(ofTulle ? from : { namespace: "", domains: [] }) };
}

/** What the mark of a trial begins with: whose blocks they are, and what they say. */
export function blocksMark(owner: string, { byHand }: DnsPlan): string {
  return hashOf(`${owner}\n${byHand}`);
}

export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
