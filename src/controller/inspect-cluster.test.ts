import { expect, test } from "vitest";
import { ApiError } from "../kube/api-error.ts";
import { ClusterState } from "../model/cluster-state.ts";
import { decodeObject } from "../model/decode/decode-object.ts";
import type { MeshObject } from "../model/objects.ts";
import { type Finding, inspectCluster } from "./inspect-cluster.ts";
import { putCoreDns } from "./testkit/core-dns.ts";
import { FakeApi } from "./testkit/fake-api.ts";

const MESH_APPS = "/apis/apps/v1/namespaces/mesh";

/** A cluster as kubeadm makes it, with SMI; the test adds an installation or takes something away. */
function cluster(minor = "34") {
  const api = new FakeApi();
  api.objects.set("/version", { metadata: {} as never, gitVersion: `v1.${minor}.1`, minor });
  api.objects.set("/apis", {
    metadata: {} as never,
    groups: [
      { name: "split.smi-spec.io", versions: [{ version: "v1alpha3" }], preferredVersion: { version: "v1alpha3" } },
    ],
  });
  api.objects.set("/apis/split.smi-spec.io/v1alpha3", {
    metadata: {} as never,
    resources: [{ name: "trafficsplits", kind: "TrafficSplit" }],
  });
  putCoreDns(api, ".:53 {\n    forward . /etc/resolv.conf\n}\n");
  return api;
}

function install(api: FakeApi): void {
  api.put(`${MESH_APPS}/deployments`, {
    metadata: { name: "tulle-controller" },
    spec: { replicas: 2 },
    status: { readyReplicas: 2 },
  });
  api.put(`${MESH_APPS}/daemonsets`, {
    metadata: { name: "tulle-proxy" },
    status: { numberReady: 2, desiredNumberScheduled: 2 },
  });
  api.put("/apis/coordination.k8s.io/v1/namespaces/mesh/leases", {
    metadata: { name: "tulle-controller" },
    spec: { holderIdentity: "c-1" },
  });
}

const NODES = [
  { Name: "p-1", node: "n1", Ready: true, connected: true, programmed: true },
  { Name: "p-2", node: "n2", Ready: true, connected: true, programmed: true },
];

async function inspect(
  api: FakeApi,
  more: { nodes?: object[]; objects?: object[]; served?: string[]; problems?: object[]; installation?: boolean } = {},
): Promise<Finding[]> {
  const objects = (more.objects ?? []).flatMap((raw) => decodeObject(raw)?.objects ?? []) as MeshObject[];
  return inspectCluster({
    api,
    namespace: "mesh",
    dnsMode: "forward",
    meshDomains: ["traefik.mesh"],
    state: ClusterState.of(objects),
    served: new Set(more.served ?? []),
    signal: new AbortController().signal,
    objects: more.installation !== true,
    admin: async (path) => (path === "/api/problems" ? (more.problems ?? []) : (more.nodes ?? NODES)),
  });
}

const bad = (findings: readonly Finding[]) =>
  findings.filter(({ ok }) => !ok).map(({ what, says }) => `${what}: ${says}`);

test("before installing, a cluster that can carry the mesh has nothing wrong with it, and how to install is said", async () => {
  const findings = await inspect(cluster());
  expect(bad(findings)).toEqual([]);
  const installation = findings.find(({ what }) => what === "installation");
  expect(installation).toMatchObject({ severity: "note", says: expect.stringContaining("helm install") });
  expect(findings.find(({ what }) => what === "Kubernetes")).toMatchObject({ severity: "fine" });
});

test("a cluster that is too old is said to be", async () => {
  expect(bad(await inspect(cluster("24")))).toEqual([expect.stringContaining("needs 1.25 or later")]);
});

test("a cluster without a DNS that is known is said to be", async () => {
  const api = cluster();
  api.objects.delete("/apis/apps/v1/namespaces/kube-system/deployments/coredns");
  expect(bad(await inspect(api))).toEqual([expect.stringContaining("No DNS service that Tulle knows")]);
});

test("SMI in versions that nobody reads is said with the remedy", async () => {
  const api = cluster();
  api.objects.set("/apis", {
    metadata: {} as never,
    groups: [{ name: "split.smi-spec.io", versions: [{ version: "v9" }] }],
  });
  expect(bad(await inspect(api))).toEqual([expect.stringContaining("split.smi-spec.io is served as v9")]);
});

