import { Resolver } from "node:dns/promises";
import { getJson } from "../admin/get-json.ts";
import { compileCluster } from "../controller/compile-cluster.ts";
import type { DnsMode } from "../controller/dns-change.ts";
import { type Finding, inspectCluster } from "../controller/inspect-cluster.ts";
import { CONTROLLER } from "../controller/own-objects.ts";
import { servedServices } from "../controller/shadow-services.ts";
import type { ApiClient } from "../kube/api-client.ts";
import { addressesOf } from "./addresses-of.ts";
import { type ClusterOptions, connect } from "./cluster-connection.ts";
import { count } from "./count.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { installedOptions } from "./installed-options.ts";
import { meshNamespace } from "./mesh-namespace.ts";
import { readCluster } from "./read-cluster.ts";
import { stderrLog } from "./stderr-log.ts";

export interface CheckClusterOptions extends ClusterOptions {
  readonly namespace?: string;
  readonly dnsMode?: DnsMode;
  readonly json?: boolean;
  readonly installation?: boolean;
}

const ANSWER_MS = 5_000;

/** What is well and what is not on the cluster, each with its remedy. 1 when something is wrong. */
export async function runCheckCluster(options: CheckClusterOptions, version: string): Promise<number> {
  const log = stderrLog();
  const api = await connect(options, version, log, "; or give manifests with -f PATH");
  try {
    const namespace = await meshNamespace(api, options.namespace);
    const { state } = await readCluster(api, log);
    const installed = await installedOptions(api, namespace);
    const { config } = compileCluster(state, { ...installed, namespace });
    const inPod = process.env["KUBERNETES_SERVICE_HOST"] !== undefined && options.kubeconfig === undefined;
    const resolver = new Resolver({ timeout: 2000, tries: 2 });
    const findings = await inspectCluster({
      api,
      namespace,
      dnsMode: options.dnsMode ?? installed.dnsMode,
      meshDomains: installed.meshDomains,
      state,
      objects: options.installation !== true,
      served: new Set(servedServices(config, state).keys()),
      signal: new AbortController().signal,
      admin: (path) =>
        inPod
          ? getJson({ host: `${CONTROLLER}.${namespace}.svc`, port: 9000, path }, AbortSignal.timeout(ANSWER_MS))
          : viaApiServer(api, namespace, path),
      ...(inPod ? { resolve: (name: string) => addressesOf(name, resolver) } : {}),
    });
    print(findings, options.json === true);
    return findings.some(({ ok, severity }) => !ok && severity === "error") ? EXIT_PROBLEMS : EXIT_FINE;
  } finally {
    api.close();
  }
}

function print(findings: readonly Finding[], json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
    return;
  }
  for (const { ok, severity, what, says } of findings) {
    const stream = ok ? process.stdout : process.stderr;
    stream.write(`${severity === "fine" ? "✓" : severity} ${what}: ${says}\n`);
  }
  const errors = findings.filter(({ ok, severity }) => !ok && severity === "error").length;
  const warnings = findings.filter(({ ok, severity }) => !ok && severity === "warning").length;
  process.stdout.write(`${count(errors, "error")}, ${count(warnings, "warning")}\n`);
}

/** Through the API server, as kubectl does it: nothing of the cluster's network need be reachable from here. */
async function viaApiServer(api: ApiClient, namespace: string, path: string): Promise<unknown> {
  const selector = "app.kubernetes.io/part-of=tulle,app.kubernetes.io/component=controller";
  const { items = [] } = await api.request<{ items?: { metadata: { name: string }; status?: { phase?: string } }[] }>(
    "GET",
    `/api/v1/namespaces/${namespace}/pods`,
    { query: { labelSelector: selector } },
  );
  const pod = items.find(({ status }) => status?.phase === "Running");
  if (pod === undefined) throw new Error("no controller is running");
  return api.request("GET", `/api/v1/namespaces/${namespace}/pods/${pod.metadata.name}:9000/proxy${path}`);
}
