import { beforeEach, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../model/clock.ts";
import type { ClusterDelta } from "../model/cluster-state.ts";
import { silentLog } from "../telemetry/log.ts";
import { ApiClient } from "./api-client.ts";
import { KubeSource } from "./kube-source.ts";
import { HurriedClock } from "./testkit/hurried-clock.ts";
import { answer, type Exchange, ScriptedApiServer, silence } from "./testkit/scripted-api-server.ts";

const SERVICES = "/api/v1/services";
const PODS = "/api/v1/pods";
const NODES = "/api/v1/nodes";
const SLICES = "/apis/discovery.k8s.io/v1/endpointslices";
const SPLIT_GROUP = "split.smi-spec.io";
const splitsIn = (version: string) => `/apis/${SPLIT_GROUP}/${version}/trafficsplits`;
const SPLITS = splitsIn("v1alpha4");
const RESOURCES = { trafficsplits: "TrafficSplit" };
const isWatch = ({ watch }: Exchange) => watch;
const watchOf = (path: string) => (exchange: Exchange) => exchange.watch && exchange.path === path;

let server: ScriptedApiServer;

beforeEach(async () => {
  server = await ScriptedApiServer.start();
  onTestFinished(() => server.close());
});

interface Started {
  readonly source: KubeSource;
  readonly deltas: ClusterDelta[];
  /** Resolves once that is so, looked at after each change. */
  until(fits: () => boolean): Promise<void>;
}

function start(): Started {
  const api = new ApiClient({ access: server.access(), clock: systemClock, log: silentLog, userAgent: "test" });
  const controller = new AbortController();
  const deltas: ClusterDelta[] = [];
  const waiting = new Set<{ fits: () => boolean; resolve: () => void }>();
  const source = new KubeSource({
    api,
    clock: new HurriedClock(),
    random: () => 0.5,
    log: silentLog,
    signal: controller.signal,
    onChange: (delta) => {
      deltas.push(delta);
      for (const each of waiting) if (each.fits() && waiting.delete(each)) each.resolve();
    },
  });
  void source.run();
  onTestFinished(() => {
    controller.abort();
    api.close();
  });
  return {
    source,
    deltas,
    until: (fits) =>
      new Promise((resolve) => {
        if (fits()) resolve();
        else waiting.add({ fits, resolve });
      }),
  };
}

const service = (name: string, extra: object = {}) => ({
  metadata: { name, namespace: "x", ...extra },
  spec: { clusterIP: "10.0.0.1", ports: [{ port: 80 }] },
});

const split = (name: string, service = "a") => ({
  metadata: { name, namespace: "x" },
  spec: { service, backends: [{ service: "b", weight: 1 }] },
});

const named = (delta: ClusterDelta | undefined) => ({
  put: delta?.put.map(({ kind, meta }) => `${kind} ${meta.name}`).sort(),
  remove: delta?.remove.map(({ kind, name }) => `${kind} ${name}`).sort(),
});

test("nothing is told before all resources have been listed; then all at once", async () => {
  server.put(SERVICES, service("a"));
  server.put(NODES, { metadata: { name: "node1" } });
  server.script(silence, ({ path }) => path === SLICES);
  const held = server.next(({ path }) => path === SLICES);
  const { source, deltas, until } = start();
  const exchange = await held;
  await expect.poll(() => server.exchanges.filter(isWatch).length).toBe(3);
  expect([source.synced, deltas]).toEqual([false, []]);
  exchange.serve();
  await until(() => deltas.length === 1);
  expect(source.synced).toBe(true);
  expect(named(deltas[0])).toEqual({ put: ["Node node1", "Service a"], remove: [] });
});

test("an empty cluster is told, too", async () => {
  const { deltas, until } = start();
  await until(() => deltas.length === 1);
  expect(deltas).toEqual([{ put: [], remove: [] }]);
});

test("events that come together are one change", async () => {
  const { deltas, until } = start();
  await until(() => deltas.length === 1);
  await expect.poll(() => server.exchanges.filter(watchOf(SERVICES)).length).toBe(1);
  for (const name of ["a", "b", "c"]) server.put(SERVICES, service(name));
  await until(() => deltas.flatMap(({ put }) => put).length === 3);
  expect(deltas.length).toBeLessThanOrEqual(3);
});

test("what says the same as before of all that the mesh reads is no change", async () => {
  server.put(NODES, { metadata: { name: "node1", labels: { "topology.kubernetes.io/zone": "z1" } } });
  server.put(SERVICES, service("a"));
  const { deltas, until } = start();
  await until(() => deltas.length === 1);
  await expect.poll(() => server.exchanges.filter(isWatch).length).toBe(4);
  server.put(NODES, { metadata: { name: "node1", labels: { "topology.kubernetes.io/zone": "z1", beat: "1" } } });
  server.put(SERVICES, service("a", { annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}" } }));
  server.put(SERVICES, service("b"));
  await until(() => deltas.some(({ put }) => put.some(({ meta }) => meta.name === "b")));
  expect(deltas.slice(1).flatMap(({ put }) => put.map(({ meta }) => meta.name))).toEqual(["b"]);
});

test("a definition that is installed later is picked up, and its absence is no trouble", async () => {
  const { source, deltas, until } = start();
  await until(() => deltas.length === 1);
  expect(source.troubles).toEqual([]);
  server.groups.set(SPLIT_GROUP, new Map([["v1alpha4", RESOURCES]]));
  server.put(SPLITS, split("s"));
  await until(() => deltas.some(({ put }) => put.some(({ kind }) => kind === "TrafficSplit")));
});

test("a definition that is taken away takes its objects with it, and may come back", async () => {
  server.groups.set(SPLIT_GROUP, new Map([["v1alpha4", RESOURCES]]));
  server.put(SPLITS, split("s"));
  const { source, deltas, until } = start();
  await until(() => deltas.length === 1);
  expect(named(deltas[0]).put).toEqual(["TrafficSplit s"]);
  server.groups.clear();
  await expect.poll(() => server.exchanges.filter(watchOf(SPLITS)).length).toBe(1);
  const missing = answer(404, { reason: "NotFound", message: "not found" });
  for (let turn = 0; turn < 2; turn++) server.script(missing, watchOf(SPLITS));
  server.resetWatches(SPLITS);
  await until(() => named(deltas.at(-1)).remove?.includes("TrafficSplit s") === true);
  server.groups.set(SPLIT_GROUP, new Map([["v1alpha4", RESOURCES]]));
  await until(() => named(deltas.at(-1)).put?.includes("TrafficSplit s") === true);
  expect(source.troubles).toEqual([]);
});

test("a change of the version that is served leaves no moment without the objects", async () => {
  server.groups.set(SPLIT_GROUP, new Map([["v1alpha2", RESOURCES]]));
  server.put(splitsIn("v1alpha2"), split("stays"));
  server.put(splitsIn("v1alpha2"), split("goes"));
  const { deltas, until } = start();
  await until(() => deltas.length === 1);
  server.put(SPLITS, split("stays"));
  server.put(SPLITS, split("comes"));
  server.groups.set(
    SPLIT_GROUP,
    new Map([
      ["v1alpha4", RESOURCES],
      ["v1alpha2", RESOURCES],
    ]),
  );
  await until(() => deltas.some(({ remove }) => remove.length > 0));
  const later = deltas.slice(1);
  expect(later.flatMap((delta) => named(delta).remove)).toEqual(["TrafficSplit goes"]);
  expect(later.flatMap((delta) => named(delta).put)).toContain("TrafficSplit comes");
});

test("a group of which no version can be read is a problem that names the versions", async () => {
  server.groups.set(SPLIT_GROUP, new Map([["v1beta9", RESOURCES]]));
  const { source, deltas, until } = start();
  await until(() => deltas.length === 1);
  expect(source.problems).toMatchObject([{ code: "UnknownVersion", object: { name: SPLIT_GROUP } }]);
  expect(source.problems[0]?.message).toContain("v1beta9");
});

test("an object that cannot be read is a problem, and the others are served", async () => {
  server.groups.set(SPLIT_GROUP, new Map([["v1alpha4", RESOURCES]]));
  server.put(SPLITS, { metadata: { name: "broken", namespace: "x" }, spec: { service: "a", backends: 7 } });
  server.put(SPLITS, split("whole"));
  const { source, deltas, until } = start();
  await until(() => deltas.length === 1);
  expect(named(deltas[0]).put).toContain("TrafficSplit whole");
  expect(source.problems).toMatchObject([{ object: { kind: "TrafficSplit", namespace: "x", name: "broken" } }]);
  server.put(SPLITS, split("broken"));
  await until(() => deltas.length === 2);
  expect(source.problems).toEqual([]);
});

test("what is wrong with an object is told though nothing else changes, and so is that it is no longer", async () => {
  server.groups.set(SPLIT_GROUP, new Map([["v1alpha4", RESOURCES]]));
  const { source, deltas, until } = start();
  await until(() => deltas.length === 1);
  const broken = { metadata: { name: "broken", namespace: "x" }, spec: { service: "a", backends: 7 } };
  server.put(SPLITS, broken);
  await until(() => deltas.length === 2);
  expect(deltas[1]).toEqual({ put: [], remove: [] });
  expect(source.problems).toMatchObject([{ code: "ManifestInvalid", object: { name: "broken" } }]);
  server.put(SPLITS, { ...broken, metadata: { ...broken.metadata, labels: { seen: "yes" } } });
  server.remove(SPLITS, "x/broken");
  await until(() => deltas.length === 3);
  expect([deltas[2], source.problems]).toEqual([{ put: [], remove: [] }, []]);
});

test("a kind has the version in which the cluster serves it", async () => {
  server.groups.set(SPLIT_GROUP, new Map([["v1alpha3", RESOURCES]]));
  const { source, deltas, until } = start();
  await until(() => deltas.length === 1);
  expect(source.servedVersion("TrafficSplit")).toBe("split.smi-spec.io/v1alpha3");
  expect(source.servedVersion("TrafficTarget")).toBeUndefined();
});

test("what stands in the way is told in a sentence, and no more once it is over", async () => {
  for (let turn = 0; turn < 20; turn++) {
    server.script(answer(403, { reason: "Forbidden", message: "cannot list pods" }), ({ path }) => path === PODS);
    server.script(answer(503, { message: "starting" }), ({ path }) => path === "/apis");
  }
  const { source, deltas, until } = start();
  await expect.poll(() => source.troubles.length).toBe(2);
  expect(source.troubles).toEqual(["discovery of SMI: GET /apis: 503 starting", `GET ${PODS}: 403 cannot list pods`]);
  server.heal();
  await until(() => deltas.length === 1);
  await expect.poll(() => source.troubles).toEqual([]);
});

test("a server that is gone leaves all that was known", async () => {
  server.put(SERVICES, service("a"));
  const { source, deltas, until } = start();
  await until(() => deltas.length === 1);
  const { port } = server;
  await server.close();
  await expect.poll(() => source.troubles.length).toBeGreaterThanOrEqual(4);
  expect(source.state.get("Service", "x/a")).toBeDefined();
  expect(deltas).toHaveLength(1);
  server = await ScriptedApiServer.start(port, 200);
  server.put(SERVICES, service("a"));
  server.put(SERVICES, service("b"));
  await until(() => deltas.length > 1);
});

test("what is known is stale once nothing has been watched for 30 s, until something is again", async () => {
  const { source, deltas, until } = start();
  await until(() => deltas.length === 1);
  await expect.poll(() => server.exchanges.filter(isWatch).length).toBe(4);
  const { port } = server;
  const closedAt = performance.now();
  expect(source.stale).toBe(false);
  await server.close();
  await expect.poll(() => source.stale, { timeout: 5_000 }).toBe(true);
  // The clock runs a hundred times as fast.
  expect(performance.now() - closedAt).toBeGreaterThanOrEqual(290);
  server = await ScriptedApiServer.start(port, 200);
  await expect.poll(() => source.stale, { timeout: 5_000 }).toBe(false);
});
