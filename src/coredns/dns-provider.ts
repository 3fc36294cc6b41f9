/**
 * Which DNS the cluster has, and where its configuration is kept, told from objects of the API: the workloads and
 * ConfigMaps of kube-system, and OpenShift's `dns.operator/default`. Distributions name and ship CoreDNS in their own
 * ways; what they have in common is a container of CoreDNS and a ConfigMap mounted into it.
 */
import { type CoreDnsVersion, olderThan, parseCorefile } from "./corefile.ts";

/** Objects as the API server gives them, as far as we read them. */
export interface ObjectJson {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly resourceVersion?: string;
  };
}

export interface ContainerJson {
  readonly name?: string;
  readonly image?: string;
  readonly args?: readonly string[];
  readonly volumeMounts?: readonly { readonly name?: string; readonly mountPath?: string }[];
}

interface ConfigMapSourceJson {
  readonly name?: string;
  readonly optional?: boolean;
  readonly items?: readonly { readonly key?: string; readonly path?: string }[];
}

export interface VolumeJson {
  readonly name?: string;
  readonly configMap?: ConfigMapSourceJson;
  readonly projected?: { readonly sources?: readonly { readonly configMap?: ConfigMapSourceJson }[] };
}

/** A Deployment or DaemonSet. */
export interface WorkloadJson extends ObjectJson {
  readonly spec?: {
    readonly template?: {
      readonly spec?: { readonly containers?: readonly ContainerJson[]; readonly volumes?: readonly VolumeJson[] };
    };
  };
}

export interface ConfigMapJson extends ObjectJson {
  readonly data?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

export interface DnsServerJson {
  readonly name?: string;
  readonly zones?: readonly string[];
  readonly forwardPlugin?: { readonly upstreams?: readonly string[]; readonly policy?: string };
}

export interface DnsOperatorJson extends ObjectJson {
  readonly spec?: { readonly servers?: readonly DnsServerJson[] };
}

export interface ObservedDns {
  /** Deployments and DaemonSets of kube-system, with `kind`. */
  readonly workloads: readonly WorkloadJson[];
  /** ConfigMaps of kube-system by name; those of configMapsToRead that exist. */
  readonly configMaps: Readonly<Record<string, ConfigMapJson>>;
  /** OpenShift's `dns.operator.openshift.io/default`; undefined on any other cluster. */
  readonly dnsOperator?: DnsOperatorJson;
}

export interface WorkloadRef {
  readonly kind: "Deployment" | "DaemonSet";
  readonly namespace: string;
  readonly name: string;
}

export interface CoreDnsProvider {
  readonly kind: "coredns";
  readonly workload: WorkloadRef;
  readonly image: string;
  /** Undefined: not to be told from the image; counts as current. */
  readonly version: CoreDnsVersion | undefined;
  /** The ConfigMap with the Corefile. */
  readonly configMap: string;
  /** Its key. */
  readonly key: string;
  /** Where server blocks of the owner's go: a second ConfigMap, whose keys with this ending the Corefile imports. */
  readonly custom?: { readonly configMap: string; readonly suffix: string };
  /** What may write the Corefile anew, in words. */
  readonly rewrittenBy?: string;
}

export interface KubeDnsProvider {
  readonly kind: "kube-dns";
  readonly workload: WorkloadRef;
  readonly configMap: string;
}

export interface OpenShiftProvider {
  readonly kind: "openshift";
  /** Of the cluster-wide object `dns.operator.openshift.io`. */
  readonly name: string;
}

export type DnsProvider = CoreDnsProvider | KubeDnsProvider | OpenShiftProvider;

/** A DNS cache on each node, which pods ask in place of the cluster's DNS. */
export interface NodeLocalDns {
  readonly workload: WorkloadRef;
  /** Whether it takes stub domains from the ConfigMap kube-dns. */
  readonly readsStubDomains: boolean;
}

export interface DetectedDns {
  readonly provider?: DnsProvider;
  readonly nodeLocal?: NodeLocalDns;
  readonly warnings: readonly string[];
  /** Why nothing can be changed. A provider beside a fault is what was there before and can be restored. */
  readonly faults: readonly string[];
}

export const DNS_NAMESPACE = "kube-system";
const CUSTOM = "coredns-custom";
export const KUBE_DNS = "kube-dns";
const RKE2 = "rke2-coredns-rke2-coredns";

/** Names of the ConfigMaps of kube-system that can matter, of which some may not exist. */
export function configMapsToRead(workloads: readonly WorkloadJson[]): string[] {
  const mounted = workloads
    .filter((workload) => coreDnsContainer(workload) !== undefined || nameOf(workload) === KUBE_DNS)
    .flatMap(mountedConfigMaps)
    .flatMap(({ name }) => name ?? []);
  return [...new Set(["coredns", CUSTOM, RKE2, KUBE_DNS, ...mounted])].toSorted();
}

export function detectDns(observed: ObservedDns): DetectedDns {
  const nodeLocal = findNodeLocal(observed.workloads);
  const beside = nodeLocal === undefined ? {} : { nodeLocal };
  const { dnsOperator } = observed;
  if (dnsOperator !== undefined) {
    const name = dnsOperator.metadata?.name ?? "default";
    return { provider: { kind: "openshift", name }, ...beside, warnings: [], faults: [] };
  }
  const found = findCoreDns(observed.workloads);
  if (found.length > 1)
    return {
      ...beside,
      warnings: [],
      faults: [
        `Several workloads of ${DNS_NAMESPACE} look like the cluster's CoreDNS (${found.map(nameOf).join(", ")}). Take the labels k8s-app=kube-dns and kubernetes.io/name=CoreDNS from those that are not.`,
      ],
    };
  const [workload] = found;
  if (workload !== undefined) return { ...beside, ...coreDns(workload, observed.configMaps) };
  const kubeDns = observed.workloads.find((candidate) => isDeployment(candidate) && nameOf(candidate) === KUBE_DNS);
  if (kubeDns !== undefined) {
    const provider: KubeDnsProvider = { kind: "kube-dns", workload: refOf(kubeDns), configMap: KUBE_DNS };
    return { provider, ...beside, warnings: [], faults: [] };
  }
  return { ...beside, warnings: [], faults: [NOTHING_FOUND] };
}

const NOTHING_FOUND = `No DNS service that Tulle knows runs in ${DNS_NAMESPACE}: neither CoreDNS (Deployment coredns, ${RKE2}, or one labelled k8s-app=kube-dns) nor KubeDNS (Deployment kube-dns). Where the cloud serves DNS itself, forward the mesh domains to Tulle's DNS Service there.`;

/** `registry/coredns:v1.11.1-eksbuild.2@sha256:...` → 1.11.1. Builds of distributions count as the version before. */
export function versionOfImage(image: string): CoreDnsVersion | undefined {
  const [named = ""] = image.split("@");
  const tag = named.slice(named.lastIndexOf("/") + 1).split(":")[1] ?? "";
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)(?:\.(\d+))?(?![\d.])/.exec(tag) ?? [];
  if (major === undefined || minor === undefined) return undefined;
  return { major: Number(major), minor: Number(minor), patch: Number(patch ?? 0) };
}

