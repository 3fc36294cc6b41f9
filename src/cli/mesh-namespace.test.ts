import { expect, test } from "vitest";
import { MESH_LABELS } from "../controller/own-objects.ts";
import { FakeApi } from "../controller/testkit/fake-api.ts";
import { ApiError } from "../kube/api-error.ts";
import { meshNamespace } from "./mesh-namespace.ts";

/** A cluster with a controller in each of the namespaces, and a Deployment of somebody else. */
function cluster(...namespaces: readonly string[]): FakeApi {
  const api = new FakeApi();
  const path = "/apis/apps/v1/deployments";
  api.put(path, { metadata: { name: "other", namespace: "other" } });
  for (const namespace of namespaces)
    api.put(path, { metadata: { name: `controller-${namespace}`, namespace, labels: MESH_LABELS } });
  return api;
}

test("the mesh is where its controller is", async () => {
  expect(await meshNamespace(cluster("mesh-two"), undefined)).toBe("mesh-two");
});

test("what is told is taken, and nothing is asked", async () => {
  const api = cluster("mesh-two");
  expect(await meshNamespace(api, "mine")).toBe("mine");
  expect(api.requests).toEqual([]);
});

test("without a controller, or without the right to look, it is the usual one", async () => {
  expect(await meshNamespace(cluster(), undefined)).toBe("tulle");
  const closed = cluster("mesh-two");
  closed.refuse = () => {
    throw new ApiError("deployments is forbidden", 403);
  };
  expect(await meshNamespace(closed, undefined)).toBe("tulle");
});

test("of two, the user says which", async () => {
  await expect(meshNamespace(cluster("b", "a"), undefined)).rejects.toThrow("in each of the namespaces a, b");
});
