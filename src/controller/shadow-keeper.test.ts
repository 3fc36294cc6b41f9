import { expect, test } from "vitest";
import { ApiError } from "../kube/api-error.ts";
import { ClusterState } from "../model/cluster-state.ts";
import { decodeObject } from "../model/decode/decode-object.ts";
import type { MeshObject } from "../model/objects.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { shadowName } from "./own-objects.ts";
import { PortAllocator } from "./port-allocator.ts";
import { ShadowKeeper } from "./shadow-keeper.ts";
import { type Served, type ServedPort, shadowsIn } from "./shadow-services.ts";
import { FakeApi } from "./testkit/fake-api.ts";

const SERVICES = "/api/v1/namespaces/mesh/services";

interface ShadowObject {
  metadata: { name: string; labels: Record<string, string>; annotations: Record<string, string> };
  spec: {
    selector: Record<string, string>;
    ipFamilyPolicy?: string;
    trafficDistribution?: string;
    ports: { name?: string; port: number; protocol: string; targetPort: number }[];
  };
}

function fixture(distributions: readonly string[] = ["PreferSameNode", "PreferClose"]) {
  const api = new FakeApi();
  const clock = new ManualClock();
  /** The problems' codes, each time that they were told anew. */
  const told: string[][] = [];
  const make = () => {
    const keeper: ShadowKeeper = new ShadowKeeper({
      api,
      clock,
      random: () => 0,
      log: silentLog,
      meshNamespace: "mesh",
      ports: new PortAllocator({ clock }),
      trafficDistributions: distributions,
      onProblems: () => told.push(keeper.problems.map(({ code }) => code)),
    });
    return keeper;
  };
  const shadows = () => api.list(SERVICES) as unknown as ShadowObject[];
  /** What the source would have seen by now. */
  const state = () => {
    const objects = shadows().flatMap(
      (object) => decodeObject({ apiVersion: "v1", kind: "Service", ...object })?.objects ?? [],
    );
    return ClusterState.of(objects as MeshObject[]);
  };
  return { api, clock, told, make, shadows, state };
}

const port = (number: number, name = "", transport: "TCP" | "UDP" = "TCP"): ServedPort => ({
  trafficType: transport === "UDP" ? "udp" : "http",
  name,
  port: number,
  transport,
});
const served = (...entries: [string, ...ServedPort[]][]): Map<string, Served> =>
  new Map(entries.map(([key, ...ports]) => [key, { key, ports }]));

/** Lets everything that is under way end. */
async function settle(keeper: ShadowKeeper): Promise<void> {
  while (keeper.pending > 0) await new Promise((resolve) => setImmediate(resolve));
}

test("each service gets a shadow under the original's name, with a port of the proxies for each of its ports", async () => {
  const { make, shadows, state } = fixture();
  const keeper = make();
  keeper.update(state(), served(["shop/web", port(80, "http"), port(443, "https")], ["shop/dns", port(53, "", "UDP")]));
  await settle(keeper);
  const [web, dns] = shadows();
  expect(web?.metadata.name).toBe("mesh-web-6d61657368-shop");
  expect(web?.metadata.annotations["tulle.dev/shadow-of"]).toBe("shop/web");
  expect(web?.metadata.labels).toMatchObject({ app: "maesh", type: "shadow" });
  expect(web?.spec.trafficDistribution).toBe("PreferSameNode");
  expect(web?.spec.ports).toEqual([
    { name: "http", port: 80, protocol: "TCP", targetPort: 10_000 },
    { name: "https", port: 443, protocol: "TCP", targetPort: 10_001 },
  ]);
  expect(dns?.spec.ports).toEqual([{ port: 53, protocol: "UDP", targetPort: 10_000 }]);
});

test("names of 63 characters in a namespace of 63 get a shadow too", () => {
  const long = shadowName("mesh", "n".repeat(63), "s".repeat(63));
  expect(long.length).toBeLessThanOrEqual(63);
  expect(long).not.toBe(shadowName("mesh", "n".repeat(63), `${"s".repeat(62)}t`));
});

