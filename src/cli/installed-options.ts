/** With which options the controller of a cluster runs: what `check` and `explain` must reckon with too. */
import { Command } from "commander";
import type { AccessMode, TrafficType } from "../config/mesh-config.ts";
import type { ClusterMeshOptions } from "../controller/compile-cluster.ts";
import type { DnsMode } from "../controller/dns-change.ts";
import { CONTROLLER } from "../controller/own-objects.ts";
import type { ApiClient } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import { commaListOption, dnsModeOption, meshDomainsOption } from "./cluster-options.ts";
import { aclOption, defaultModeOption } from "./common-options.ts";

export interface InstalledOptions extends Omit<ClusterMeshOptions, "namespace"> {
  /** Whether there is a controller whose options these are. */
  readonly installed: boolean;
  readonly dnsMode: DnsMode;
}

interface Deployment {
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly { readonly args?: string[] }[] } };
  };
}

/** As the controller's Deployment says; the defaults where there is none. */
export async function installedOptions(api: ApiClient, namespace: string): Promise<InstalledOptions> {
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${CONTROLLER}`;
  let args: readonly string[] = [];
  let installed = true;
  try {
    const { spec } = await api.request<Deployment>("GET", path);
    args = spec.template.spec.containers[0]?.args ?? [];
  } catch (error) {
    if (!isApiError(error, 404) && !isApiError(error, 403)) throw error;
    installed = false;
  }
  const command = new Command()
    .addOption(aclOption())
    .addOption(defaultModeOption())
    .addOption(commaListOption("--watch-namespaces <names>", ""))
    .addOption(commaListOption("--ignore-namespaces <names>", ""))
    .addOption(meshDomainsOption())
    .addOption(dnsModeOption())
    .allowUnknownOption()
    .allowExcessArguments()
    .exitOverride();
  // Its environment is not the controller's.
  for (const option of command.options) delete (option as { envVar?: string }).envVar;
  const parsed = command.parse([...args], { from: "user" }).opts<{
    acl?: AccessMode;
    defaultMode: TrafficType;
    watchNamespaces: string[];
    ignoreNamespaces: string[];
    meshDomains: string[];
    dnsMode: DnsMode;
  }>();
  return {
    installed,
    accessControl: parsed.acl ?? "off",
    defaultTrafficType: parsed.defaultMode,
    watchNamespaces: parsed.watchNamespaces,
    ignoreNamespaces: parsed.ignoreNamespaces,
    meshDomains: parsed.meshDomains,
    dnsMode: parsed.dnsMode,
  };
}
