/** The promises of one machine, by real calls against a whole mesh. */
import { writeFile } from "node:fs/promises";
import http from "node:http";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { AccessMode } from "../src/config/mesh-config.ts";
import { LoopbackAddresses } from "../src/manifests/loopback-addresses.ts";
import { ManifestSource } from "../src/manifests/manifest-source.ts";
import { systemClock } from "../src/model/clock.ts";
import { silentLog } from "../src/telemetry/log.ts";
import { sumOfSeries } from "../src/telemetry/testkit/parse-exposition.ts";
import { RunningMesh } from "./running-mesh.ts";
import { client, EVERYTHING, ROUTES, server, service, split, TCP, target, UDP } from "./sample-manifests.ts";

const running: RunningMesh[] = [];
afterEach(async () => {
  for (const mesh of running.splice(0)) await mesh.close();
});
async function start(
  manifests: Record<string, string>,
  accessControl: AccessMode = "off",
  options: Parameters<typeof RunningMesh.start>[2] = {},
): Promise<RunningMesh> {
  const mesh = await RunningMesh.start(manifests, accessControl, options);
  running.push(mesh);
  return mesh;
}

async function shares(count: number, call: () => Promise<string>): Promise<Record<string, number>> {
  const shares: Record<string, number> = {};
  for (let done = 0; done < count; done += 50) {
    const names = await Promise.all(Array.from({ length: Math.min(50, count - done) }, call));
    for (const name of names) shares[name] = (shares[name] ?? 0) + 1;
  }
  return shares;
}

