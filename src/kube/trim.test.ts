import { expect, test } from "vitest";
import { decodeObject } from "../model/decode/decode-object.ts";
import { trim } from "./trim.ts";

function kept(raw: object) {
  const [object] = decodeObject(raw)?.objects ?? [];
  return object === undefined ? undefined : trim(object);
}

test("of a Pod remain its address, node, ServiceAccount, owners and declared ports, none of its other labels", () => {
  const pod = kept({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "a",
      namespace: "x",
      labels: { app: "shop", team: "red", "pod-template-hash": "x1" },
      ownerReferences: [{ kind: "ReplicaSet", name: "shop-x1", controller: true }],
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}" },
    },
    spec: {
      nodeName: "n1",
      serviceAccountName: "shop",
      containers: [
        {
          name: "c",
          image: "shop:1",
          args: ["--secret"],
          env: [{ name: "A", value: "b" }],
          ports: [{ containerPort: 80 }],
        },
        { name: "d", image: "side:1" },
      ],
    },
    status: { podIP: "10.1.0.1", phase: "Running" },
  });
  expect(pod).toMatchObject({
    kind: "Pod",
    nodeName: "n1",
    serviceAccount: "shop",
    workload: "shop",
    owners: [{ kind: "ReplicaSet", name: "shop-x1", controller: true }],
    containers: [
      {
        name: "c",
        image: "",
        command: [],
        args: [],
        env: {},
        ports: [{ name: "", containerPort: 80, protocol: "TCP" }],
      },
    ],
  });
  expect(pod?.meta).toMatchObject({ labels: { app: "shop" }, annotations: {} });
});

test("a Service keeps its annotations, but for the copy of itself", () => {
  const service = kept({
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "a",
      namespace: "x",
      annotations: {
        "mesh.traefik.io/retry-attempts": "2",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
      },
    },
    spec: { ports: [{ port: 80 }] },
  });
  expect(service?.meta.annotations).toEqual({ "mesh.traefik.io/retry-attempts": "2" });
});

test("workloads are not kept: their Pods are there themselves", () => {
  const template = { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "c" }] } };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "a", namespace: "x" },
    spec: { selector: { matchLabels: { app: "a" } }, template },
  };
  expect(kept(deployment)).toBeUndefined();
});
