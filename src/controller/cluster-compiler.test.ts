import { expect, test } from "vitest";
import { ClusterState } from "../model/cluster-state.ts";
import { decodeObject } from "../model/decode/decode-object.ts";
import { type MeshObject, type ObjectRef, refOf } from "../model/objects.ts";
import { ClusterCompiler } from "./cluster-compiler.ts";

const OPTIONS = {
  namespace: "tulle",
  watchNamespaces: [],
  ignoreNamespaces: [],
  accessControl: "on" as const,
  defaultTrafficType: "http" as const,
  meshDomains: ["traefik.mesh"],
};

function decoded(kind: string, apiVersion: string, name: string, rest: object): MeshObject {
  const [object] = decodeObject({ kind, apiVersion, metadata: { name, namespace: "shop" }, ...rest })?.objects ?? [];
  return object as MeshObject;
}
const service = (name: string) => decoded("Service", "v1", name, { spec: { ports: [{ port: 80, targetPort: 8080 }] } });
const pod = (name: string, address: string) =>
  decoded("Pod", "v1", name, {
    spec: { serviceAccountName: name, containers: [{ name: "c", image: "c" }] },
    status: { phase: "Running", podIP: address, podIPs: [{ ip: address }] },
  });
const slice = (of: string, address: string, ready = true): MeshObject => ({
  kind: "EndpointSlice",
  meta: { namespace: "shop", name: `${of}-1`, labels: {}, annotations: {}, createdAt: 0 },
  service: of,
  addressType: "IPv4",
  endpoints: [{ addresses: [address], ready, serving: ready, terminating: false }],
  ports: [{ name: "", port: 8080, protocol: "TCP" }],
});
const target = (name: string, from: string, to: string) =>
  decoded("TrafficTarget", "access.smi-spec.io/v1alpha2", name, {
    spec: {
      destination: { kind: "ServiceAccount", name: to, namespace: "shop" },
      sources: [{ kind: "ServiceAccount", name: from, namespace: "shop" }],
    },
  });

function clusterOf(objects: readonly MeshObject[]) {
  const state = new ClusterState();
  const compiler = new ClusterCompiler(OPTIONS);
  const update = (put: readonly MeshObject[], remove: readonly ObjectRef[] = []) => {
    state.apply({ put, remove });
    const compiled = compiler.update(state, [...put.map(refOf), ...remove]);
    return { ...compiled, entries: compiled.changes.map(({ section, key }) => `${section} ${key}`) };
  };
  return { update, first: update(objects) };
}

const WEB = [service("web"), pod("web", "10.0.0.1"), slice("web", "10.0.0.1")];
const API = [service("api"), pod("api", "10.0.0.2"), slice("api", "10.0.0.2")];

test("an endpoint that turns unready changes its service port, and every other entry stays the object that it was", () => {
  const { update, first } = clusterOf([...WEB, ...API, target("t", "web", "api")]);
  const api = first.config.servicePorts["shop/api:80"];
  const { entries, config, problems } = update([slice("web", "10.0.0.1", false)]);
  expect(entries).toEqual(["servicePorts shop/web:80"]);
  expect(config.servicePorts["shop/api:80"]).toBe(api);
  expect(problems.map(({ code }) => code)).toEqual(["TargetWithoutRules", "ServiceWithoutEndpoints"].sort());
});

test("a Pod that comes is known as caller, as endpoint, and to the targets that missed it", () => {
  const { update, first } = clusterOf([service("web"), slice("web", "10.0.0.1"), ...API, target("t", "web", "api")]);
  expect(first.problems.map(({ code }) => code)).toContain("TargetSourceUnmatched");
  const { entries, problems } = update([pod("web", "10.0.0.1")]);
  expect(entries).toEqual(["servicePorts shop/web:80", "workloads 10.0.0.1"]);
  expect(problems.map(({ code }) => code)).toEqual(["TargetWithoutRules"]);
});

test("what says the same as before changes nothing, and problems stay the same list", () => {
  const { update } = clusterOf([...WEB, ...API]);
  const again = update([...WEB, target("t", "web", "api")].map((object) => structuredClone(object)));
  const { entries, problems } = update(WEB.map((object) => structuredClone(object)));
  expect([entries, problems === again.problems]).toEqual([[], true]);
});

test("a Service that goes takes along what was its own", () => {
  const { update } = clusterOf([...WEB, ...API]);
  expect(update([], [refOf(service("web"))]).entries.sort()).toEqual(["names shop/web", "servicePorts shop/web:80"]);
});
