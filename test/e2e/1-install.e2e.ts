import { expect, test } from "vitest";
import {
  admin,
  apply,
  curl,
  eventually,
  exec,
  fail,
  kubectl,
  MESH_NAMESPACE,
  netcat,
  podsOf,
  podsReady,
  report,
  tulle,
} from "./cluster.ts";
import { install } from "./install.ts";

const EXAMPLE = new URL("../../examples/whoami/", import.meta.url).pathname;
const from = (url: string, ...options: string[]) => curl("whoami", "whoami-client", url, ...options);

test("helm install has everything ready, and a mesh name answers", async () => {
  // What needs no resource of SMI; the rest follows when the chart has brought those.
  for (const file of ["00-namespace.yaml", "10-clients.yaml", "20-servers.yaml"])
    await kubectl("apply", "-f", EXAMPLE + file);
  await podsReady("whoami");
  const began = Date.now();
  await install();
  const installed = (Date.now() - began) / 1000;
  await eventually("the mesh name answers", 60, async () => {
    const { status } = await from("http://whoami.whoami.traefik.mesh/");
    if (status !== 200) fail(`status ${status}`);
  });
  const answered = (Date.now() - began) / 1000;
  report(
    "helm install --wait",
    `${installed.toFixed(1)} s; the first call by mesh name after ${answered.toFixed(1)} s`,
  );
}, 240_000);

test("the example applies unchanged", async () => {
  await kubectl("apply", "-f", EXAMPLE);
  await podsReady("whoami");
}, 150_000);

test("every proxy has the controllers' configuration in force", async () => {
  await eventually("all proxies programmed", 20, async () => {
    const nodes = await admin<{ programmed: boolean; Name: string }[]>("/api/status/nodes");
    if (nodes.length === 0 || !nodes.every(({ programmed }) => programmed)) fail(JSON.stringify(nodes));
  });
});

test("both controller replicas serve the same version", async () => {
  const controllers = await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=controller");
  expect(controllers).toHaveLength(2);
  await eventually("equal versions", 10, async () => {
    const versions = await Promise.all(
      controllers.map(async ({ metadata }) => (await admin<{ version: string }>("/api/config", metadata.name)).version),
    );
    if (new Set(versions).size !== 1) fail(versions.join(" "));
  });
});

test("the HTTP sample answers through its mesh name, and past the mesh by its cluster name", async () => {
  const mesh = await from("http://whoami.whoami.traefik.mesh/");
  expect(mesh.status).toBe(200);
  expect(mesh.body).toContain("Host: whoami.whoami.traefik.mesh");
  expect(mesh.body).toContain(`X-Forwarded-For: ${await clientAddress()}`);
  const plain = await from("http://whoami.whoami.svc.cluster.local/");
  expect(plain.status).toBe(200);
  expect(plain.body).not.toContain("X-Forwarded");
});

test("the legacy domain answers too", async () => {
  expect((await from("http://whoami.whoami.maesh/")).status).toBe(200);
});

test("a call goes through the proxy of its own node", async () => {
  const [proxies, node] = [
    await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=proxy"),
    await kubectl("-n", "whoami", "get", "pod", "whoami-client", "-o", "jsonpath={.spec.nodeName}"),
  ];
  const local = proxies.find(({ spec }) => spec.nodeName === node)?.metadata.name;
  for (let call = 0; call < 10; call++)
    expect((await from("http://whoami.whoami.traefik.mesh/")).body).toContain(`X-Forwarded-Server: ${local}`);
});

test("the TCP sample answers through its mesh name and its cluster name", async () => {
  for (const domain of ["traefik.mesh", "svc.cluster.local"])
    expect(await netcat("whoami", "whoami-client", "-q 1 -w 3", `whoami-tcp.whoami.${domain}`, 8080)).toContain(
      "Hostname: whoami-tcp",
    );
});

test("the UDP sample answers through its mesh name and its cluster name", async () => {
  for (const domain of ["traefik.mesh", "svc.cluster.local"])
    await eventually(`UDP by ${domain}`, 15, async () => {
      const answer = await netcat("whoami", "whoami-client", "-u -w 1", `whoami-udp.whoami.${domain}`, 8080);
      if (!answer.includes("Hostname: whoami-udp")) fail(`answer ${JSON.stringify(answer)}`);
    });
});

