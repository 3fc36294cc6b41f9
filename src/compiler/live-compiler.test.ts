import { expect, test } from "vitest";
import { seal } from "../config/snapshot.ts";
import { ClusterState } from "../model/cluster-state.ts";
import type { Pod } from "../model/objects.ts";
import { buildTopology } from "../topology/build-topology.ts";
import { type CompileOptions, compile } from "./compile.ts";
import { LiveCompiler } from "./live-compiler.ts";

const OPTIONS = {
  accessControl: "off",
  meshDomains: ["traefik.mesh"],
  defaultTrafficType: "http",
  placement: { addresses: () => [], entrypoints: () => [] },
} as unknown as CompileOptions & Parameters<typeof buildTopology>[1];

const pod = (workload: string | undefined): Pod =>
  ({
    kind: "Pod",
    meta: { namespace: "shop", name: "web-1", labels: {}, annotations: {}, createdAt: "" },
    serviceAccount: "web",
    ips: ["10.0.0.1"],
    hostNetwork: false,
    phase: "Running",
    ready: true,
    nodeName: "n1",
    ...(workload === undefined ? {} : { workload, workloadKind: "Deployment" }),
  }) as unknown as Pod;

test.each([
  ["adopted", undefined, "web"],
  ["orphaned", "web", undefined],
])("a Pod that is %s has the same configuration change by change as at once", (_, before, after) => {
  const state = new ClusterState();
  const live = new LiveCompiler(OPTIONS);
  const ref = { kind: "Pod", namespace: "shop", name: "web-1" } as const;
  state.apply({ put: [pod(before)], remove: [] });
  live.update(state, [ref], OPTIONS.placement);
  state.apply({ put: [pod(after)], remove: [] });
  const { config } = live.update(state, [ref], OPTIONS.placement);
  expect(config.workloads["10.0.0.1"]?.workload).toBe(after);
  expect(seal(config).version).toBe(seal(compile(buildTopology(state, OPTIONS), OPTIONS).config).version);
});
