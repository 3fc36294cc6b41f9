/**
 * What `tulle check` looks at on a cluster, before and after installing: whether the cluster can carry the mesh, whether
 * the installation is whole and in force, and what is left of others. Each finding says its remedy.
 */
import { planPatch } from "../coredns/dns-patch.ts";
import { detectDns, type ObservedDns } from "../coredns/dns-provider.ts";
import type { Api } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import { discoverSmi } from "../kube/resources.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { DnsMode } from "./dns-change.ts";
import { observeDns } from "./dns-objects.ts";
import { findOwner, knownOriginals, marksBeside } from "./dns-ownership.ts";
import { meshNamespaces } from "./mesh-namespaces.ts";
import { originalMeshesIn } from "./original-meshes.ts";
import { CONTROLLER, DNS_SERVICE, LEASE, PROXY } from "./own-objects.ts";
import { longNamesIn, shadowsIn } from "./shadow-services.ts";
import type { ProxyReadiness } from "./take-over-readiness.ts";

export interface Finding {
  readonly ok: boolean;
  /** `note`: nothing is wrong, but it should be known. */
  readonly severity: "error" | "warning" | "note" | "fine";
  /** What was looked at. */
  readonly what: string;
  /** What was found; where it is not well, with what to do. */
  readonly says: string;
}

export interface InspectOptions {
  readonly api: Api;
  readonly namespace: string;
  readonly dnsMode: DnsMode;
  readonly meshDomains: readonly string[];
  readonly state: ClusterStateView;
  /** Also what is wrong with the objects that the mesh reads. */
  readonly objects: boolean;
  /** Services that the mesh is to serve. */
  readonly served: ReadonlySet<string>;
  readonly signal: AbortSignal;
  /** `GET path` of a controller's admin API; rejects where none answers. */
  admin(path: string): Promise<unknown>;
  /** Addresses of a name as the cluster's DNS gives them to Pods; absent where this process is in none. */
  resolve?(name: string): Promise<readonly string[]>;
}

/** Kubernetes before that lacks what the controller writes (EndpointSlice v1, Lease v1, PodDisruptionBudget v1). */
const MIN_MINOR = 25;

const well = (what: string, says: string): Finding => ({ ok: true, severity: "fine", what, says });
const wrong = (what: string, says: string): Finding => ({ ok: false, severity: "error", what, says });
const doubtful = (what: string, says: string): Finding => ({ ok: false, severity: "warning", what, says });
const note = (what: string, says: string): Finding => ({ ok: true, severity: "note", what, says });

/** Never throws: what cannot be looked at is a finding. */
export async function inspectCluster(options: InspectOptions): Promise<Finding[]> {
  const installed = await isInstalled(options);
  const parts: readonly (readonly [string, () => Promise<Finding[]>])[] = [
    ["Kubernetes", () => inspectVersion(options)],
    ["SMI", () => inspectSmi(options)],
    ["cluster DNS", () => inspectDns(options, installed)],
    ["leftovers", () => inspectLeftovers(options, installed)],
    ...(installed
      ? ([
          ["Pods", () => inspectPods(options)],
          ["controller", () => inspectController(options)],
          ["proxies", () => inspectProxies(options)],
          ["shadow services", () => inspectShadows(options)],
          ["mesh names", () => inspectNames(options)],
        ] as const)
      : []),
  ];
  const findings: Finding[] = [];
  for (const [what, inspect] of parts) {
    try {
      findings.push(...(await inspect()));
    } catch (error) {
      findings.push(wrong(what, `could not be looked at: ${(error as Error).message}`));
    }
  }
  if (!installed)
    findings.push(
      note("installation", `there is none in namespace ${options.namespace}: ${await howToInstall(options)}`),
    );
  return findings;
}

/** Another namespace may have it, and `check` was not told. */
async function howToInstall({ api, namespace }: InspectOptions): Promise<string> {
  const [elsewhere] = await meshNamespaces(api).catch((): readonly string[] => []);
  if (elsewhere !== undefined) return `one is in namespace ${elsewhere}: tulle check --namespace ${elsewhere}`;
  return `helm install tulle ./chart -n ${namespace} --create-namespace --set image.repository=REPOSITORY`;
}

