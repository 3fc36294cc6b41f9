import { expect, test } from "vitest";
import type { ProxyStatus } from "../config-stream/subscriber.ts";
import { ClusterState } from "../model/cluster-state.ts";
import type { Pod } from "../model/objects.ts";
import { type FarStream, PeerStreamSchema } from "./peer-replicas.ts";
import { ProxyNodes } from "./proxy-nodes.ts";

const pod = (name: string): Pod => ({
  kind: "Pod",
  meta: {
    namespace: "mesh",
    name,
    labels: { "app.kubernetes.io/part-of": "tulle", "app.kubernetes.io/component": "proxy" },
    annotations: {},
    createdAt: 0,
  },
  serviceAccount: "tulle-proxy",
  ips: ["10.1.0.9"],
  hostNetwork: false,
  nodeName: "n1",
  containers: [],
  phase: "Running",
  ready: true,
});

const stream = (version: string, connectedMs: number, more: Partial<ProxyStatus> = {}): ProxyStatus => ({
  pod: "p1",
  node: "n1",
  address: "10.1.0.9",
  version,
  sequence: 1,
  error: "",
  closedEntrypoints: [],
  lagMs: 3.2,
  connectedMs,
  standsBy: false,
  ...more,
});

/** Of a replica whose newest configuration is v2. */
function nodes(own: readonly ProxyStatus[], ofPeers: readonly Omit<FarStream, "at">[]) {
  return new ProxyNodes({
    state: ClusterState.of([pod("p1")]),
    namespace: "mesh",
    server: { status: () => [...own] },
    peers: { streams: async () => ofPeers.map((told) => ({ ...told, at: "10.1.0.8" })) },
    nodeConfigurations: { answer: () => Promise.reject(new Error("not asked")) },
    traefik: undefined,
    version: () => "v2",
  });
}

test("a proxy is told of by the replica that it follows, this one or another, and one that follows none is not connected", async () => {
  const told = {
    Name: "p1",
    IP: "10.1.0.9",
    Ready: true,
    node: "n1",
    connected: true,
    version: "v2",
    programmed: true,
  };
  const last = { lagMs: 3, error: "", closedEntrypoints: [] };
  expect(await nodes([stream("v2", 9)], []).readiness()).toEqual([{ ...told, ...last }]);
  expect(await nodes([], [stream("v2", 9)]).readiness()).toEqual([{ ...told, ...last }]);
  expect(await nodes([], []).readiness()).toEqual([{ ...told, connected: false, version: "", programmed: false }]);
});

test("of two of one name at two replicas both tell of the one that came last", async () => {
  const [before, after] = [stream("v1", 60_000, { error: "bad" }), stream("v2", 40)];
  const newest = [{ version: "v2", programmed: true, error: "" }];
  expect(await nodes([before], [after]).readiness()).toMatchObject(newest);
  expect(await nodes([after], [before]).readiness()).toMatchObject(newest);
});

test("of two of one name at one replica, this one or another, the one that came last is told of", async () => {
  const both = [stream("v1", 60_000), stream("v2", 40)];
  expect(await nodes(both, []).readiness()).toMatchObject([{ version: "v2" }]);
  expect(await nodes([], both).readiness()).toMatchObject([{ version: "v2" }]);
  expect(await nodes([], both.toReversed()).readiness()).toMatchObject([{ version: "v2" }]);
});

test("of two of one name the one that does not stand by is told of, also where it is the older one", async () => {
  const [inCharge, standsBy] = [stream("v2", 60_000), stream("v1", 40, { standsBy: true })];
  expect(await nodes([inCharge], [standsBy]).readiness()).toMatchObject([{ version: "v2" }]);
  expect(await nodes([standsBy], [inCharge]).readiness()).toMatchObject([{ version: "v2" }]);
  // One that waits for its node's counts before anybody has them is there all the same.
  expect(await nodes([standsBy], []).readiness()).toMatchObject([{ version: "v1", connected: true }]);
});

test("a replica of an older version, which does not say since when, is believed where nobody else knows the proxy", async () => {
  const { connectedMs: _, standsBy: __, ...rest } = stream("v1", 0);
  // As it came over the wire.
  const old = PeerStreamSchema.parse(JSON.parse(JSON.stringify(rest)));
  expect(await nodes([], [old]).readiness()).toMatchObject([{ version: "v1" }]);
  expect(await nodes([stream("v2", 60_000)], [old]).readiness()).toMatchObject([{ version: "v2" }]);
});