test("after installing, what is not in DNS, not ready, not connected and not led is said", async () => {
  const api = cluster();
  install(api);
  const lease = api.objects.get("/apis/coordination.k8s.io/v1/namespaces/mesh/leases/tulle-controller");
  if (lease !== undefined) lease["spec"] = { holderIdentity: "" };
  const deployment = api.objects.get(`${MESH_APPS}/deployments/tulle-controller`);
  if (deployment !== undefined) deployment["status"] = { readyReplicas: 1 };
  const dnsService = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "tulle-dns", namespace: "mesh" },
    spec: { clusterIP: "10.0.0.53", ports: [{ port: 53 }] },
  };
  const nodes = [{ ...NODES[0] }, { ...NODES[1], connected: false, programmed: false }];
  const findings = bad(await inspect(api, { objects: [dnsService], nodes, served: ["shop/web"] })).join("\n");
  expect(findings).toContain("the controller repairs that within a minute");
  expect(findings).toContain("1 of 2 replicas are ready");
  expect(findings).toContain("no replica leads");
  expect(findings).toContain("p-2 on n2 hears no controller");
  expect(findings).toContain("none for shop/web");
});

test("a Traefik that does not answer is said, and not as one that hears no controller", async () => {
  const api = cluster();
  install(api);
  const nodes = [{ ...NODES[0] }, { ...NODES[1], engine: "traefik", connected: false, programmed: false }];
  const findings = bad(await inspect(api, { nodes })).join("\n");
  expect(findings).toContain("p-2 on n2 does not answer on port 1081");
  expect(findings).not.toContain("hears no controller");
});

test("a Pod of the mesh that cannot start is said with why, and not as one that hears no controller", async () => {
  const api = cluster();
  install(api);
  const labels = { "app.kubernetes.io/part-of": "tulle" };
  const waiting = (reason: string, message = "") => ({
    containerStatuses: [{ state: { waiting: { reason, message } } }],
  });
  const pods = "/api/v1/namespaces/mesh/pods";
  api.put(pods, { metadata: { name: "p-2", labels }, status: waiting("ImagePullBackOff", "no such image") });
  api.put(pods, { metadata: { name: "p-3", labels }, status: waiting("ContainerCreating") });
  api.put(pods, { metadata: { name: "other" }, status: waiting("CrashLoopBackOff") });
  const nodes = [{ ...NODES[0] }, { ...NODES[1], connected: false, programmed: false }];
  const findings = bad(await inspect(api, { nodes }));
  expect(findings).toContain(
    "Pods: p-2 does not start (ImagePullBackOff: no such image): kubectl -n mesh describe pod p-2",
  );
  expect(findings.join("\n")).not.toMatch(/hears no controller|p-3|other/);
});

test("what is wrong with somebody's object is a finding, unless only the installation is asked about", async () => {
  const api = cluster();
  install(api);
  const object = { kind: "Service", namespace: "shop", name: "web" };
  const problems = [{ severity: "error", code: "SchemeInvalid", object, field: "", message: "no scheme" }];
  const isOfObject = (says: string) => says.includes("SchemeInvalid");
  expect(bad(await inspect(api, { problems })).filter(isOfObject)).toEqual([
    "Service shop/web: SchemeInvalid: no scheme",
  ]);
  expect(bad(await inspect(api, { problems, installation: true })).filter(isOfObject)).toEqual([]);
});

test("before installing, a mesh in another namespace is named", async () => {
  const api = cluster();
  const labels = { "app.kubernetes.io/part-of": "tulle", "app.kubernetes.io/component": "controller" };
  api.put("/apis/apps/v1/deployments", { metadata: { name: "tulle-controller", namespace: "elsewhere", labels } });
  const findings = await inspect(api);
  expect(findings.find(({ what }) => what === "installation")?.says).toContain("tulle check --namespace elsewhere");
});

test("what cannot be looked at is a finding, and the rest is looked at", async () => {
  const api = cluster();
  api.refuse = (_method, path) => {
    if (path === "/version") throw new ApiError("GET /version: 403 forbidden", 403);
  };
  const findings = await inspect(api);
  expect(bad(findings)).toEqual([expect.stringContaining("could not be looked at: GET /version: 403 forbidden")]);
  expect(findings.some(({ what, ok }) => what === "cluster DNS" && ok)).toBe(true);
});

test("shadow services of another mesh are told as leftovers, with the command that deletes them", async () => {
  const shadow = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "maesh-web-6d61657368-shop", namespace: "maesh", labels: { app: "maesh", type: "shadow" } },
    spec: { ports: [{ port: 80 }] },
  };
  expect(bad(await inspect(cluster(), { objects: [shadow] }))).toEqual([
    expect.stringContaining("kubectl -n maesh delete service -l app=maesh,type=shadow"),
  ]);
});