test("a split of 80 to 20 is exact over 500 calls", async () => {
  const script = "i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo url=http://whoami-split.whoami.traefik.mesh/api; done";
  const text = await exec("whoami", "whoami-client", "sh", "-c", `(${script}) | curl -s -K -`);
  const names = text.match(/"hostname":"[^"]*"/g) ?? [];
  expect(names).toHaveLength(500);
  const v2 = names.filter((name) => name.includes("whoami-v2")).length;
  report("split 80/20 over 500 calls", `${500 - v2} / ${v2}`);
  // Each proxy's own share is exact; where calls spread over two, each may be one off.
  expect(Math.abs(v2 - 100)).toBeLessThanOrEqual(2);
}, 120_000);

test("headless Services, those without selector and those of several ports have mesh names that answer", async () => {
  const [pod] = await podsOf("whoami", "app=whoami");
  await apply(kindsOfServices(pod?.status.podIP ?? ""));
  for (const host of ["headless", "selectorless"])
    await eventually(host, 20, async () => {
      const { status } = await from(`http://${host}.whoami.traefik.mesh/`);
      if (status !== 200) fail(`status ${status}`);
    });
  for (const port of [8080, 9090])
    expect((await from(`http://selectorless.whoami.traefik.mesh:${port}/`)).status).toBe(200);
});

test("tulle check finds nothing wrong", async () => {
  await eventually("tulle check", 20, async () => {
    const { code, text } = await tulle("check");
    if (code !== 0) fail(text);
    expect(text).toContain("in force on 2 of 2");
  });
});

test("what is wrong with an object is an Event on it", async () => {
  const manifest = { metadata: { annotations: { "mesh.traefik.io/traffic-type": "ftp" } } };
  await kubectl("-n", "whoami", "patch", "service", "headless", "--type=merge", "-p", JSON.stringify(manifest));
  await eventually("the Event", 30, async () => {
    const text = await kubectl("-n", "whoami", "describe", "service", "headless");
    if (!text.includes("TrafficTypeInvalid")) fail(text);
  });
  await kubectl("-n", "whoami", "delete", "service", "headless", "selectorless");
});

test("an unknown mesh name does not exist", async () => {
  expect(await exec("whoami", "whoami-client", "dig", "+noall", "+comments", "nobody.whoami.traefik.mesh")).toContain(
    "status: NXDOMAIN",
  );
});

test("the mesh name of every service port answers, also with names of 63 characters", async () => {
  const long = "n".repeat(63);
  const service = `s${"e".repeat(61)}s`;
  await apply(longNames(long, service));
  await podsReady(long);
  for (const port of [80, 8080])
    await eventually(`${service}.${long}:${port}`, 30, async () => {
      const { status } = await from(`http://${service}.${long}.traefik.mesh:${port}/`);
      if (status !== 200) fail(`status ${status}`);
    });
  await kubectl("delete", "namespace", long, "--wait=false");
}, 120_000);

function kindsOfServices(address: string): string {
  const meta = (name: string) => ({ name, namespace: "whoami" });
  const ports = [
    { name: "a", port: 80, targetPort: 80 },
    { name: "b", port: 8080, targetPort: 80 },
    { name: "c", port: 9090, targetPort: 80 },
  ];
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { ...meta("selectorless"), labels: { "kubernetes.io/service-name": "selectorless" } },
    addressType: "IPv4",
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: ports.map(({ name }) => ({ name, port: 80 })),
  };
  const service = (name: string, spec: object) => ({ apiVersion: "v1", kind: "Service", metadata: meta(name), spec });
  return JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    items: [
      service("headless", { clusterIP: "None", selector: { app: "whoami" }, ports: [{ port: 80 }] }),
      service("selectorless", { ports }),
      slice,
    ],
  });
}

function longNames(namespace: string, service: string): string {
  const labels = { app: "long" };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    items: [
      { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "long", namespace, labels },
        spec: { containers: [{ name: "whoami", image: "traefik/whoami:v1.6.0", imagePullPolicy: "IfNotPresent" }] },
      },
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: service, namespace },
        spec: {
          selector: labels,
          ports: [
            { name: "a", port: 80, targetPort: 80 },
            { name: "b", port: 8080, targetPort: 80 },
          ],
        },
      },
    ],
  });
}

async function clientAddress(): Promise<string> {
  return kubectl("-n", "whoami", "get", "pod", "whoami-client", "-o", "jsonpath={.status.podIP}");
}
