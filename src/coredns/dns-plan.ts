/** What a plan is made of: changes of objects for somebody else to write, and what to tell the operator. */
import type { ConfigMapJson, DnsProvider, WorkloadRef } from "./dns-provider.ts";
import { DNS_NAMESPACE } from "./dns-provider.ts";
import type { BlockMarks, LongName } from "./mesh-block.ts";

export interface PatchOptions {
  /** `forward`: to a DNS of Tulle's own. `rewrite`: CoreDNS turns mesh names into shadow services' names. */
  readonly mode: "forward" | "rewrite";
  readonly meshNamespace: string;
  readonly clusterDomain: string;
  readonly meshDomains: readonly string[];
  /** Cluster IPs of Tulle's DNS Service, port 53, UDP and TCP. */
  readonly dnsServiceIPs: readonly string[];
  /** Mode `rewrite` only. */
  readonly longNames: readonly LongName[];
  readonly marks: BlockMarks;
}

export interface ChangedObject {
  readonly apiVersion: string;
  readonly kind: string;
  /** Undefined for an object of the whole cluster. */
  readonly namespace?: string;
  readonly name: string;
}

export type ObjectChange =
  | { readonly action: "create"; readonly object: ChangedObject; readonly body: object }
  | {
      readonly action: "update";
      readonly object: ChangedObject;
      /** Of what was observed; sent along, it keeps a write from undoing one that came between. */
      readonly resourceVersion?: string;
      /** RFC 7396. */
      readonly mergePatch: object;
    }
  | { readonly action: "delete"; readonly object: ChangedObject; readonly resourceVersion?: string };

/**
 * `needed`: without a restart the change has no effect, or one cannot rely on it. `hastens`: the workload reads its
 * configuration again by itself, within two or three minutes, and goes on with the old one if the new one is broken.
 */
export interface Restart {
  readonly workload: WorkloadRef;
  readonly need: "needed" | "hastens";
}

export interface DnsPlan {
  readonly provider?: DnsProvider;
  /** In the order in which to write them; none: everything is as it should be, or there are faults. */
  readonly changes: readonly ObjectChange[];
  /** Only beside changes. */
  readonly restart?: Restart;
  readonly warnings: readonly string[];
  /** Why nothing is changed, with what to do about it. */
  readonly faults: readonly string[];
  /** For an owner who makes the change with his own tools. */
  readonly byHand: string;
}

/** The part of a plan that one kind of DNS contributes. */
export interface PlanPart {
  readonly changes: readonly ObjectChange[];
  readonly restart?: Restart;
  readonly warnings: readonly string[];
  readonly faults: readonly string[];
  readonly byHand: string;
}

const MANAGED_BY = { "app.kubernetes.io/managed-by": "tulle" };

/** Keys with null go. A ConfigMap that we created goes with its last key. Undefined: nothing changes. */
export function configMapChange(
  name: string,
  observed: ConfigMapJson | undefined,
  data: Readonly<Record<string, string | null>>,
): ObjectChange | undefined {
  const object = { apiVersion: "v1", kind: "ConfigMap", namespace: DNS_NAMESPACE, name };
  const before = observed?.data ?? {};
  const changed = Object.entries(data).filter(([key, value]) => value !== (before[key] ?? null));
  if (changed.length === 0) return undefined;
  if (observed === undefined) {
    const metadata = { name, namespace: DNS_NAMESPACE, labels: MANAGED_BY };
    return { action: "create", object, body: { apiVersion: "v1", kind: "ConfigMap", metadata, data } };
  }
  const { resourceVersion, labels } = observed.metadata ?? {};
  const seen = resourceVersion === undefined ? {} : { resourceVersion };
  const left = Object.keys(before).filter((key) => !changed.some(([gone, value]) => gone === key && value === null));
  const ours = labels?.["app.kubernetes.io/managed-by"] === "tulle";
  if (ours && left.length === 0 && changed.every(([, value]) => value === null))
    return { action: "delete", object, ...seen };
  return { action: "update", object, ...seen, mergePatch: { data: Object.fromEntries(changed) } };
}

export function configMapName(name: string): string {
  return `ConfigMap ${DNS_NAMESPACE}/${name}`;
}

/** A ConfigMap that says it never changes is its owner's to replace. */
export function immutableFault(name: string, observed: ConfigMapJson | undefined): string[] {
  return observed?.immutable
    ? [`${configMapName(name)} is immutable: replace it by one that is not, or patch it by hand.`]
    : [];
}

export function withoutAddress({ mode, dnsServiceIPs }: PatchOptions, onlyForwards: boolean): string[] {
  return dnsServiceIPs.length === 0 && (mode === "forward" || onlyForwards)
    ? ["Tulle's DNS Service has no cluster IP yet, so the mesh domains have nowhere to go: create it, then try again."]
    : [];
}

/** Where there are none yet, a word in their place: such a plan has a fault, and only its text is for somebody's eyes. */
export function addressesOf({ dnsServiceIPs }: PatchOptions): readonly string[] {
  return dnsServiceIPs.length > 0 ? dnsServiceIPs : ["CLUSTER-IP-OF-TULLES-DNS-SERVICE"];
}
