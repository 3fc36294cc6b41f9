import { expect, test } from "vitest";
import { ClusterState } from "../model/cluster-state.ts";
import { decodeObject } from "../model/decode/decode-object.ts";
import type { MeshObject } from "../model/objects.ts";
import { compileCluster } from "./compile-cluster.ts";

const OBJECTS = [
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "client", namespace: "elsewhere" },
    spec: { serviceAccountName: "client", containers: [{ name: "c", image: "c" }] },
    status: { phase: "Running", podIP: "10.0.0.9", podIPs: [{ ip: "10.0.0.9" }] },
  },
  {
    apiVersion: "access.smi-spec.io/v1alpha2",
    kind: "TrafficTarget",
    metadata: { name: "target", namespace: "shop" },
    spec: {
      destination: { kind: "ServiceAccount", name: "web", namespace: "shop" },
      sources: [{ kind: "ServiceAccount", name: "client", namespace: "elsewhere" }],
    },
  },
];

function problemsOf(watchNamespaces: readonly string[]): string[] {
  const objects = OBJECTS.flatMap((raw) => decodeObject(raw)?.objects ?? []) as MeshObject[];
  const { problems } = compileCluster(ClusterState.of(objects), {
    namespace: "tulle",
    watchNamespaces,
    ignoreNamespaces: [],
    accessControl: "on",
    defaultTrafficType: "http",
    meshDomains: ["traefik.mesh"],
  });
  return problems.filter(({ code }) => code === "TargetSourceUnmatched").map(({ message }) => message);
}

test("a source in a namespace that is left out is told so, and not as one without Pods", () => {
  expect(problemsOf([])).toEqual([]);
  expect(problemsOf(["shop"])).toEqual([expect.stringContaining("namespace elsewhere is left out of the mesh")]);
});
