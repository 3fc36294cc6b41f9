/** What must be in place before a mesh can serve, put in place once: SMI's versions looked at, cluster DNS patched. */
import { clusterDomainOfCorefile } from "../coredns/cluster-domain.ts";
import type { ObservedDns } from "../coredns/dns-provider.ts";
import type { LongName } from "../coredns/mesh-block.ts";
import type { Api } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import { discoverSmi } from "../kube/resources.ts";
import type { Clock } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { DnsMode, WantedDns } from "./dns-change.ts";
import { DnsKeeper } from "./dns-keeper.ts";
import { DnsOwnership } from "./dns-ownership.ts";
import { readOriginalMeshes } from "./original-meshes.ts";
import { DNS_SERVICE, isPatterned, SHADOW_OF, SHADOW_SELECTOR } from "./own-objects.ts";

export interface PrepareOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly log: Log;
  readonly namespace: string;
  readonly dnsMode: DnsMode;
  readonly meshDomains: readonly string[];
  readonly clusterDomain?: string;
  readonly signal: AbortSignal;
}

export interface Prepared {
  /** What keeps the mesh from serving, a sentence each with the remedy. */
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
  /** For an owner who patches DNS himself. */
  readonly byHand: string;
  readonly dnsInForce: boolean;
  /** Namespace of another mesh, which has the mesh domains; empty: none has. */
  readonly standsByFor: string;
}

/** @throws ApiError */
export async function prepareCluster(options: PrepareOptions): Promise<Prepared> {
  const { api, clock, log, namespace, meshDomains, dnsMode, signal } = options;
  const { unknown } = await discoverSmi(api, signal);
  const faults = unknown.map(
    ({ group, versions }) =>
      `${group} is served as ${versions.join(", ")}, none of which Tulle reads: install the definitions of chart/crds.`,
  );
  const services = await ownServices(options);
  const originals = await readOriginalMeshes(api);
  const keeper = new DnsKeeper({
    api,
    clock,
    log,
    mode: dnsMode,
    ownership: new DnsOwnership({
      namespace,
      meshDomains,
      clock,
      originals: () => originals,
      lacks: () => ["the controller takes over, where it runs"],
    }),
    wanted: (observed) => wantedOf(options, services, observed),
  });
  // There is no leader yet who would write Events.
  await keeper.look(signal, { record: async () => {} });
  const { status } = keeper;
  return {
    faults: [...faults, ...status.faults],
    warnings: status.warnings,
    byHand: status.byHand,
    dnsInForce: status.inForce,
    standsByFor: status.owner === namespace ? "" : status.owner,
  };
}

interface ServiceJson {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: { readonly clusterIP?: string; readonly clusterIPs?: readonly string[] };
}

interface OwnServices {
  readonly dns: ServiceJson | undefined;
  readonly shadows: readonly ServiceJson[];
}

async function ownServices({ api, namespace }: PrepareOptions): Promise<OwnServices> {
  const path = `/api/v1/namespaces/${namespace}/services`;
  const [dns, shadows] = await Promise.all([
    api.request<ServiceJson>("GET", `${path}/${DNS_SERVICE}`).catch((error: Error) => {
      if (isApiError(error, 404)) return undefined;
      throw error;
    }),
    api.request<{ items?: ServiceJson[] }>("GET", path, { query: { labelSelector: SHADOW_SELECTOR } }),
  ]);
  return { dns, shadows: shadows.items ?? [] };
}

function wantedOf(
  { namespace, meshDomains, clusterDomain }: PrepareOptions,
  { dns, shadows }: OwnServices,
  observed: ObservedDns,
): WantedDns {
  const longNames = shadows.flatMap(({ metadata }): LongName[] => {
    const [ofNamespace = "", service = ""] = (metadata.annotations?.[SHADOW_OF] ?? "").split("/");
    if (service === "" || isPatterned(metadata.name, namespace, ofNamespace, service)) return [];
    return [{ service, namespace: ofNamespace, shadow: metadata.name }];
  });
  const addresses = dns?.spec?.clusterIPs ?? [dns?.spec?.clusterIP ?? ""];
  return {
    meshNamespace: namespace,
    meshDomains,
    clusterDomain: clusterDomain ?? domainOf(observed),
    dnsServiceIPs: addresses.filter((address) => address !== "" && address !== "None"),
    longNames,
  };
}

/** As a Corefile of the cluster says it. */
export function domainOf({ configMaps }: ObservedDns): string {
  for (const { data } of Object.values(configMaps)) {
    const domain = clusterDomainOfCorefile(data?.["Corefile"] ?? "");
    if (domain !== undefined) return domain;
  }
  return "cluster.local";
}