describe("a split", () => {
  test("of 80 to 20 is exact within a percentage point over 2,000 HTTP calls, and weight 0 gets none", async () => {
    const mesh = await start({
      "a.yaml":
        server("v1", { replicas: 2 }) +
        server("v2") +
        server("v3") +
        service("root") +
        split("root", { v1: 80, v2: 20, v3: 0 }),
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
    const counts = await shares(2000, async () => (await mesh.get("root", { agent })).name);
    agent.destroy();
    expect(Object.keys(counts).sort()).toEqual(["v1", "v2"]);
    expect(Math.abs((counts["v1"] ?? 0) / 2000 - 0.8)).toBeLessThan(0.01);
  });

  test("of 80 to 20 is exact within a percentage point over 2,000 TCP connections", async () => {
    const mesh = await start({
      "a.yaml": server("v1", TCP) + server("v2", TCP) + service("root", TCP) + split("root", { v1: 80, v2: 20 }),
    });
    const counts = await shares(2000, async () => (await mesh.who("root", 8080)).slice(0, 2));
    expect(Math.abs((counts["v1"] ?? 0) / 2000 - 0.8)).toBeLessThan(0.01);
  });

  test("with a missing backend and one without endpoints names both, and the rest goes on", async () => {
    const mesh = await start({
      "a.yaml": server("v1") + service("empty") + service("root") + split("root", { v1: 1, empty: 1, gone: 8 }),
    });
    expect(mesh.codes()).toEqual(
      expect.arrayContaining([
        "SplitBackendMissing TrafficSplit root",
        "SplitBackendWithoutEndpoints TrafficSplit root",
      ]),
    );
    const statuses = await shares(10, async () => String((await mesh.get("root")).status));
    expect(statuses).toEqual({ 200: 5, 503: 5 });
  });

  test("that leads back to its root is a problem, and the root is served plainly", async () => {
    const mesh = await start({
      "a.yaml": server("a") + server("b") + split("a", { b: 1 }) + split("b", { a: 1 }),
    });
    expect(mesh.codes()).toEqual(["SplitCycle TrafficSplit a", "SplitCycle TrafficSplit b"]);
    expect((await mesh.get("a")).name).toBe("a");
  });
});

describe("access control", () => {
  const base = ROUTES + server("http") + client("friend") + client("stranger");

  test("lets the allowed source in and nobody else, whatever the headers say, through a split too", async () => {
    const mesh = await start(
      {
        "a.yaml":
          base +
          server("v1") +
          server("v2") +
          service("root") +
          split("root", { v1: 1, v2: 1 }) +
          ["http", "v1", "v2"].map((name) => target(name, name, "friend", EVERYTHING)).join(""),
      },
      "on",
    );
    const forged = { "X-Forwarded-For": mesh.pod("friend"), "X-Real-Ip": mesh.pod("friend") };
    for (const service of ["http", "root"]) {
      expect((await mesh.get(service, { from: "friend" })).status).toBe(200);
      for (const options of [{ from: "stranger" }, { from: "stranger", headers: forged }, { headers: forged }]) {
        const answer = await mesh.get(service, options);
        expect([answer.status, answer.headers["x-tulle-reason"]]).toEqual([403, "AccessDenied"]);
      }
    }
  });

  test("denies a split whole to a caller that may reach only one of its backends", async () => {
    const mesh = await start(
      {
        "a.yaml":
          base +
          server("v1") +
          server("v2") +
          service("root") +
          split("root", { v1: 1, v2: 1 }) +
          target("v1", "v1", "friend", EVERYTHING),
      },
      "on",
    );
    const statuses = await shares(6, async () => String((await mesh.get("root", { from: "friend" })).status));
    expect(statuses).toEqual({ 403: 6 });
    expect((await mesh.get("v1", { from: "friend" })).status).toBe(200);
  });

  test("resets TCP and is silent to UDP of a stranger, and opens no HTTP by a TCP route", async () => {
    const mesh = await start(
      {
        "a.yaml":
          base +
          server("tcp", TCP) +
          server("udp", UDP) +
          target("tcp", "tcp", "friend", "rules: [{kind: TCPRoute, name: tcp}]") +
          target("udp", "udp", "friend", "rules: [{kind: UDPRoute, name: udp}]") +
          target("http", "http", "friend", "rules: [{kind: TCPRoute, name: tcp}]"),
      },
      "on",
    );
    expect(await mesh.who("tcp", 8080, "friend")).toMatch(/^tcp-/);
    expect(await mesh.who("tcp", 8080, "stranger")).toBe("reset");
    const answered = mesh.udp("udp", 8080, "friend", new Promise(() => {}));
    const silent = mesh.udp(
      "udp",
      8080,
      "stranger",
      answered.then(() => mesh.udp("udp", 8080, "friend", new Promise(() => {}))),
    );
    expect(await answered).toMatch(/^udp-/);
    expect(await silent).toBe("silence");
    expect((await mesh.get("http", { from: "friend" })).status).toBe(403);
  });

  test("adds targets up, and opens nothing for one that cannot be resolved", async () => {
    const mesh = await start(
      {
        "a.yaml":
          base +
          target("one", "http", "friend", "rules: [{kind: HTTPRouteGroup, name: api}]") +
          target("two", "http", "stranger", EVERYTHING) +
          target(
            "broken",
            "http",
            "friend",
            "rules: [{kind: HTTPRouteGroup, name: everything}, {kind: TCPRoute, name: nowhere}]",
          ),
      },
      "on",
    );
    const status = async (from: string, path: string) => (await mesh.get("http", { from, path })).status;
    expect([await status("friend", "/api"), await status("friend", "/")]).toEqual([200, 403]);
    expect([await status("stranger", "/api"), await status("stranger", "/")]).toEqual([200, 200]);
    expect(mesh.codes()).toContain("TargetRuleUnresolved TrafficTarget broken");
  });

  test("reads a target without rules as the original does in v1alpha2, and refuses it in v1alpha3", async () => {
    const without = target("without", "http", "friend", "");
    const mesh = await start({ "a.yaml": base, "b.yaml": without }, "on");
    expect((await mesh.get("http", { from: "friend" })).status).toBe(200);
    expect(mesh.codes()).toContain("TargetWithoutRules TrafficTarget without");
    await mesh.edit("b.yaml", without.replace("v1alpha2", "v1alpha3"));
    expect((await mesh.get("http", { from: "friend" })).status).toBe(403);
    expect(mesh.codes()).toContain("TargetRulesMissing TrafficTarget without");
  });

  test("lets everything through in audit mode, and counts what it would refuse", async () => {
    const mesh = await start({ "a.yaml": base + target("t", "http", "friend", EVERYTHING) }, "audit");
    expect((await mesh.get("http", { from: "stranger" })).status).toBe(200);
    const metrics = await fetch(`${mesh.ready.admin}/metrics`).then((response) => response.text());
    expect(sumOfSeries(metrics, "tulle_audited_denials_total")).toBe(1);
  });
});

describe("annotations", () => {
  test("limit the rate of each caller", async () => {
    const limits = 'mesh.traefik.io/ratelimit-average: "1", mesh.traefik.io/ratelimit-burst: "3"';
    const mesh = await start({ "a.yaml": server("s", { annotations: limits }) + client("a") + client("b") });
    const statuses: number[] = [];
    for (let call = 0; call < 5; call++) statuses.push((await mesh.get("s", { from: "a" })).status);
    expect(statuses.slice(0, 3)).toEqual([200, 200, 200]);
    expect(statuses.slice(3)).toContain(429);
    expect((await mesh.get("s", { from: "b" })).status).toBe(200);
  });

  test("open the breaker on answers that fail, for that service alone", async () => {
    const breaker = 'mesh.traefik.io/circuit-breaker-expression: "ResponseCodeRatio(500, 600, 0, 600) > 0.30"';
    const mesh = await start({ "a.yaml": server("s", { annotations: breaker }) + server("other") });
    await mesh.get("s", { method: "POST", path: "/health", body: "500" });
    const reasons = new Set<unknown>();
    for (let call = 0; call < 5000 && !reasons.has("BreakerOpen"); call++)
      reasons.add((await mesh.get("s", { path: "/health" })).headers["x-tulle-reason"]);
    expect(reasons).toEqual(new Set([undefined, "BreakerOpen"]));
    expect((await mesh.get("other")).status).toBe(200);
  });

  test("repeat a call elsewhere when an endpoint refuses it", async () => {
    const slice = (name: string, retries: string, pod: string) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: t, annotations: {${retries}}}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, namespace: t, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{port: ${pod.split(":")[1]}}]
endpoints: [{addresses: [${pod.split(":")[0]}]}, {addresses: [127.9.9.9]}]
---
`;
    const upstream = http.createServer((_request, response) => response.end("ok"));
    await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
    const { port } = upstream.address() as { port: number };
    const retry = 'mesh.traefik.io/retry-attempts: "2"';
    const mesh = await start({
      "a.yaml": slice("with", retry, `127.0.0.1:${port}`) + slice("without", "", `127.0.0.1:${port}`),
    });
    const status = (service: string) => async () =>
      String((await mesh.get(service, { method: "POST", body: "x" })).status);
    expect(await shares(10, status("with"))).toEqual({ 200: 10 });
    expect(await shares(10, status("without"))).toEqual({ 200: 5, 502: 5 });
    upstream.close();
    upstream.closeAllConnections();
  });
});

describe("an edit", () => {
  test("is in force in the running mesh, and no call to what stays fails", async () => {
    const mesh = await start({ "a.yaml": server("s", { replicas: 2 }), "b.yaml": server("other") });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    let editing = true;
    const failures: unknown[] = [];
    let calls = 0;
    const load = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (editing) {
          calls++;
          const answer = await mesh.get("s", { agent }).catch((error: unknown) => ({ status: error }));
          if (answer.status !== 200) failures.push(answer.status);
        }
      }),
    );
    for (let edit = 0; edit < 12; edit++) {
      await mesh.edit(
        "a.yaml",
        server("s", { replicas: 1 + (edit % 3), annotations: `mesh.traefik.io/retry-attempts: "${(edit % 3) + 1}"` }),
      );
      await mesh.edit("b.yaml", edit % 2 === 0 ? undefined : server("other"));
    }
    editing = false;
    await load;
    agent.destroy();
    expect(failures).toEqual([]);
    expect(calls).toBeGreaterThan(100);
  });

  test("that breaks a file or an object leaves in force what it said before", async () => {
    const mesh = await start({ "a.yaml": server("s") });
    await mesh.edit("a.yaml", `${server("s")}\nspec: [`);
    expect(mesh.problems.map(({ code }) => code)).toEqual(["ManifestSyntax"]);
    expect((await mesh.get("s")).status).toBe(200);
    await mesh.edit("a.yaml", server("s").replace("port: 80,", "port: 80000,"));
    expect(mesh.codes()).toEqual(["ManifestInvalid Service s"]);
    expect((await mesh.get("s")).status).toBe(200);
    await mesh.edit("a.yaml", undefined);
    expect(mesh.ready.services).toEqual([]);
  });
});

test("a Service that was removed and comes back has the addresses that it had", async () => {
  const mesh = await start({ "a.yaml": server("a"), "b.yaml": server("b") });
  const places = () => mesh.ready.services.find(({ name }) => name === "a");
  const before = places();
  await mesh.edit("a.yaml", undefined);
  expect(places()).toBeUndefined();
  await mesh.edit("c.yaml", server("c"));
  await mesh.edit("a.yaml", server("a"));
  expect([before, (await mesh.get("a")).status]).toEqual([places(), 200]);
});

test("an edit that needs more sockets than the process may have leaves the mesh as it was, and says how many", async () => {
  const mesh = await start({ "a.yaml": server("s") }, "off", { maxDescriptors: 103 });
  const { pods } = mesh.ready;
  await mesh.edit("a.yaml", server("s", { replicas: 3 }));
  expect(mesh.problems.map(({ message }) => message)).toEqual([
    expect.stringContaining("105 file descriptors are needed, and this process may have 103"),
  ]);
  expect([mesh.ready.pods, (await mesh.get("s")).status]).toEqual([pods, 200]);
  await mesh.edit("a.yaml", server("s", { annotations: 'mesh.traefik.io/retry-attempts: "2"' }));
  expect([mesh.problems, mesh.ready.pods]).toEqual([[], pods]);
});

test("what is being opened when the cluster closes is closed with it, and nothing is opened after", async () => {
  // Those of this process: another mesh on this machine may have the same addresses.
  const sockets = () => process.getActiveResourcesInfo().filter((name) => /^(TCPServer|UDP)Wrap$/i.test(name)).length;
  const before = sockets();
  const mesh = await start({ "a.yaml": server("s") });
  const opened = sockets();
  const addresses = new LoopbackAddresses();
  const source = new ManifestSource({ paths: [mesh.folder], addresses, clock: systemClock, log: silentLog });
  await writeFile(join(mesh.folder, "a.yaml"), server("other", { port: 8080 }));
  await source.load();
  const updating = mesh.cluster.update(source.state, []);
  await mesh.cluster.close();
  await updating;
  await mesh.cluster.update(source.state, []);
  expect(opened).toBeGreaterThan(before);
  // The runtime gives them back a turn later.
  while (sockets() > before) await setImmediate();
});

test("a broken annotation is a problem, and the others of the Service are in force", async () => {
  const mesh = await start({
    "a.yaml": server("s", {
      annotations:
        'mesh.traefik.io/retry-attempts: "many", mesh.traefik.io/ratelimit-average: "1", mesh.traefik.io/ratelimit-burst: "1"',
    }),
  });
  expect(mesh.codes()).toEqual(["AnnotationInvalid Service s"]);
  const statuses = [(await mesh.get("s")).status, (await mesh.get("s")).status];
  expect(statuses).toEqual([200, 429]);
});
