import { Resolver } from "node:dns/promises";
import { readFileSync } from "node:fs";
import http from "node:http";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { ConfigClient } from "../config-stream/config-client.ts";
import { ApiClient } from "../kube/api-client.ts";
import { HurriedClock } from "../kube/testkit/hurried-clock.ts";
import { answer, ScriptedApiServer, silence } from "../kube/testkit/scripted-api-server.ts";
import { systemClock } from "../model/clock.ts";
import { CERTIFICATE, KEY } from "../model/testkit/certificate.ts";
import { silentLog } from "../telemetry/log.ts";
import { MeshController, type MeshControllerOptions } from "./mesh-controller.ts";
import { SHADOW_LABELS, SHADOW_OF } from "./own-objects.ts";

const REVIEW = {
  status: {
    authenticated: true,
    audiences: ["tulle-config"],
    user: {
      username: "system:serviceaccount:mesh:tulle-proxy",
      extra: { "authentication.kubernetes.io/pod-name": ["p1"] },
    },
  },
};

/** A token as it is remembered: until it ends. */
const TOKEN = `head.${Buffer.from(JSON.stringify({ exp: 9_999_999_999 })).toString("base64url")}.signature`;

let server: ScriptedApiServer;

beforeEach(async () => {
  server = await ScriptedApiServer.start();
  onTestFinished(() => server.close());
});

async function start(more: Partial<MeshControllerOptions> = {}): Promise<MeshController> {
  const api = new ApiClient({ access: server.access(), clock: systemClock, log: silentLog, userAgent: "test" });
  const controller = new MeshController({
    version: "0.0.0",
    api,
    clock: new HurriedClock(),
    random: () => 0.5,
    log: silentLog,
    namespace: "mesh",
    podName: "c1",
    accessControl: "off",
    defaultTrafficType: "http",
    watchNamespaces: [],
    ignoreNamespaces: [],
    meshDomains: ["traefik.mesh"],
    dnsMode: "manual",
    certificate: { cert: CERTIFICATE, key: KEY },
    peerCredentials: async () => ({ ca: CERTIFICATE, token: "t" }),
    address: "127.0.0.1",
    adminPort: 0,
    configPort: 0,
    healthPort: 0,
    ...more,
  });
  await controller.start();
  onTestFinished(async () => {
    await controller.stop();
    api.close();
  });
  return controller;
}

/** A proxy that follows the controller. @returns whether its stream is up, each time that this changes */
function follow(controller: MeshController): boolean[] {
  const stop = new AbortController();
  const connected: boolean[] = [];
  const client = new ConfigClient({
    host: "127.0.0.1",
    port: controller.ports.config,
    serverName: "tulle-controller.test",
    ca: async () => CERTIFICATE,
    token: async () => TOKEN,
    clock: new HurriedClock(),
    random: () => 0.5,
    log: silentLog,
    signal: stop.signal,
    apply: async () => [],
    onConnected: (up) => {
      if (connected.at(-1) !== up) connected.push(up);
    },
  });
  const run = client.run();
  onTestFinished(async () => {
    stop.abort();
    await run;
  });
  return connected;
}

const soon = <T>(value: () => T) => expect.poll(value, { timeout: 10_000 });

const readiness = ({ ports }: MeshController): Promise<string> => get(ports.health, "/readyz");

const get = (port: number, path: string, headers: http.OutgoingHttpHeaders = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    http
      .get({ host: "127.0.0.1", port, path, headers, agent: false }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => {
          body += piece;
        });
        response.on("end", () => resolve(`${response.statusCode} ${body}`));
      })
      .on("error", reject);
  });