interface Workload {
  readonly spec: { readonly replicas?: number };
  readonly status?: {
    readonly readyReplicas?: number;
    readonly numberReady?: number;
    readonly desiredNumberScheduled?: number;
  };
}

function workloadPath(namespace: string, kind: "deployments" | "daemonsets", name: string): string {
  return `/apis/apps/v1/namespaces/${namespace}/${kind}/${name}`;
}

async function isInstalled({ api, namespace }: InspectOptions): Promise<boolean> {
  try {
    await api.request("GET", workloadPath(namespace, "deployments", CONTROLLER));
    return true;
  } catch (error) {
    if (isApiError(error, 404)) return false;
    // Who may not look may still be told the rest.
    return isApiError(error, 403);
  }
}

async function inspectVersion({ api }: InspectOptions): Promise<Finding[]> {
  const { gitVersion = "", minor = "" } = await api.request<{ gitVersion?: string; minor?: string }>("GET", "/version");
  const number = Number.parseInt(minor, 10);
  if (number < MIN_MINOR)
    return [wrong("Kubernetes", `it is ${gitVersion}; Tulle needs 1.${MIN_MINOR} or later: upgrade the cluster`)];
  return [well("Kubernetes", gitVersion)];
}

async function inspectSmi({ api, signal }: InspectOptions): Promise<Finding[]> {
  const { resources, unknown } = await discoverSmi(api, signal);
  const findings = unknown.map(({ group, versions }) =>
    wrong(
      "SMI",
      `${group} is served as ${versions.join(", ")}, none of which Tulle reads: install the definitions of chart/crds`,
    ),
  );
  const kinds = ["TrafficTarget", "HTTPRouteGroup", "TCPRoute", "UDPRoute", "TrafficSplit"] as const;
  const missing = kinds.filter((kind) => !resources.some((resource) => resource.kind === kind));
  const present = resources.map(({ kind, apiVersion }) => `${kind} ${apiVersion.split("/")[1]}`).join(", ");
  if (missing.length > 0)
    findings.push(
      note(
        "SMI",
        `the cluster has no ${missing.join(", ")}: kubectl apply -f chart/crds, or install with Helm, if you want to use them`,
      ),
    );
  if (present !== "") findings.push(well("SMI", present));
  return findings;
}

async function inspectDns(options: InspectOptions, installed: boolean): Promise<Finding[]> {
  const { api, namespace, dnsMode, meshDomains, state } = options;
  const observed = await observeDns(api);
  const { provider, faults } = detectDns(observed);
  if (provider === undefined) return faults.map((fault) => wrong("cluster DNS", fault));
  const name =
    provider.kind === "openshift" ? "OpenShift's DNS operator" : `${provider.workload.kind} ${provider.workload.name}`;
  const findings = [well("cluster DNS", provider.kind === "coredns" ? `${name}, image ${provider.image}` : name)];
  if (!installed) return [...findings, ...faults.map((fault) => wrong("cluster DNS", fault))];
  const owner = await otherOwner(options, observed);
  if (owner !== undefined)
    return [
      ...findings,
      note(
        "cluster DNS",
        `the mesh in namespace ${owner} has ${meshDomains.join(" and ")}, and this one stands by: tulle migrate --take-over --namespace ${namespace} moves them here`,
      ),
    ];
  const plan = planPatch(observed, {
    mode: dnsMode === "rewrite" ? "rewrite" : "forward",
    meshNamespace: namespace,
    clusterDomain: "cluster.local",
    meshDomains,
    dnsServiceIPs: state.get("Service", `${namespace}/${DNS_SERVICE}`)?.clusterIPs ?? [],
    longNames: longNamesIn(state, namespace),
    marks: marksBeside(knownOriginals(originalMeshesIn(state), observed)),
  });
  findings.push(...plan.faults.map((fault) => wrong("cluster DNS", fault)));
  findings.push(...plan.warnings.map((warning) => doubtful("cluster DNS", warning)));
  if (plan.faults.length > 0) return findings;
  if (plan.changes.length === 0) findings.push(well("cluster DNS", `${meshDomains.join(", ")}: in force`));
  else if (dnsMode === "manual")
    findings.push(wrong("cluster DNS", `the mesh domains are not in it, and the mode is manual. Add:\n${plan.byHand}`));
  else
    findings.push(
      wrong(
        "cluster DNS",
        "what it says of the mesh domains is not what it should; the controller repairs that within a minute: see its log if it does not",
      ),
    );
  return findings;
}

