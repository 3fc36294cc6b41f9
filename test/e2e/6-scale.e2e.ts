/** Many objects without Pods behind them: what they cost, and that nothing is left of them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { admin, apply, create, eventually, fail, kubectl, MESH_NAMESPACE, metric, podsOf, report } from "./cluster.ts";
import { install } from "./install.ts";

const NAMESPACE = "scale";
const SERVICES = 2000;
const ENDPOINTS_EACH = 3;
const CHANGES = 50;

interface ControllerStatus {
  readonly leader: string;
  readonly services: number;
  readonly allottedPorts: number;
  readonly pendingShadows: number;
}

async function leader(): Promise<ControllerStatus> {
  const { leader: name } = await admin<ControllerStatus>("/api/status/controller");
  return admin<ControllerStatus>("/api/status/controller", name);
}

async function settled(services: number): Promise<void> {
  await eventually(`${services} services served`, 240, async () => {
    const status = await leader();
    if (status.services !== services || status.pendingShadows > 0) fail(JSON.stringify(status));
  });
  await programmed();
}

async function programmed(): Promise<void> {
  await eventually("in force on every proxy", 120, async () => {
    const nodes = await admin<{ programmed: boolean; Ready: boolean }[]>("/api/status/nodes");
    if (!nodes.every((node) => node.programmed && node.Ready)) fail(JSON.stringify(nodes));
  });
}

/** Objects in several requests at a time: kubectl holds itself back to 50 a second. */
async function createAll(objects: readonly object[]): Promise<void> {
  const share = Math.ceil(objects.length / 12);
  const parts = Array.from({ length: 12 }, (_, index) => objects.slice(index * share, (index + 1) * share));
  await Promise.all(
    parts
      .filter((items) => items.length > 0)
      .map((items) => create(JSON.stringify({ apiVersion: "v1", kind: "List", items }))),
  );
}

const service = (name: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: NAMESPACE, labels: { batch: name.replace(/\d+$/, "") } },
  spec: { ports: [{ port: 80 }] },
});

function slice(name: string, index: number) {
  const endpoints = Array.from({ length: ENDPOINTS_EACH }, (_, each) => ({
    addresses: [`192.168.${(index * ENDPOINTS_EACH + each) >> 8}.${(index * ENDPOINTS_EACH + each) & 255}`],
    conditions: { ready: true },
  }));
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace: NAMESPACE, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    endpoints,
    ports: [{ port: 8080, protocol: "TCP" }],
  };
}

let before: ControllerStatus;

beforeAll(async () => {
  await install();
  await apply(JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } }));
  await programmed();
  before = await leader();
}, 240_000);

// While thousands of Services go, kube-proxy lags behind by many seconds, for whoever comes next too.
afterAll(async () => {
  await kubectl("delete", "namespace", NAMESPACE, "--wait=false");
  await eventually("the namespace is gone", 560, async () => {
    const left = await kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name");
    if (left !== "") fail(`${left.trim()} is still there`);
  });
}, 600_000);

test("1,000 services created and deleted twice leave no port taken", async () => {
  for (let round = 0; round < 2; round++) {
    await createAll(Array.from({ length: 1000 }, (_, index) => service(`passing${index}`)));
    await settled(before.services + 1000);
    await kubectl("-n", NAMESPACE, "delete", "services", "-l", "batch=passing", "--wait=false");
    await settled(before.services);
  }
  expect((await leader()).allottedPorts).toBe(before.allottedPorts);
}, 600_000);

test("2,000 services with 6,000 endpoints: what they cost", async () => {
  const began = Date.now();
  const names = Array.from({ length: SERVICES }, (_, index) => `lasting${index}`);
  await createAll(names.map(service));
  await createAll(names.map(slice));
  const made = Date.now();
  await settled(before.services + SERVICES);
  report("2,000 services: created in, in force after that", `${seconds(made - began)}, ${seconds(Date.now() - made)}`);

  const status = await leader();
  const [proxy] = await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=proxy");
  const proxyName = proxy?.metadata.name ?? fail("no proxy");
  const megabytes = async (pod: string, port: number) =>
    Math.round((await metric(pod, port, "process_resident_memory_bytes")) / 1024 / 1024);
  report("memory of the leading controller", `${await megabytes(status.leader, 9000)} MiB`);
  // A node of one core has no worker beside the proxy itself.
  const ofWorker = (name: string) => metric(proxyName, 8080, `${name}{worker="0"}`).catch(() => 0);
  const worker = (await ofWorker("tulle_worker_resident_memory_bytes")) / 1024 / 1024;
  report(
    "memory of a proxy, and of each of its workers",
    `${await megabytes(proxyName, 8080)}, ${worker.toFixed(0)} MiB`,
  );

  const cpu = async () => [
    await metric(status.leader, 9000, "process_cpu_seconds_total"),
    (await metric(proxyName, 8080, "process_cpu_seconds_total")) + (await ofWorker("tulle_worker_cpu_seconds_total")),
  ];
  const busyFrom = [Date.now(), await cpu()] as const;
  for (let change = 0; change < CHANGES; change++)
    await kubectl(
      "-n",
      NAMESPACE,
      "annotate",
      "service",
      "lasting0",
      `mesh.traefik.io/retry-attempts=${change + 2}`,
      "--overwrite",
    );
  await programmed();
  const idleFrom = [Date.now(), await cpu()] as const;
  // What both take anyway, without any change, is not the cost of one.
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const idleTo = [Date.now(), await cpu()] as const;
  const rate = (from: typeof busyFrom, to: typeof busyFrom, who: 0 | 1) =>
    ((to[1][who] ?? 0) - (from[1][who] ?? 0)) / (to[0] - from[0]);
  const each = (who: 0 | 1) =>
    ((rate(busyFrom, idleFrom, who) - rate(idleFrom, idleTo, who)) * (idleFrom[0] - busyFrom[0]) * 1000) / CHANGES;
  report("CPU of one change", `controller ${each(0).toFixed(0)} ms, proxy with a worker ${each(1).toFixed(0)} ms`);
}, 600_000);

test("a proxy and a controller that start among 2,000 services get ready", async () => {
  for (const component of ["proxy", "controller"]) {
    const selector = `app.kubernetes.io/component=${component}`;
    const earlier = new Set((await podsOf(MESH_NAMESPACE, selector)).map(({ metadata }) => metadata.name));
    await kubectl("-n", MESH_NAMESPACE, "delete", "pod", [...earlier][0] ?? "", "--wait=false");
    const youngest = await eventually(`another ${component} is ready`, 180, async () => {
      const pod = (await podsOf(MESH_NAMESPACE, selector)).find(({ metadata }) => !earlier.has(metadata.name));
      const ready = pod?.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
      return pod && ready ? pod : fail(`${pod?.metadata.name ?? "no other Pod"} is not ready`);
    });
    const started = Date.parse(youngest.status.containerStatuses?.[0]?.state.running?.startedAt ?? "");
    const ready = Date.parse(
      youngest.status.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime ?? "",
    );
    report(`time to first ready of a ${component}`, `${((ready - started) / 1000).toFixed(0)} s (to the second)`);
  }
}, 300_000);

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
