/** Stub domains of KubeDNS, and of NodeLocal DNSCache, which reads the same ConfigMap. They can only forward. */
import {
  addressesOf,
  configMapChange,
  configMapName,
  immutableFault,
  type PatchOptions,
  type PlanPart,
  withoutAddress,
} from "./dns-plan.ts";
import { KUBE_DNS, type KubeDnsProvider, type NodeLocalDns, type ObservedDns } from "./dns-provider.ts";
import { forwardBlock, STANDARD_LISTENING } from "./mesh-block.ts";
import { putStubDomains, takeOutStubDomains } from "./stub-domains.ts";

export function patchKubeDns(provider: KubeDnsProvider, observed: ObservedDns, options: PatchOptions): PlanPart {
  const part = patchStubDomains(observed, options);
  const warnings =
    options.mode === "rewrite"
      ? [
          "KubeDNS cannot rewrite names: the mesh domains go to Tulle's DNS Service, as in mode forward.",
          ...part.warnings,
        ]
      : part.warnings;
  // KubeDNS looks at the folder of its ConfigMap every ten seconds.
  const restart = { workload: provider.workload, need: "hastens" as const };
  return {
    ...part,
    ...(part.changes.length > 0 && { restart }),
    warnings,
    faults: [...withoutAddress(options, true), ...part.faults],
  };
}

export function restoreKubeDns(provider: KubeDnsProvider, observed: ObservedDns, options: PatchOptions): PlanPart {
  const part = restoreStubDomains(observed, options);
  const restart = { workload: provider.workload, need: "hastens" as const };
  return { ...part, ...(part.changes.length > 0 && { restart }) };
}

/** Pods ask the cache, and the cache asks the cluster's DNS for the cluster's own zone only. */
export function patchNodeLocal(nodeLocal: NodeLocalDns, observed: ObservedDns, options: PatchOptions): PlanPart {
  const { namespace, name } = nodeLocal.workload;
  const where = `NodeLocal DNSCache (DaemonSet ${namespace}/${name})`;
  if (options.dnsServiceIPs.length === 0)
    return said(
      `${where} does not know the mesh domains, as Tulle's DNS Service has no cluster IP to forward them to: create it, or forward them from the cache to the cluster's DNS.`,
    );
  if (nodeLocal.readsStubDomains) return patchStubDomains(observed, options);
  const blocks = options.meshDomains
    .toSorted()
    .map((domain) => forwardBlock(domain, options.dnsServiceIPs, STANDARD_LISTENING, options.marks));
  return {
    ...said(
      `${where} reads no stub domains from ${configMapName(KUBE_DNS)}: unless its zone . goes to the cluster's DNS, add the mesh domains to its Corefile.`,
    ),
    byHand: `For ${where}, add to its Corefile, with the bind line of its other blocks:\n\n${blocks.join("\n\n")}\n`,
  };
}

export function restoreNodeLocal(nodeLocal: NodeLocalDns, observed: ObservedDns, options: PatchOptions): PlanPart {
  return nodeLocal.readsStubDomains ? restoreStubDomains(observed, options) : { ...NOTHING, warnings: [] };
}

const NOTHING: PlanPart = { changes: [], warnings: [], faults: [], byHand: "" };

const said = (warning: string): PlanPart => ({ ...NOTHING, warnings: [warning] });

function patchStubDomains({ configMaps }: ObservedDns, options: PatchOptions): PlanPart {
  const observed = configMaps[KUBE_DNS];
  const domains = options.meshDomains.toSorted();
  const put = putStubDomains(observed?.data?.["stubDomains"], domains, addressesOf(options));
  if ("fault" in put) return { ...NOTHING, faults: [`${configMapName(KUBE_DNS)}: ${put.fault}`] };
  const change = configMapChange(KUBE_DNS, observed, { stubDomains: put.text });
  const members = domains.map((domain) => `${JSON.stringify(domain)}: ${JSON.stringify(addressesOf(options))}`);
  return {
    changes: change === undefined ? [] : [change],
    warnings: put.replaced.map(
      (domain) =>
        `${configMapName(KUBE_DNS)}: the stub domain ${domain} had other servers, which Tulle's DNS Service replaces.`,
    ),
    faults: change === undefined ? [] : immutableFault(KUBE_DNS, observed),
    byHand: `Put into the JSON object in key stubDomains of ${configMapName(KUBE_DNS)}:\n\n${members.join(",\n")}\n`,
  };
}

function restoreStubDomains({ configMaps }: ObservedDns, { meshDomains }: PatchOptions): PlanPart {
  const observed = configMaps[KUBE_DNS];
  const domains = meshDomains.toSorted();
  const left = takeOutStubDomains(observed?.data?.["stubDomains"], domains);
  if ("fault" in left) return { ...NOTHING, faults: [`${configMapName(KUBE_DNS)}: ${left.fault}`] };
  const change = configMapChange(KUBE_DNS, observed, { stubDomains: left.text ?? null });
  return {
    ...NOTHING,
    changes: change === undefined ? [] : [change],
    faults: change === undefined ? [] : immutableFault(KUBE_DNS, observed),
    byHand: `Delete ${domains.join(" and ")} from the JSON object in key stubDomains of ${configMapName(KUBE_DNS)}.\n`,
  };
}
