/**
 * How the cluster's DNS must be changed for the mesh domains to resolve, and how to take that back. Pure: objects in,
 * changes out; the controller reads and writes. A plan made on the result of a plan changes nothing, and restoring gives
 * back byte for byte what was there before, unless somebody else edited it meanwhile; then what he wrote stays.
 */
import { patchCoreDns, restoreCoreDns } from "./coredns-patch.ts";
import { addressesOf, type DnsPlan, type PatchOptions, type PlanPart } from "./dns-plan.ts";
import { type DetectedDns, type DnsProvider, detectDns, type ObservedDns } from "./dns-provider.ts";
import { patchKubeDns, patchNodeLocal, restoreKubeDns, restoreNodeLocal } from "./kube-dns-patch.ts";
import { forwardBlock, STANDARD_LISTENING } from "./mesh-block.ts";
import { patchOpenShift, restoreOpenShift } from "./openshift-patch.ts";

export function planPatch(observed: ObservedDns, options: PatchOptions): DnsPlan {
  const detected = detectDns(observed);
  const { provider, nodeLocal } = detected;
  if (provider === undefined) return together(detected, [forwardByHand(options)], detected.faults);
  const parts = [patchOf(provider, observed, options)];
  // KubeDNS is told by the same ConfigMap, so the cache is told with it.
  if (nodeLocal !== undefined && !(provider.kind === "kube-dns" && nodeLocal.readsStubDomains))
    parts.push(patchNodeLocal(nodeLocal, observed, options));
  return together(detected, parts, detected.faults);
}

/** Of the options it needs the mesh domains only. A version too old to be patched can still be restored. */
export function planRestore(observed: ObservedDns, options: PatchOptions): DnsPlan {
  const detected = detectDns(observed);
  const { provider, nodeLocal } = detected;
  if (provider === undefined) return together(detected, [], detected.faults);
  const parts = [restoreOf(provider, observed, options)];
  if (nodeLocal !== undefined && provider.kind !== "kube-dns")
    parts.push(restoreNodeLocal(nodeLocal, observed, options));
  return together({ ...detected, warnings: [] }, parts, []);
}

function patchOf(provider: DnsProvider, observed: ObservedDns, options: PatchOptions): PlanPart {
  switch (provider.kind) {
    case "coredns":
      return patchCoreDns(provider, observed, options);
    case "kube-dns":
      return patchKubeDns(provider, observed, options);
    case "openshift":
      return patchOpenShift(provider, observed.dnsOperator, options);
  }
}

function restoreOf(provider: DnsProvider, observed: ObservedDns, options: PatchOptions): PlanPart {
  switch (provider.kind) {
    case "coredns":
      return restoreCoreDns(provider, observed, options);
    case "kube-dns":
      return restoreKubeDns(provider, observed, options);
    case "openshift":
      return restoreOpenShift(provider, observed.dnsOperator);
  }
}

function forwardByHand(options: PatchOptions): PlanPart {
  const domains = options.meshDomains.toSorted();
  const addresses = addressesOf(options);
  const blocks = domains.map((domain) => forwardBlock(domain, addresses, STANDARD_LISTENING, options.marks));
  const byHand = `Forward ${domains.join(" and ")} to ${addresses.join(" and ")}. For CoreDNS that is:\n\n${blocks.join("\n\n")}\n`;
  return { changes: [], warnings: [], faults: [], byHand };
}

/** With a fault anywhere nothing is changed: half a patch is harder to understand than none. */
function together(detected: DetectedDns, parts: readonly PlanPart[], faults: readonly string[]): DnsPlan {
  const all = [...faults, ...parts.flatMap((part) => part.faults)];
  const restart = parts.find((part) => part.restart !== undefined)?.restart;
  return {
    ...(detected.provider && { provider: detected.provider }),
    changes: all.length > 0 ? [] : parts.flatMap(({ changes }) => changes),
    ...(restart && all.length === 0 && { restart }),
    warnings: [...detected.warnings, ...parts.flatMap(({ warnings }) => warnings)],
    faults: all,
    byHand: parts
      .map(({ byHand }) => byHand)
      .filter((text) => text !== "")
      .join("\n"),
  };
}
