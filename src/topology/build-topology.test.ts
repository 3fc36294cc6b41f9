import { describe, expect, test } from "vitest";
import { ClusterState } from "../model/cluster-state.ts";
import type { EndpointSlice, MeshObject, Meta, Pod, Service } from "../model/objects.ts";
import { buildTopology } from "./build-topology.ts";

const meta = (name: string, namespace = "n", labels: Record<string, string> = {}): Meta => ({
  namespace,
  name,
  labels,
  annotations: {},
  createdAt: 0,
});

const pod = (name: string, ip: string, more: Partial<Pod> = {}): Pod => ({
  kind: "Pod",
  meta: meta(name),
  ips: ip === "" ? [] : [ip],
  phase: "Running",
  ready: true,
  hostNetwork: false,
  serviceAccount: "account",
  containers: [],
  ...more,
});

const service = (name: string, namespace = "n", more: Partial<Service> = {}): Service => ({
  kind: "Service",
  meta: meta(name, namespace),
  type: "ClusterIP",
  clusterIPs: [],
  headless: false,
  publishNotReadyAddresses: false,
  ports: [{ name: "", port: 80, protocol: "TCP", targetPort: 80 }],
  ...more,
});

const slice = (
  of: string,
  endpoints: EndpointSlice["endpoints"],
  more: Partial<EndpointSlice> = {},
): EndpointSlice => ({
  kind: "EndpointSlice",
  meta: meta(`${of}-1`),
  service: of,
  addressType: "IPv4",
  endpoints,
  ports: [{ name: "", port: 8080, protocol: "TCP" }],
  ...more,
});

const endpoint = (address: string, podName?: string, ready = true) => ({
  addresses: [address],
  ready,
  serving: ready,
  terminating: false,
  ...(podName === undefined ? {} : { pod: { namespace: "n", name: podName } }),
});

const build = (objects: readonly MeshObject[], options = {}) => buildTopology(ClusterState.of(objects), options);
const endpointsOf = (objects: readonly MeshObject[]) => build(objects).services.get("n/s")?.ports[0]?.endpoints;

describe("who calls from an address", () => {
  test("is the Pod that runs there", () => {
    expect(build([pod("p", "10.0.0.1", { nodeName: "node" })]).workloads.get("10.0.0.1")).toEqual({
      namespace: "n",
      pod: "p",
      serviceAccount: "account",
      node: "node",
    });
  });

  test.each<[string, Pod]>([
    ["completed", pod("p", "10.0.0.1", { phase: "Succeeded" })],
    ["failed", pod("p", "10.0.0.1", { phase: "Failed" })],
    ["shares its node's network", pod("p", "10.0.0.1", { hostNetwork: true })],
  ])("is nobody where the Pod %s", (_why, gone) => {
    expect(build([gone]).workloads.size).toBe(0);
  });

  test("is nobody where two Pods claim it, and both have the problem", () => {
    const { workloads, problems } = build([pod("a", "10.0.0.1"), pod("b", "10.0.0.1"), pod("c", "10.0.0.2")]);
    expect([...workloads.keys()]).toEqual(["10.0.0.2"]);
    expect(problems.map(({ code, object }) => `${code} ${object.name}`)).toEqual([
      "PodAddressShared a",
      "PodAddressShared b",
    ]);
  });

  test("is the one that still runs where another has completed", () => {
    const { workloads, problems } = build([pod("old", "10.0.0.1", { phase: "Succeeded" }), pod("new", "10.0.0.1")]);
    expect([workloads.get("10.0.0.1")?.pod, problems]).toEqual(["new", []]);
  });
});

describe("an endpoint", () => {
  test("is whose Pod the slice names, with the Pod's port", () => {
    expect(endpointsOf([service("s"), pod("p", "10.0.0.1"), slice("s", [endpoint("10.0.0.1", "p")])])).toEqual([
      { address: "10.0.0.1", port: 8080, pod: "n/p", identity: "n/account" },
    ]);
  });

  test("is found by its address where the slice names no Pod", () => {
    const found = endpointsOf([service("s"), pod("p", "10.0.0.1"), slice("s", [endpoint("10.0.0.1")])]);
    expect(found).toMatchObject([{ pod: "n/p", identity: "n/account" }]);
  });

  test("has no identity where slice and address name different Pods", () => {
    const objects = [service("s"), pod("p", "10.0.0.1"), pod("q", "10.0.0.2"), slice("s", [endpoint("10.0.0.1", "q")])];
    expect(endpointsOf(objects)).toEqual([{ address: "10.0.0.1", port: 8080, pod: "n/q" }]);
  });

  test("is left out while it is not ready, unless the Service publishes such", () => {
    const objects = [slice("s", [endpoint("10.0.0.1", undefined, false)])];
    expect(endpointsOf([service("s"), ...objects])).toEqual([]);
    expect(endpointsOf([service("s", "n", { publishNotReadyAddresses: true }), ...objects])).toHaveLength(1);
  });

  test("that two slices name is one, and another port's is not this one's", () => {
    const twice = slice("s", [endpoint("10.0.0.1")], { meta: meta("s-2") });
    const other = slice("s", [endpoint("10.0.0.2")], {
      meta: meta("s-3"),
      ports: [{ name: "x", port: 1, protocol: "TCP" }],
    });
    expect(endpointsOf([service("s"), slice("s", [endpoint("10.0.0.1")]), twice, other])).toHaveLength(1);
  });
});

describe("what the mesh leaves alone", () => {
  const names = (objects: readonly MeshObject[], options = {}) => [...build(objects, options).services.keys()];

  test("are kube-system, default/kubernetes, and what the mesh itself made", () => {
    const shadow = service("shadow", "n", { meta: meta("shadow", "n", { app: "maesh" }) });
    const own = service("kubernetes", "own");
    expect(names([service("dns", "kube-system"), service("kubernetes", "default"), shadow, own])).toEqual([
      "own/kubernetes",
    ]);
  });

  test("are namespaces that are ignored, or not watched", () => {
    const objects = [service("s", "a"), service("s", "b"), service("s", "c")];
    expect(names(objects, { ignoreNamespaces: ["a"] })).toEqual(["b/s", "c/s"]);
    expect(names(objects, { watchNamespaces: ["a", "b"], ignoreNamespaces: ["b"] })).toEqual(["a/s"]);
  });

  test("are Pods of ignored namespaces, as callers too", () => {
    const system = pod("p", "10.0.0.1", { meta: meta("p", "kube-system") });
    expect(build([system]).workloads.size).toBe(0);
  });
});