/** Namespace of another mesh that has the mesh domains. */
async function otherOwner(
  { api, namespace, dnsMode, meshDomains, state }: InspectOptions,
  observed: ObservedDns,
): Promise<string | undefined> {
  if (dnsMode === "manual") return undefined;
  const originals = knownOriginals(originalMeshesIn(state), observed);
  const owner = await findOwner({ api, observed, namespace, meshDomains, originals });
  return owner?.alive !== true || owner.namespace === namespace ? undefined : owner.namespace;
}

async function inspectLeftovers({ state, namespace }: InspectOptions, installed: boolean): Promise<Finding[]> {
  const findings: Finding[] = [];
  const counts = new Map<string, number>();
  for (const { meta } of state.list("Service"))
    if (
      meta.labels["app"] === "maesh" &&
      meta.labels["type"] === "shadow" &&
      (meta.namespace !== namespace || !installed)
    )
      counts.set(meta.namespace, (counts.get(meta.namespace) ?? 0) + 1);
  for (const [where, count] of counts)
    findings.push(
      doubtful(
        "leftovers",
        `${count} shadow services in namespace ${where} belong to another mesh; only if that is uninstalled: kubectl -n ${where} delete service -l app=maesh,type=shadow`,
      ),
    );
  return findings;
}

async function inspectController({ api, namespace, admin, objects }: InspectOptions): Promise<Finding[]> {
  const { spec, status = {} } = await api.request<Workload>("GET", workloadPath(namespace, "deployments", CONTROLLER));
  const [ready, wanted] = [status.readyReplicas ?? 0, spec.replicas ?? 1];
  const findings = [
    ready === wanted
      ? well("controller", `${ready} of ${wanted} replicas are ready`)
      : wrong(
          "controller",
          `${ready} of ${wanted} replicas are ready: kubectl -n ${namespace} logs deployment/${CONTROLLER}`,
        ),
  ];
  const lease = await api
    .request<{ spec?: { holderIdentity?: string } }>(
      "GET",
      `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEASE}`,
    )
    .catch(() => undefined);
  const holder = lease?.spec?.holderIdentity ?? "";
  if (holder === "")
    findings.push(wrong("controller", "no replica leads: nothing is written, and new Services get no mesh name"));
  else findings.push(well("controller", `${holder} leads`));
  // Asked in any case: a controller that does not answer is a finding.
  const problems = (await admin("/api/problems")) as readonly {
    severity: string;
    message: string;
    code: string;
    object: { kind: string; namespace: string; name: string };
    field: string;
  }[];
  for (const { severity, code, object, field, message } of objects ? problems : [])
    findings.push({
      ok: false,
      severity: severity === "error" ? "error" : "warning",
      what: `${object.kind} ${object.namespace}/${object.name}`,
      says: `${code}${field === "" ? "" : ` ${field}`}: ${message}`,
    });
  return findings;
}

interface NodeStatus extends ProxyReadiness {
  readonly engine?: "traefik";
}

interface PodStatus {
  readonly metadata: { readonly name: string };
  readonly status?: {
    readonly containerStatuses?: readonly {
      readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
    }[];
  };
}

/** What every Pod waits for while it starts. */
const STARTING = ["ContainerCreating", "PodInitializing"];

/** The mesh's own Pods that cannot start, and why, by name. */
async function stuckPods({ api, namespace }: InspectOptions): Promise<Map<string, string>> {
  const labelSelector = "app.kubernetes.io/part-of=tulle";
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const { items = [] } = await api.request<{ items?: PodStatus[] }>("GET", path, { query: { labelSelector } });
  const stuck = new Map<string, string>();
  for (const { metadata, status } of items)
    for (const { state } of status?.containerStatuses ?? []) {
      const { reason = "", message = "" } = state?.waiting ?? {};
      if (reason !== "" && !STARTING.includes(reason))
        stuck.set(metadata.name, `${reason}${message && `: ${message}`}`);
    }
  return stuck;
}

