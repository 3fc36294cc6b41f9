import https from "node:https";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { json } from "../admin/admin-server.ts";
import { answererOf } from "../admin/answer-in-pieces.ts";
import { ConfigClient } from "../config-stream/config-client.ts";
import { ApiClient } from "../kube/api-client.ts";
import { answer, type Exchange, type Fault, ScriptedApiServer } from "../kube/testkit/scripted-api-server.ts";
import { systemClock } from "../model/clock.ts";
import {
  CONTROLLER_CERTIFICATE,
  CONTROLLER_KEY,
  FRONT_PROXY_CA,
  FRONT_PROXY_CERTIFICATE,
  FRONT_PROXY_KEY,
} from "../smi-metrics/testkit/front-proxy-certificates.ts";
import { silentLog } from "../telemetry/log.ts";
import { NO_COUNTS } from "../traffic/traffic-report.ts";
import { MeshController } from "./mesh-controller.ts";

const TRUST = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
const PODS = "/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop";

let server: ScriptedApiServer;

beforeEach(async () => {
  server = await ScriptedApiServer.start();
  onTestFinished(() => server.close());
});

const isTrust = ({ path }: Exchange) => path === TRUST;
const trusting = (data: object): Fault => answer(200, { kind: "ConfigMap", data });
const FRONT_PROXY = {
  "requestheader-client-ca-file": FRONT_PROXY_CA,
  "requestheader-allowed-names": '["front-proxy-client"]',
};

/** A token says whose it is, and that it ends late: it is reviewed once. */
const tokenOf = (account: string) =>
  `${account}.${Buffer.from(JSON.stringify({ exp: 9_999_999_999 })).toString("base64url")}.signature`;

const review: Fault = (exchange) => {
  let text = "";
  exchange.stream.setEncoding("utf8");
  exchange.stream.on("data", (piece: string) => {
    text += piece;
  });
  exchange.stream.on("end", () => {
    const { token } = (JSON.parse(text) as { spec: { token: string } }).spec;
    const [account = "", , , pod = `${account}-1`] = token.split(".");
    const user = {
      username: `system:serviceaccount:mesh:${account}`,
      extra: { "authentication.kubernetes.io/pod-name": [pod] },
    };
    answer(201, { status: { authenticated: true, audiences: ["tulle-config"], user } })(exchange);
  });
};

interface Ports {
  readonly configPort?: number;
  readonly smiMetricsPort?: number | undefined;
}

async function start(podName: string, address: string, ports: Ports = {}): Promise<MeshController> {
  const { configPort, smiMetricsPort } = { configPort: 0, smiMetricsPort: 0, ...ports };
  const api = new ApiClient({ access: server.access(), clock: systemClock, log: silentLog, userAgent: "test" });
  const controller = new MeshController({
    version: "0.0.0",
    api,
    clock: systemClock,
    random: () => 0.5,
    log: silentLog,
    namespace: "mesh",
    podName,
    accessControl: "off",
    defaultTrafficType: "http",
    watchNamespaces: [],
    ignoreNamespaces: [],
    meshDomains: ["traefik.mesh"],
    dnsMode: "manual",
    certificate: { cert: CONTROLLER_CERTIFICATE, key: CONTROLLER_KEY },
    peerCredentials: async () => ({ ca: CONTROLLER_CERTIFICATE, token: tokenOf("tulle-controller") }),
    address,
    adminPort: 0,
    configPort,
    healthPort: 0,
    ...(smiMetricsPort === undefined ? {} : { smiMetricsPort }),
  });
  await controller.start();
  onTestFinished(async () => {
    await controller.stop();
    api.close();
  });
  return controller;
}

/** A proxy that follows the controller, and has counted so many requests for shop/web in the last half minute. */
function follow(host: string, { ports }: MeshController, requests: number): void {
  const stop = new AbortController();
  const edge = { source: "", servicePort: "shop/web:80", backend: "shop/web:80", protocol: "http" } as const;
  const counted = { edges: [{ ...edge, ...NO_COUNTS, exchanges: [0, 0, requests, 0, 0, 0] }], retired: NO_COUNTS };
  const client = new ConfigClient({
    host,
    port: ports.config,
    serverName: "tulle-controller.mesh.svc",
    ca: async () => CONTROLLER_CERTIFICATE,
    token: async () => `${tokenOf("tulle-proxy")}.proxy-at-${host.replaceAll(".", "-")}`,
    clock: systemClock,
    random: () => 0.5,
    log: silentLog,
    signal: stop.signal,
    apply: async () => [],
    answerer: answererOf({ "/api/traffic/recent": { says: "", answer: () => json(counted) } }),
  });
  const run = client.run();
  onTestFinished(async () => {
    stop.abort();
    await run;
  });
}