/** By the names that distributions use, then by label, where several may fit. */
function findCoreDns(workloads: readonly WorkloadJson[]): WorkloadJson[] {
  for (const name of ["coredns", RKE2]) {
    const named = workloads.filter((workload) => nameOf(workload) === name);
    const workload = named.find(isDeployment) ?? named[0];
    if (workload !== undefined) return [workload];
  }
  const labelled = workloads.filter((workload) => {
    const labels = workload.metadata?.labels ?? {};
    const fits = labels["kubernetes.io/name"] === "CoreDNS" || labels["k8s-app"] === KUBE_DNS;
    return fits && coreDnsContainer(workload) !== undefined;
  });
  const deployments = labelled.filter(isDeployment);
  return deployments.length > 0 ? deployments : labelled;
}

/** Not an autoscaler beside it, which has CoreDNS in its own name only. */
function coreDnsContainer(workload: WorkloadJson): ContainerJson | undefined {
  const containers = workload.spec?.template?.spec?.containers ?? [];
  return (
    containers.find(({ name }) => name === "coredns") ??
    containers.find(({ image = "" }) => /coredns$/.test((image.split("@")[0] ?? "").replace(/:[^:/]*$/, "")))
  );
}

function coreDns(
  workload: WorkloadJson,
  configMaps: ObservedDns["configMaps"],
): Pick<DetectedDns, "provider" | "warnings" | "faults"> {
  const ref = refOf(workload);
  const where = `${ref.kind} ${ref.namespace}/${ref.name}`;
  const image = coreDnsContainer(workload)?.image ?? "";
  const version = versionOfImage(image);
  const place = corefilePlace(workload, configMaps);
  if (place === undefined)
    return {
      warnings: [],
      faults: [`${where} mounts no ConfigMap with a Corefile: patch the configuration of CoreDNS by hand.`],
    };
  const rewrittenBy = rewriter(workload);
  const custom = customPlace(workload, configMaps[place.configMap]?.data?.[place.key] ?? "");
  const provider: CoreDnsProvider = {
    kind: "coredns",
    workload: ref,
    image,
    version,
    ...place,
    ...(custom.place && { custom: custom.place }),
    ...(rewrittenBy !== undefined && { rewrittenBy }),
  };
  const warnings = custom.warnings;
  if (version === undefined)
    warnings.push(`The version of CoreDNS cannot be told from the image "${image}" of ${where}: it counts as current.`);
  const tooOld = olderThan(version, 1, 3)
    ? [`${where} runs CoreDNS ${version?.major}.${version?.minor}.${version?.patch}: Tulle needs 1.3 or later.`]
    : [];
  return { provider, warnings, faults: tooOld };
}