async function inspectPods(options: InspectOptions): Promise<Finding[]> {
  return [...(await stuckPods(options))].map(([name, reason]) =>
    wrong("Pods", `${name} does not start (${reason}): kubectl -n ${options.namespace} describe pod ${name}`),
  );
}

async function inspectProxies(options: InspectOptions): Promise<Finding[]> {
  const { api, namespace, admin } = options;
  const { status = {} } = await api.request<Workload>("GET", workloadPath(namespace, "daemonsets", PROXY));
  const [ready, wanted] = [status.numberReady ?? 0, status.desiredNumberScheduled ?? 0];
  const findings: Finding[] = [];
  if (ready < wanted)
    findings.push(
      wrong(
        "proxies",
        `${ready} of ${wanted} are ready: kubectl -n ${namespace} get pods -l app.kubernetes.io/component=proxy`,
      ),
    );
  const stuck = await stuckPods(options);
  const nodes = ((await admin("/api/status/nodes")) as readonly NodeStatus[]).filter(({ Name }) => !stuck.has(Name));
  const programmed = nodes.filter((node) => node.programmed).length;
  if (programmed === nodes.length && nodes.length > 0)
    findings.push(well("proxies", `the configuration is in force on ${programmed} of ${nodes.length}`));
  for (const { Name, node, connected, programmed: current, error = "", closedEntrypoints = [], engine } of nodes) {
    if (!connected && engine === "traefik")
      findings.push(
        wrong("proxies", `${Name} on ${node} does not answer on port 1081: kubectl -n ${namespace} logs ${Name}`),
      );
    else if (!connected)
      findings.push(
        wrong(
          "proxies",
          `${Name} on ${node} hears no controller and serves what it had: kubectl -n ${namespace} logs ${Name}`,
        ),
      );
    else if (error !== "") findings.push(wrong("proxies", `${Name} on ${node} refused the configuration: ${error}`));
    else if (!current)
      findings.push(doubtful("proxies", `${Name} on ${node} has not the newest configuration in force yet`));
    if (closedEntrypoints.length > 0)
      findings.push(wrong("proxies", `${Name} on ${node} could not open ${closedEntrypoints.join(", ")}: see its log`));
  }
  return findings;
}

async function inspectShadows({ state, namespace, served }: InspectOptions): Promise<Finding[]> {
  const shadows = shadowsIn(state, namespace);
  const lacking = [...served].filter((key) => !shadows.has(key));
  const spare = [...shadows.keys()].filter((key) => !served.has(key));
  const findings: Finding[] = [];
  if (lacking.length > 0)
    findings.push(
      wrong(
        "shadow services",
        `none for ${some(lacking)}: see the Events of these Services, and the log of the controller that leads`,
      ),
    );
  if (spare.length > 0) findings.push(doubtful("shadow services", `${some(spare)} have one and are not served`));
  if (findings.length === 0) findings.push(well("shadow services", `${served.size} Services have theirs`));
  return findings;
}

async function inspectNames(options: InspectOptions): Promise<Finding[]> {
  const { api, resolve, state, namespace, meshDomains } = options;
  const [first] = shadowsIn(state, namespace);
  if (resolve === undefined || first === undefined) return [];
  // They lead elsewhere, as they should.
  if ((await otherOwner(options, await observeDns(api))) !== undefined) return [];
  const [key, shadow] = first;
  const [ofNamespace = "", service = ""] = key.split("/");
  const findings: Finding[] = [];
  for (const domain of meshDomains) {
    const name = `${service}.${ofNamespace}.${domain}`;
    const found = await resolve(name).catch((error: Error) => error);
    if (found instanceof Error)
      findings.push(
        wrong(
          "mesh names",
          `${name} does not resolve (${found.message}): is the block in cluster DNS, and are the proxies ready?`,
        ),
      );
    else if (!found.some((address) => shadow.clusterIPs.includes(address)))
      findings.push(
        wrong("mesh names", `${name} resolves to ${found.join(", ")}, and should to ${shadow.clusterIPs.join(", ")}`),
      );
    else findings.push(well("mesh names", `${name} resolves`));
  }
  return findings;
}

function some(keys: readonly string[]): string {
  const shown = keys.slice(0, 5).join(", ");
  return keys.length > 5 ? `${shown} and ${keys.length - 5} more` : shown;
}
