import { expect, test } from "vitest";
import { trim } from "../kube/trim.ts";
import { ClusterState } from "../model/cluster-state.ts";
import type { Pod, Service } from "../model/objects.ts";
import { concernsOriginal, originalMeshes, originalMeshesIn, servedFrom } from "./original-meshes.ts";
import { SHADOW_LABELS, SHADOW_OF } from "./own-objects.ts";
import { lacksForTakeOver, type ProxyReadiness, type TakeOverView } from "./take-over-readiness.ts";

const THEIRS = { app: "maesh", type: "shadow" };

function service(namespace: string, name: string, more: Partial<Service["meta"]> = {}): Service {
  return {
    kind: "Service",
    meta: { namespace, name, labels: {}, annotations: {}, createdAt: 0, ...more },
    type: "ClusterIP",
    clusterIPs: ["10.96.1.1"],
    headless: false,
    publishNotReadyAddresses: false,
    ports: [],
  };
}

const shadow = (mesh: string, key: string) =>
  service(mesh, `shadow-${key.replace("/", "-")}`, { labels: SHADOW_LABELS, annotations: { [SHADOW_OF]: key } });
const PROXY: ProxyReadiness = { Name: "p1", node: "n1", Ready: true, connected: true, programmed: true };
const STATE = [service("shop", "web"), service("shop", "cart"), shadow("new", "shop/web"), shadow("new", "shop/cart")];
const VIEW: TakeOverView = {
  state: ClusterState.of(STATE),
  namespace: "new",
  served: ["shop/web", "shop/cart"],
  proxies: [PROXY],
  originals: [],
};

test("a mesh that is whole and in force everywhere lacks nothing", () => {
  expect(lacksForTakeOver(VIEW, "old", "ready")).toEqual([]);
});

test.each<[string, Partial<TakeOverView>, string]>([
  ["a shadow service", { state: ClusterState.of(STATE.slice(0, 3)) }, "no shadow service yet for shop/cart"],
  ["a ready proxy", { proxies: [{ ...PROXY, Ready: false }] }, "no proxy is ready"],
  ["a proxy that hears it", { proxies: [{ ...PROXY, connected: false }] }, "p1 on n1 hears no controller"],
  ["what it serves in force", { proxies: [{ ...PROXY, programmed: false }] }, "not the newest configuration"],
  ["open ports", { proxies: [{ ...PROXY, closedEntrypoints: [":10001"] }] }, "could not open :10001"],
  [
    "a namespace of its own",
    { originals: [{ namespace: "new", controls: true, serves: true, dnsAddresses: [] }] },
    "install Tulle in a namespace of its own",
  ],
])("%s is needed, forced or not", (_, more, sentence) => {
  for (const asked of ["ready", "force"] as const)
    expect(lacksForTakeOver({ ...VIEW, ...more }, "old", asked)).toContainEqual(expect.stringContaining(sentence));
});

test("a node without its proxy, and a name that would be lost, can be taken into account", () => {
  const names = ["old-lost-6d61657368-shop", "old-gone-6d61657368-shop", "old-a-6d61657368-b-6d61657368-shop"];
  const state = ClusterState.of([
    ...STATE,
    service("shop", "lost"),
    ...names.map((name) => service("old", name, { labels: THEIRS })),
  ]);
  const proxies = [PROXY, { ...PROXY, Name: "p2", node: "n2", Ready: false }];
  expect(lacksForTakeOver({ ...VIEW, state, proxies }, "old", "ready")).toEqual([
    "proxy p2 on n2 is not ready",
    expect.stringContaining("shop/lost would lose the mesh name"),
  ]);
  expect(lacksForTakeOver({ ...VIEW, state, proxies }, "old", "force")).toEqual([]);
  // What it left behind of Services that are gone counts for nothing.
  expect(servedFrom(state, "old")).toEqual(["shop/lost"]);
  expect(servedFrom(state, "new")).toEqual(["shop/cart", "shop/web"]);
});

test("Traefik Mesh is known by its labels, and its controller by Pod and Service", () => {
  const labels = { app: "maesh" };
  const controller = { namespace: "old", name: "traefik-mesh-controller-5f-x", labels };
  const proxy = { namespace: "old", name: "traefik-mesh-proxy-x", labels: { ...labels, component: "maesh-mesh" } };
  const api = { namespace: "old", name: "traefik-mesh-controller", labels };
  const shadow = { namespace: "old", name: "old-a-6d61657368-b", labels: THEIRS };
  const ours = { namespace: "new", name: "new-a-6d61657368-b", labels: SHADOW_LABELS };
  const found = (pods: object[], services: object[]) =>
    originalMeshes(pods as never, services as never).map(({ controls, serves }) => ({ controls, serves }));
  expect(found([controller, proxy], [api, shadow, ours])).toEqual([{ controls: true, serves: true }]);
  expect(found([proxy], [api, shadow])).toEqual([{ controls: false, serves: true }]);
  // Uninstalling begins with the Service.
  expect(found([controller, proxy], [shadow])).toEqual([{ controls: false, serves: true }]);
  expect(found([], [shadow])).toEqual([{ controls: false, serves: false }]);
  expect(found([], [ours])).toEqual([]);
  expect(concernsOriginal({ kind: "Service", name: "traefik-mesh-controller" })).toBe(true);
  expect(concernsOriginal({ kind: "Pod", name: "web-0" })).toBe(false);
});

test("Traefik Mesh is known by what a controller keeps of its Pods", () => {
  const pod: Pod = {
    kind: "Pod",
    meta: {
      namespace: "old",
      name: "traefik-mesh-proxy-x",
      labels: { app: "maesh", component: "maesh-mesh" },
      annotations: {},
      createdAt: 0,
    },
    ips: ["10.0.0.1"],
    phase: "Running",
    ready: true,
    hostNetwork: false,
    serviceAccount: "default",
    containers: [],
  };
  const kept = trim(pod);
  const state = ClusterState.of([
    ...(kept === undefined ? [] : [kept]),
    service("old", "old-a-6d61657368-b", { labels: THEIRS }),
  ]);
  expect(originalMeshesIn(state)).toEqual([{ namespace: "old", controls: false, serves: true, dnsAddresses: [] }]);
});