/** As the API server asks. @returns status, or of an object the requests that it got */
function ask(host: string, port: number, path: string): Promise<number | string> {
  const client = { ca: CONTROLLER_CERTIFICATE, cert: FRONT_PROXY_CERTIFICATE, key: FRONT_PROXY_KEY };
  const options = { host, port, path, servername: "tulle-controller.mesh.svc", agent: false, ...client };
  return new Promise((resolve, reject) => {
    const request = https.get(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        text += piece;
      });
      response.on("end", () => {
        const { metrics, items } = JSON.parse(text) as {
          metrics?: { name: string; value: string }[];
          items?: { resource: { name: string } }[];
        };
        const success = metrics?.find(({ name }) => name === "success_count")?.value;
        const names = items?.map(({ resource }) => resource.name).join(" ");
        resolve(success ?? names ?? response.statusCode ?? 0);
      });
    });
    request.on("error", reject);
  });
}

const soon = <T>(value: () => T) => expect.poll(value, { timeout: 10_000 });

const controllerPod = (name: string, ip: string) => ({
  metadata: {
    name,
    namespace: "mesh",
    labels: { "app.kubernetes.io/part-of": "tulle", "app.kubernetes.io/component": "controller" },
  },
  spec: { nodeName: "n", containers: [{ name: "c" }] },
  status: { phase: "Running", podIP: ip },
});

test("whichever replica the API server asks, it hears of all proxies", async () => {
  for (let times = 0; times < 4; times++) server.script(review, ({ path }) => path.endsWith("/tokenreviews"));
  for (let replicas = 0; replicas < 2; replicas++) server.script(trusting(FRONT_PROXY), isTrust);
  server.put("/api/v1/pods", controllerPod("c1", "127.0.0.1"));
  server.put("/api/v1/pods", controllerPod("c2", "127.0.0.2"));
  const first = await start("c1", "127.0.0.1");
  // Replicas are reached at their own addresses, by the port that all of them have.
  const second = await start("c2", "127.0.0.2", { configPort: first.ports.config });
  follow("127.0.0.1", first, 3);
  follow("127.0.0.2", second, 40);
  await soon(() => ask("127.0.0.1", first.ports.smiMetrics, PODS)).toBe("43");
  await soon(() => ask("127.0.0.2", second.ports.smiMetrics, PODS)).toBe("43");
});

test("a label selector is the API server's to understand", async () => {
  server.script(review, ({ path }) => path.endsWith("/tokenreviews"));
  server.script(trusting(FRONT_PROXY), isTrust);
  const selected = (wanted: string) => (exchange: Exchange) =>
    exchange.path === "/api/v1/namespaces/shop/services" && exchange.query.get("labelSelector") === wanted;
  server.script(answer(200, { items: [{ metadata: { namespace: "shop", name: "web" } }] }), selected("app in (web)"));
  server.script(answer(200, { items: [] }), selected("app=none"));
  server.script(answer(400, { kind: "Status", message: "no selector" }), selected(")"));
  const controller = await start("c1", "127.0.0.1");
  follow("127.0.0.1", controller, 3);
  const list = (selector: string) =>
    ask("127.0.0.1", controller.ports.smiMetrics, `${PODS}/services?labelSelector=${encodeURIComponent(selector)}`);
  await soon(() => ask("127.0.0.1", controller.ports.smiMetrics, PODS)).toBe("3");
  expect(await list("app in (web)")).toBe("web");
  expect(await list("app=none")).toBe("");
  expect(await list(")")).toBe(400);
});

test.each([
  ["no front proxy", trusting({})],
  ["names that are not understood", trusting({ ...FRONT_PROXY, "requestheader-allowed-names": "{" })],
  ["an authority that is no certificate", trusting({ ...FRONT_PROXY, "requestheader-client-ca-file": "junk" })],
  ["other names", trusting({ ...FRONT_PROXY, "requestheader-allowed-names": '["another"]' })],
])("where the cluster names %s, nobody is answered", async (_, fault) => {
  server.script(fault, isTrust);
  const read = server.next(isTrust);
  const controller = await start("c1", "127.0.0.1");
  await read;
  await soon(() => ask("127.0.0.1", controller.ports.smiMetrics, PODS)).toBe(401);
});

test("where they are not asked for, nothing is read for them and nothing listens", async () => {
  const controller = await start("c1", "127.0.0.1", { smiMetricsPort: undefined });
  await soon(() => server.exchanges.map(({ path }) => path)).toContain("/api/v1/pods");
  expect(server.exchanges.map(({ path }) => path)).not.toContain(TRUST);
  expect(controller.ports.smiMetrics).toBe(0);
});
