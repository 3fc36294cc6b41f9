import { expect, test } from "vitest";
import { ApiError } from "../kube/api-error.ts";
import { ClusterState } from "../model/cluster-state.ts";
import { decodeObject } from "../model/decode/decode-object.ts";
import type { MeshObject } from "../model/objects.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { shadowName } from "./own-objects.ts";
import { ShadowKeeper } from "./shadow-keeper.ts";
import { type Served, type ServedPort, shadowsIn } from "./shadow-services.ts";
import { FakeApi } from "./testkit/fake-api.ts";

const SERVICES = "/api/v1/namespaces/mesh/services";

interface ShadowObject {
  metadata: { name: string; labels: Record<string, string>; annotations: Record<string, string> };
  spec: {
    trafficDistribution?: string;
    ports: { name?: string; port: number; protocol: string; targetPort: number }[];
  };
}

function fixture(distributions: readonly string[] = ["PreferSameNode", "PreferClose"]) {
  const api = new FakeApi();
  const clock = new ManualClock();
  const make = () =>
    new ShadowKeeper({
      api,
      clock,
      random: () => 0,
      log: silentLog,
      meshNamespace: "mesh",
      trafficDistributions: distributions,
    });
  const shadows = () => api.list(SERVICES) as unknown as ShadowObject[];
  /** What the source would have seen by now. */
  const state = () => {
    const objects = shadows().flatMap(
      (object) => decodeObject({ apiVersion: "v1", kind: "Service", ...object })?.objects ?? [],
    );
    return ClusterState.of(objects as MeshObject[]);
  };
  return { api, clock, make, shadows, state };
}

const port = (number: number, name = "", transport: "TCP" | "UDP" = "TCP"): ServedPort => ({
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

test("somebody's own Service of that name is left alone, and the problem names the Service concerned", async () => {
  const { api, make, state } = fixture();
  api.put(SERVICES, { metadata: { name: "mesh-web-6d61657368-shop", labels: { mine: "yes" } }, spec: { ports: [] } });
  const keeper = make();
  keeper.update(state(), served(["shop/web", port(80)]));
  while (keeper.problems.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await keeper.close();
  expect(keeper.problems[0]).toMatchObject({ code: "ShadowNameTaken", object: { namespace: "shop", name: "web" } });
  expect(api.list(SERVICES)[0]?.metadata["labels"]).toEqual({ mine: "yes" });
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
