import { describe, expect, test } from "vitest";
import { ClusterState } from "../model/cluster-state.ts";
import type { EndpointSlice, MeshObject, Pod, Service, SliceEndpoint } from "../model/objects.ts";
import { ClusterZone } from "./cluster-zone.ts";

const meta = (namespace: string, name: string) => ({ namespace, name, labels: {}, annotations: {}, createdAt: 0 });

function service(name: string, more: Partial<Service>): Service {
  return {
    kind: "Service",
    meta: meta("ns", name),
    type: "ClusterIP",
    clusterIPs: [],
    headless: false,
    publishNotReadyAddresses: false,
    ports: [],
    ...more,
  };
}

function endpoint(address: string, pod?: string, ready = true): SliceEndpoint {
  const behind = pod === undefined ? {} : { pod: { namespace: "ns", name: pod } };
  return { addresses: [address], ready, serving: ready, terminating: false, ...behind };
}

function slice(of: string, endpoints: readonly SliceEndpoint[], addressType: EndpointSlice["addressType"] = "IPv4") {
  const name = `${of}-${endpoints.map(({ addresses }) => addresses[0]).join("-")}`;
  return { kind: "EndpointSlice", meta: meta("ns", name), service: of, addressType, endpoints, ports: [] } as const;
}

function pod(name: string, ips: readonly string[]): Pod {
  return {
    kind: "Pod",
    meta: meta("ns", name),
    ips,
    phase: "Running",
    ready: true,
    hostNetwork: false,
    serviceAccount: "default",
    containers: [],
  };
}

function zoneOf(...objects: readonly MeshObject[]): ClusterZone {
  const zone = new ClusterZone();
  zone.update(ClusterState.of(objects));
  return zone;
}

const addresses = (...list: string[]) => ({ kind: "addresses", addresses: list });
const EMPTY = { kind: "empty" };
const NONE = { kind: "none" };
const SVC = "ns.svc.cluster.local";

test("a Service has its cluster addresses, and they have its name", () => {
  const zone = zoneOf(service("a", { clusterIPs: ["127.2.0.1", "fd00::1"] }));
  expect(zone.find(`a.${SVC}`)).toEqual(addresses("127.2.0.1", "fd00::1"));
  expect(zone.find("1.0.2.127.in-addr.arpa")).toEqual({ kind: "pointer", target: `a.${SVC}` });
});

test("other addresses of 127.0.0.0/8 are known to have no name", () => {
  const zone = zoneOf(service("a", { clusterIPs: ["127.2.0.1", "10.0.0.1"] }));
  expect(zone.find("4.0.1.127.in-addr.arpa")).toEqual(NONE);
  expect(zone.find("0.2.127.in-addr.arpa")).toEqual(EMPTY);
  expect(zone.find("127.in-addr.arpa")).toEqual(EMPTY);
  expect(zone.find("1.0.0.10.in-addr.arpa")).toEqual(NONE);
});

test("a Service that has no address yet exists", () => {
  expect(zoneOf(service("a", {})).find(`a.${SVC}`)).toEqual(EMPTY);
});

describe("a headless Service", () => {
  const db = service("db", { headless: true });

  test("is all of its ready endpoints, each once, over all slices", () => {
    const zone = zoneOf(
      db,
      slice("db", [endpoint("127.1.0.2"), endpoint("127.1.0.1"), endpoint("127.1.0.9", undefined, false)]),
      slice("db", [endpoint("127.1.0.1"), endpoint("127.1.0.3")]),
      slice("db", [endpoint("db.example.com")], "FQDN"),
      slice("other", [endpoint("127.1.0.8")]),
    );
    expect(zone.find(`db.${SVC}`)).toEqual(addresses("127.1.0.1", "127.1.0.2", "127.1.0.3"));
  });

  test("without a ready endpoint does not exist", () => {
    expect(zoneOf(db).find(`db.${SVC}`)).toEqual(NONE);
    expect(zoneOf(db, slice("db", [endpoint("127.1.0.1", "db-0", false)])).find(`db.${SVC}`)).toEqual(NONE);
  });

  test("may publish endpoints that are not ready", () => {
    const early = { ...db, publishNotReadyAddresses: true };
    const zone = zoneOf(early, slice("db", [endpoint("127.1.0.1", "db-0", false)]));
    expect(zone.find(`db.${SVC}`)).toEqual(addresses("127.1.0.1"));
    expect(zone.find(`db-0.db.${SVC}`)).toEqual(addresses("127.1.0.1"));
  });

  test("has the Pods of a StatefulSet by name, and no others", () => {
    const zone = zoneOf(db, slice("db", [endpoint("127.1.0.1", "db-0"), endpoint("127.1.0.2", "db-7d4b9-x2k4v")]));
    expect(zone.find(`db-0.db.${SVC}`)).toEqual(addresses("127.1.0.1"));
    expect(zone.find(`db-7d4b9-x2k4v.db.${SVC}`)).toEqual(NONE);
    expect(zone.find(`db.${SVC}`)).toEqual(addresses("127.1.0.1", "127.1.0.2"));
  });
});

test("an ExternalName is an alias, where it is a name", () => {
  const external = (externalName: string) =>
    zoneOf(service("e", { type: "ExternalName", externalName })).find(`e.${SVC}`);
  expect(external("example.com.")).toEqual({ kind: "alias", target: "example.com" });
  for (const bad of ["", "a..b", "a b", `${"a".repeat(64)}.com`]) expect(external(bad), bad).toEqual(EMPTY);
});

test("a Pod has the name of its address", () => {
  const zone = zoneOf(pod("p", ["127.1.0.4", "fd00::4"]));
  expect(zone.find("127-1-0-4.ns.pod.cluster.local")).toEqual(addresses("127.1.0.4"));
  expect(zone.find("fd00--4.ns.pod.cluster.local")).toEqual(addresses("fd00::4"));
  expect(zone.find("127-1-0-4.other.pod.cluster.local")).toEqual(NONE);
});

test("what is above a name exists, as does every Namespace", () => {
  const namespace = { kind: "Namespace", meta: meta("", "quiet") } as const;
  const zone = zoneOf(namespace, service("a", { clusterIPs: ["127.2.0.1"] }));
  for (const name of ["cluster.local", "svc.cluster.local", "pod.cluster.local", SVC, "quiet.svc.cluster.local"])
    expect(zone.find(name), name).toEqual(EMPTY);
  expect(zone.find(`a.${SVC}`)).toEqual(addresses("127.2.0.1"));
});

test("what a resolver tries with its search domains does not exist", () => {
  const zone = zoneOf(service("whoami", { clusterIPs: ["127.2.0.1"] }));
  for (const name of [
    `whoami.whoami.traefik.mesh.${SVC}`,
    `whoami.${SVC}.${SVC}`,
    "whoami.ns.cluster.local",
    "whoami.cluster.local",
    "other.svc.cluster.local",
    "local",
  ])
    expect(zone.find(name), name).toEqual(NONE);
});

test("an update is in force at once, and only its own names", () => {
  const zone = zoneOf(service("a", { clusterIPs: ["127.2.0.1"] }));
  zone.update(ClusterState.of([service("b", { clusterIPs: ["127.2.0.2"] })]));
  expect(zone.find(`a.${SVC}`)).toEqual(NONE);
  expect(zone.find(`b.${SVC}`)).toEqual(addresses("127.2.0.2"));
  expect(zone.find("1.0.2.127.in-addr.arpa")).toEqual(NONE);
});
