import { expect, test } from "vitest";
import { placeOf } from "./api-places.ts";

const served = (kind: string) => (kind === "TrafficSplit" ? "split.smi-spec.io/v1alpha3" : undefined);
const place = (kind: string) => placeOf({ kind, namespace: "n", name: "x" }, served);

test("an object of SMI is where the cluster serves its kind, whatever version it was written in", () => {
  expect(place("TrafficSplit")).toEqual({
    path: "/apis/split.smi-spec.io/v1alpha3/namespaces/n/trafficsplits/x",
    apiVersion: "split.smi-spec.io/v1alpha3",
  });
});

test("what the cluster has not, or no Event is about, has no place", () => {
  expect([place("TrafficTarget"), place("EndpointSlice")]).toEqual([undefined, undefined]);
});

test("Services and the workloads of cluster DNS are at Kubernetes' own", () => {
  expect([place("Service")?.path, place("DaemonSet")?.path]).toEqual([
    "/api/v1/namespaces/n/services/x",
    "/apis/apps/v1/namespaces/n/daemonsets/x",
  ]);
});