test("two Services whose names join to the same have shadows of different names, each its own", async () => {
  const { make, shadows, state } = fixture();
  const keeper = make();
  keeper.update(state(), served(["c/a-6d61657368-b", port(80)], ["b-6d61657368-c/a", port(80)]));
  await settle(keeper);
  expect(shadows().map(({ metadata }) => metadata.annotations["tulle.dev/shadow-of"])).toEqual([
    "c/a-6d61657368-b",
    "b-6d61657368-c/a",
  ]);
  // Also where they meet in the middle.
  expect(shadowName("mesh", "b", "a-6d61657368")).not.toBe(shadowName("mesh", "6d61657368-b", "a"));
});

test("the shadow of another Service is not taken over, whatever its name", async () => {
  const { api, make, shadows, state } = fixture();
  const keeper = make();
  keeper.update(state(), served(["shop/web", port(80)]));
  await settle(keeper);
  (shadows()[0] as ShadowObject).metadata.annotations["tulle.dev/shadow-of"] = "shop/other";
  const before = structuredClone(api.list(SERVICES)[0]);
  const second = make();
  second.update(ClusterState.of([]), served(["shop/web", port(80)]));
  while (second.problems.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await second.close();
  expect(api.list(SERVICES)[0]).toEqual(before);
});

test("what is as it must be is not written again, by whichever replica leads", async () => {
  const { api, make, state } = fixture();
  const wanted = served(["shop/web", port(80)], ["shop/api", port(8080)]);
  const first = make();
  first.update(state(), wanted);
  await settle(first);
  api.requests.length = 0;
  const second = make();
  second.update(state(), wanted);
  await settle(second);
  expect(api.requests).toEqual([]);
  expect(second.allottedPorts).toBe(2);
});

test("no port moves when ports are added, reordered or removed, or another replica leads", async () => {
  const { make, shadows, state } = fixture();
  const first = make();
  first.update(state(), served(["shop/web", port(80, "a"), port(81, "b")]));
  await settle(first);
  const second = make();
  second.update(state(), served(["shop/web", port(82, "c"), port(81, "b")]));
  await settle(second);
  expect(shadows()[0]?.spec.ports).toEqual([
    { name: "c", port: 82, protocol: "TCP", targetPort: 10_002 },
    { name: "b", port: 81, protocol: "TCP", targetPort: 10_001 },
  ]);
  expect(second.allottedPorts).toBe(2);
});

test("a service that is gone takes its shadow along, and gives its ports back", async () => {
  const { make, shadows, state } = fixture();
  const keeper = make();
  keeper.update(state(), served(["shop/web", port(80)]));
  await settle(keeper);
  keeper.update(state(), served());
  await settle(keeper);
  expect(shadows()).toEqual([]);
  expect(keeper.allottedPorts).toBe(0);
});

test("the shadow of a service that went while nobody led is deleted", async () => {
  const { make, shadows, state } = fixture();
  const first = make();
  first.update(state(), served(["shop/web", port(80)], ["shop/old", port(80)]));
  await settle(first);
  const second = make();
  second.update(state(), served(["shop/web", port(80)]));
  await settle(second);
  expect(shadows().map(({ metadata }) => metadata.name)).toEqual(["mesh-web-6d61657368-shop"]);
});

test("a shadow that somebody edited or deleted is made right again", async () => {
  const { api, make, shadows, state } = fixture();
  const keeper = make();
  const wanted = served(["shop/web", port(80)], ["shop/api", port(80)]);
  keeper.update(state(), wanted);
  await settle(keeper);
  const [web, second] = shadows();
  (web as ShadowObject).spec.ports[0] = { port: 80, protocol: "TCP", targetPort: 9999 };
  api.objects.delete(`${SERVICES}/${second?.metadata.name}`);
  keeper.update(state(), wanted);
  await settle(keeper);
  expect(
    shadows()
      .map(({ spec }) => spec.ports[0]?.targetPort)
      .sort(),
  ).toEqual([10_000, 10_001]);
});

test.each<[string, (spec: ShadowObject["spec"]) => void]>([
  ["a selector with a label more", (spec) => Object.assign(spec.selector, { tier: "gold" })],
  ["another selector", (spec) => Object.assign(spec, { selector: { app: "mine" } })],
  ["no selector", (spec) => Object.assign(spec, { selector: undefined })],
  ["another way of distributing", (spec) => Object.assign(spec, { trafficDistribution: "PreferClose" })],
  ["another type", (spec) => Object.assign(spec, { type: "NodePort" })],
  ["a name elsewhere", (spec) => Object.assign(spec, { type: "ExternalName", externalName: "elsewhere.example.com" })],
  ["external addresses", (spec) => Object.assign(spec, { externalIPs: ["192.0.2.1"] })],
  ["traffic of its node only", (spec) => Object.assign(spec, { internalTrafficPolicy: "Local" })],
  ["sticky callers", (spec) => Object.assign(spec, { sessionAffinity: "ClientIP" })],
  ["one IP family", (spec) => Object.assign(spec, { ipFamilyPolicy: "SingleStack" })],
])("a shadow that somebody gave %s is made right again, once", async (_, edit) => {
  const { api, make, shadows, state } = fixture();
  const keeper = make();
  const wanted = served(["shop/web", port(80)]);
  keeper.update(state(), wanted);
  await settle(keeper);
  const { spec } = structuredClone(shadows()[0] as ShadowObject);
  edit((shadows()[0] as ShadowObject).spec);
  keeper.update(state(), wanted);
  await settle(keeper);
  expect(shadows()[0]?.spec).toEqual(spec);
  api.requests.length = 0;
  keeper.update(state(), wanted);
  await settle(keeper);
  expect(api.requests).toEqual([]);
});

test("a change of transport gives the old port back", async () => {
  const { make, shadows, state } = fixture();
  const keeper = make();
  keeper.update(state(), served(["shop/dns", port(53)]));
  await settle(keeper);
  keeper.update(state(), served(["shop/dns", port(53, "", "UDP")]));
  await settle(keeper);
  expect(shadows()[0]?.spec.ports).toEqual([{ port: 53, protocol: "UDP", targetPort: 10_000 }]);
  expect(keeper.allottedPorts).toBe(1);
});

test("a server that does not know PreferSameNode gets the next best, and older ones none", async () => {
  const { api, make, shadows, state } = fixture();
  api.refuse = (method, _path, body) => {
    const { spec } = (body ?? {}) as Partial<ShadowObject>;
    if (method === "POST" && spec?.trafficDistribution === "PreferSameNode")
      throw new ApiError('spec.trafficDistribution: Unsupported value: "PreferSameNode"', 422, "Invalid");
  };
  const keeper = make();
  keeper.update(state(), served(["shop/web", port(80)]));
  await settle(keeper);
  expect(shadows()[0]?.spec.trafficDistribution).toBe("PreferClose");
});

test("a server that refuses PreferSameNode to many at once gets the next best from all of them", async () => {
  const { api, make, shadows, state } = fixture();
  const { request } = api;
  api.request = async (method, path, options) => {
    // The answers come when all have asked.
    await new Promise((resolve) => setImmediate(resolve));
    const { spec } = (options?.body ?? {}) as Partial<ShadowObject>;
    if (spec?.trafficDistribution === "PreferSameNode")
      throw new ApiError('spec.trafficDistribution: Unsupported value: "PreferSameNode"', 422, "Invalid");
    return request.call(api, method, path, options) as never;
  };
  const keeper = make();
  const keys = Array.from({ length: 12 }, (_, index) => `shop/s${index}`);
  keeper.update(state(), served(...keys.map((key): [string, ServedPort] => [key, port(80)])));
  await settle(keeper);
  expect(shadows().map(({ spec }) => spec.trafficDistribution)).toEqual(keys.map(() => "PreferClose"));
});

test("a server that drops trafficDistribution is not asked for it again and again", async () => {
  const { api, make, state } = fixture();
  api.refuse = (_method, _path, body) => {
    const { spec } = (body ?? {}) as Partial<ShadowObject>;
    if (spec !== undefined) delete spec.trafficDistribution;
  };
  const keeper = make();
  const wanted = served(["shop/web", port(80)]);
  keeper.update(state(), wanted);
  await settle(keeper);
  api.requests.length = 0;
  keeper.update(state(), wanted);
  await settle(keeper);
  expect(api.requests).toEqual([]);
});

test("a write that is refused is not tried more often because other objects change", async () => {
  const { api, clock, make, state } = fixture();
  api.refuse = () => {
    throw new ApiError("etcd is away", 503);
  };
  const keeper = make();
  for (let changes = 0; changes < 100; changes++) {
    keeper.update(state(), served(["shop/web", port(80)]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(api.requests).toHaveLength(1);
  keeper.update(state(), served(["shop/web", port(81)]));
  await new Promise((resolve) => setImmediate(resolve));
  expect(api.requests).toHaveLength(2);
  clock.advance(60_000);
  expect(api.requests).toHaveLength(3);
});

test("a refused write is tried again, and the others are none the worse", async () => {
  const { api, clock, make, shadows, state } = fixture();
  let refusals = 2;
  api.refuse = (method, path, body) => {
    const { metadata } = (body ?? {}) as Partial<ShadowObject>;
    if (method === "POST" && path === SERVICES && metadata?.name.includes("web") && refusals-- > 0)
      throw new ApiError("etcd is away", 503);
  };
  const keeper = make();
  keeper.update(state(), served(["shop/web", port(80)], ["shop/api", port(80)]));
  while (shadows().length < 1) await new Promise((resolve) => setImmediate(resolve));
  while (keeper.pending > 0) {
    clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(shadows()).toHaveLength(2);
});

test("somebody's own Service of that name is left alone, and told of until it is gone", async () => {
  const { api, clock, told, make, shadows, state } = fixture();
  const [name, wanted] = ["mesh-web-6d61657368-shop", served(["shop/web", port(80)])];
  api.put(SERVICES, { metadata: { name, labels: { mine: "yes" } }, spec: { ports: [] } });
  const keeper = make();
  keeper.update(state(), wanted);
  while (told.length === 0) await new Promise((resolve) => setImmediate(resolve));
  keeper.update(state(), wanted);
  expect(keeper.problems[0]).toMatchObject({ code: "ShadowNameTaken", object: { namespace: "shop", name: "web" } });
  expect(api.list(SERVICES)[0]?.metadata["labels"]).toEqual({ mine: "yes" });
  api.objects.delete(`${SERVICES}/${name}`);
  clock.advance(200);
  await settle(keeper);
  expect(shadows()[0]?.metadata.annotations["tulle.dev/shadow-of"]).toBe("shop/web");
  expect(told).toEqual([["ShadowNameTaken"], []]);
});

test("of two shadows with one port of the proxies, one gets another", async () => {
  const { api, make, shadows, state } = fixture();
  const first = make();
  const wanted = served(["shop/a", port(80)], ["shop/b", port(80)]);
  first.update(state(), wanted);
  await settle(first);
  for (const shadow of shadows()) (shadow.spec.ports[0] as { targetPort: number }).targetPort = 10_000;
  const second = make();
  second.update(state(), wanted);
  await settle(second);
  expect(shadowsIn(state(), "mesh").get("shop/a")?.ports[0]?.targetPort).toBe(10_000);
  expect(shadowsIn(state(), "mesh").get("shop/b")?.ports[0]?.targetPort).not.toBe(10_000);
  expect(api.list(SERVICES)).toHaveLength(2);
});