interface Mounted extends ConfigMapSourceJson {
  readonly volume: string;
}

function mountedConfigMaps(workload: WorkloadJson): Mounted[] {
  return (workload.spec?.template?.spec?.volumes ?? []).flatMap(({ name = "", configMap, projected }) =>
    [configMap, ...(projected?.sources ?? []).map((source) => source.configMap)]
      .filter((source) => source !== undefined)
      .map((source) => ({ ...source, volume: name })),
  );
}

function corefilePlace(
  workload: WorkloadJson,
  configMaps: ObservedDns["configMaps"],
): Pick<CoreDnsProvider, "configMap" | "key"> | undefined {
  const rank = (name: string) => ["coredns", RKE2, name].indexOf(name);
  return mountedConfigMaps(workload)
    .map(({ name = "", items }) => ({
      configMap: name,
      key: items?.find(({ path }) => path === "Corefile")?.key ?? "Corefile",
    }))
    .filter(({ configMap, key }) => configMaps[configMap]?.data?.[key] !== undefined)
    .sort((a, b) => rank(a.configMap) - rank(b.configMap))[0];
}

/** Used only if it has an effect: it must be mounted, and the Corefile must import its server blocks. */
function customPlace(
  workload: WorkloadJson,
  corefile: string,
): { readonly place?: { readonly configMap: string; readonly suffix: string }; readonly warnings: string[] } {
  const volume = mountedConfigMaps(workload).find(({ name }) => name === CUSTOM)?.volume;
  if (volume === undefined) return { warnings: [] };
  const mounts = coreDnsContainer(workload)?.volumeMounts ?? [];
  const folder = mounts.find(({ name }) => name === volume)?.mountPath?.replace(/\/$/, "");
  for (const pattern of parseCorefile(corefile).imports) {
    const [, inFolder = "", suffix] = /^(.*)\/\*(\.[A-Za-z0-9-]+)$/.exec(pattern) ?? [];
    // A relative pattern starts from the folder of the Corefile.
    const fits = inFolder.startsWith("/") ? inFolder === folder : folder?.endsWith(`/${inFolder}`);
    if (suffix !== undefined && fits) return { place: { configMap: CUSTOM, suffix }, warnings: [] };
  }
  return {
    warnings: [
      `ConfigMap ${DNS_NAMESPACE}/${CUSTOM} is mounted, but the Corefile imports no server blocks from it: the Corefile itself is changed.`,
    ],
  };
}

function rewriter(workload: WorkloadJson): string | undefined {
  const labels = workload.metadata?.labels ?? {};
  if ("eks.amazonaws.com/component" in labels) return "an update of the EKS add-on";
  if (labels["k8s-addon"] !== undefined) return "an update of the kops add-on";
  if (labels["addonmanager.kubernetes.io/mode"] === "Reconcile") return "the cluster's add-on manager";
  if (labels["app.kubernetes.io/managed-by"] === "Helm") return "an upgrade of its Helm release";
  if ("objectset.rio.cattle.io/hash" in labels) return "a restart of the k3s server";
  return undefined;
}

/** `node-local-dns` in the project's own manifest and on GKE; `nodelocaldns` in Kubespray. */
function findNodeLocal(workloads: readonly WorkloadJson[]): NodeLocalDns | undefined {
  const workload = workloads.find(
    (candidate) =>
      candidate.kind === "DaemonSet" &&
      (["node-local-dns", "nodelocaldns"].includes(nameOf(candidate)) ||
        candidate.metadata?.labels?.["k8s-app"] === "node-local-dns"),
  );
  if (workload === undefined) return undefined;
  const readsStubDomains = mountedConfigMaps(workload).some(({ name }) => name === KUBE_DNS);
  return { workload: refOf(workload), readsStubDomains };
}

const nameOf = (object: ObjectJson) => object.metadata?.name ?? "";
const isDeployment = (workload: WorkloadJson) => workload.kind === "Deployment";

function refOf(workload: WorkloadJson): WorkloadRef {
  return {
    kind: isDeployment(workload) ? "Deployment" : "DaemonSet",
    namespace: workload.metadata?.namespace ?? DNS_NAMESPACE,
    name: nameOf(workload),
  };
}