test("a replica that hears nothing of the cluster for long is not ready, and sends its proxies to another", async () => {
  for (let reviews = 0; reviews < 10; reviews++)
    server.script(answer(201, REVIEW), ({ path }) => path.endsWith("/tokenreviews"));
  const controller = await start();
  await soon(() => readiness(controller)).toBe("200 ok\n");
  const connected = follow(controller);
  await soon(() => connected.at(-1)).toBe(true);
  const { port } = server;
  await server.close();
  await soon(() => readiness(controller)).toMatch(/^503 not ready: the cluster's objects cannot be read: /);
  await soon(() => connected.at(-1)).toBe(false);
  server = await ScriptedApiServer.start(port, 1000);
  await soon(() => readiness(controller)).toBe("200 ok\n");
  await soon(() => connected.at(-1)).toBe(true);
});

test("a controller that leads and is told to stop waits for no answer to what it writes", async () => {
  const isShadow = ({ method, path }: { readonly method: string; readonly path: string }) =>
    method === "POST" && path === "/api/v1/namespaces/mesh/services";
  server.put("/api/v1/services", {
    metadata: { name: "web", namespace: "shop" },
    spec: { clusterIP: "10.0.0.1", selector: { app: "web" }, ports: [{ port: 80 }] },
  });
  server.script(silence, isShadow);
  const written = server.next(isShadow);
  const controller = await start();
  await written;
  const before = performance.now();
  await controller.stop();
  expect(performance.now() - before).toBeLessThan(5_000);
});

test("a controller serves the dashboard, what it asks for, and says what is not there", async () => {
  const pod = { name: "client", namespace: "shop" };
  server.put("/api/v1/pods", {
    metadata: pod,
    spec: { serviceAccountName: "client", containers: [{ name: "c", image: "sleep" }] },
    status: { podIP: "10.1.0.1", phase: "Running" },
  });
  const controller = await start();
  const ask = (path: string, headers?: http.OutgoingHttpHeaders) => get(controller.ports.admin, path, headers);
  await soon(() => readiness(controller)).toBe("200 ok\n");
  expect(await ask("/", { accept: "text/html" })).toMatch(/^200 <!doctype html>/);
  expect(await ask("/assets/main.js")).toMatch(/^200 /);
  const before = JSON.parse((await ask("/api/history")).slice(4));
  expect(before).toMatchObject([{ changes: [], omitted: 0 }]);
  server.put("/api/v1/services", {
    metadata: { name: "web", namespace: "shop" },
    spec: { clusterIP: "10.0.0.1", selector: { app: "web" }, ports: [{ port: 80 }] },
  });
  await soon(() => ask("/api/history")).toContain('"shop/web:80"');
  const traefik = await ask("/api/configuration/current");
  expect(JSON.parse(traefik.slice(4)).http.routers["shop-web-80"]).toMatchObject({
    entryPoints: ["http-5000"],
    rule: "Host(`web.shop.traefik.mesh`) || Host(`10.0.0.1`)",
  });
  const explained = JSON.parse((await ask("/api/explain?from=shop/client&to=web.shop.traefik.mesh")).slice(4));
  expect(explained).toMatchObject({ servicePort: "shop/web:80", failure: "NoEndpoint", decidedBy: "Service shop/web" });
  expect(await ask("/api/explain?from=shop/gone&to=web.shop.traefik.mesh")).toMatch(
    /^400 from shop\/gone: there is no/,
  );
});

test("a controller answers at the paths of the original's admin API, in its forms", async () => {
  server.put("/api/v1/services", {
    metadata: { name: "web", namespace: "shop" },
    spec: { clusterIP: "10.0.0.1", selector: { app: "web" }, ports: [{ port: 80 }] },
  });
  const controller = await start();
  const ask = (path: string) => get(controller.ports.admin, path);
  await soon(() => ask("/api/status/readiness")).toBe("200 true\n");
  const topology = await ask("/api/topology/current");
  expect(topology).toMatch(/^200 \{.*\}\n$/);
  expect(JSON.parse(topology.slice(4))).toMatchObject({
    services: { "web@shop": { clusterIp: "10.0.0.1", errors: null } },
    pods: {},
    serviceTrafficTargets: {},
    trafficSplits: {},
  });
  expect(await ask("/api/status/nodes")).toBe("200 []\n");
  expect(await ask("/api/status/node/nobody/configuration")).toMatch(/^404 /);
  server.put("/api/v1/pods", {
    metadata: {
      name: "p1",
      namespace: "mesh",
      labels: { "app.kubernetes.io/part-of": "tulle", "app.kubernetes.io/component": "proxy" },
    },
    spec: { nodeName: "node1", containers: [{ name: "c", image: "tulle" }] },
    status: { podIP: "10.1.0.9", phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
  });
  await soon(async () => JSON.parse((await ask("/api/status/nodes")).slice(4))).toMatchObject([
    { Name: "p1", IP: "10.1.0.9", Ready: true },
  ]);
  expect(await ask("/api/status/node/p1/configuration")).toMatch(/^502 /);
});

test("a controller that has read nothing yet is not ready, in the original's form too", async () => {
  server.script(silence, ({ path }) => path === "/api/v1/services");
  const controller = await start();
  const ask = (path: string) => get(controller.ports.admin, path);
  expect(await ask("/api/status/readiness")).toBe("500 ");
  expect(await ask("/api/topology/current")).toMatch(/^503 /);
});

test("docs/admin-api.md has every path of a controller", async () => {
  const controller = await start();
  const index = await get(controller.ports.admin, "/");
  const paths = [...index.matchAll(/^(?:200 )?(\/\S+) /gm)].map(([, path]) => path ?? "");
  expect(paths).toEqual(expect.arrayContaining(["/api/topology/current", "/api/configuration/current"]));
  const docs = readFileSync(new URL("../../docs/admin-api.md", import.meta.url), "utf8");
  const pages = ["/assets/"];
  const missing = paths.filter((path) => !docs.includes(`\`${path}\``) && !pages.some((page) => path.startsWith(page)));
  expect(missing).toEqual([]);
});

const named = (name: string, address: string, ports: object[]) => ({
  metadata: { name, namespace: "shop" },
  spec: { clusterIP: address, selector: { app: name }, ports },
});

test("with Traefik as the proxy, Services share its entry points, and nothing is served before all was read", async () => {
  server.put("/api/v1/services", named("web", "10.0.0.1", [{ port: 80 }]));
  server.put("/api/v1/services", named("api", "10.0.0.2", [{ port: 80 }]));
  for (const name of ["web", "api"])
    server.put("/api/v1/services", {
      metadata: {
        name: `mesh-${name}-6d61657368-shop`,
        namespace: "mesh",
        labels: { ...SHADOW_LABELS },
        annotations: { [SHADOW_OF]: `shop/${name}` },
      },
      spec: { clusterIP: name === "web" ? "10.9.0.1" : "10.9.0.2", ports: [{ port: 80, targetPort: 5000 }] },
    });
  const controller = await start({ traefik: { limits: { http: 1, tcp: 1, udp: 1 }, dnsPort: 0 } });
  const ask = (path: string) => get(controller.ports.admin, path);
  await soon(() => ask("/api/configuration/current")).toMatch(/^200 /);
  const { http: part } = JSON.parse((await ask("/api/configuration/current")).slice(4));
  expect(part.routers).toMatchObject({
    "shop-web-80": { entryPoints: ["http-5000"] },
    "shop-api-80": { entryPoints: ["http-5000"] },
    readiness: { middlewares: ["tulle-version"] },
  });
  expect(await ask("/api/problems")).not.toContain("TraefikPortMissing");
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${controller.ports.dns}`]);
  expect(await resolver.resolve4("web.shop.traefik.mesh")).toEqual(["10.9.0.1"]);
});

test("what Traefik cannot do is a problem where it is the proxy, and none where Tulle's own is", async () => {
  const web = named("web", "10.0.0.1", [{ port: 80 }]);
  const metadata = { ...web.metadata, annotations: { "tulle.dev/request-timeout": "5s" } };
  server.put("/api/v1/services", { ...web, metadata });
  const ofTulle = await start();
  await soon(() => get(ofTulle.ports.admin, "/api/configuration/current")).toMatch(/^200 /);
  expect(await get(ofTulle.ports.admin, "/api/problems")).not.toContain("TraefikSettingIgnored");
  const controller = await start({ podName: "c2", traefik: { limits: { http: 1, tcp: 1, udp: 1 }, dnsPort: 0 } });
  await soon(() => get(controller.ports.admin, "/api/problems")).toContain("TraefikSettingIgnored");
});
