import { Resolver } from "node:dns/promises";
import http from "node:http";
import { compileCluster } from "../controller/compile-cluster.ts";
import type { DnsMode } from "../controller/dns-keeper.ts";
import { type Finding, inspectCluster } from "../controller/inspect-cluster.ts";
import { CONTROLLER } from "../controller/own-objects.ts";
import { servedServices } from "../controller/shadow-services.ts";
import type { ApiClient } from "../kube/api-client.ts";
import { type ClusterOptions, connect } from "./cluster-connection.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { installedOptions } from "./installed-options.ts";
import { readCluster } from "./read-cluster.ts";
import { stderrLog } from "./stderr-log.ts";

export interface CheckClusterOptions extends ClusterOptions {
  readonly namespace: string;
  readonly dnsMode?: DnsMode;
  readonly json?: boolean;
}

/** What is well and what is not on the cluster, each with its remedy. 1 when something is wrong. */
export async function runCheckCluster(options: CheckClusterOptions, version: string): Promise<number> {
  const log = stderrLog();
  const api = await connect(options, version, log, "; or give manifests with -f PATH");
  try {
    const { namespace } = options;
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
      served: new Set(servedServices(config, state).keys()),
      signal: new AbortController().signal,
      admin: (path) =>
        inPod ? getJson(`http://${CONTROLLER}.${namespace}.svc:9000${path}`) : viaApiServer(api, namespace, path),
      ...(inPod ? { resolve: (name: string) => resolver.resolve4(name) } : {}),
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
  process.stdout.write(`${errors} errors, ${warnings} warnings\n`);
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

function getJson(url: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { timeout: 5000, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        body += piece;
      });
      response.on("end", () => {
        if (response.statusCode === 200) resolve(JSON.parse(body));
        else reject(new Error(`${url}: ${response.statusCode} ${body.slice(0, 200)}`));
      });
    });
    request.on("timeout", () => request.destroy(new Error(`${url}: no answer`)));
    request.on("error", reject);
  });
}
