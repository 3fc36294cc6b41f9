import { expect, test } from "vitest";
import { ClusterState } from "../model/cluster-state.ts";
import { findInstallations, rawObjects } from "./installation.ts";
import { planMigration } from "./migration.ts";

/** As `kubectl get` has it. */
function controller(container: object) {
  return rawObjects({
    kind: "Deployment",
    metadata: { name: "traefik-mesh-controller", namespace: "maesh" },
    spec: { template: { spec: { containers: [{ name: "controller", ...container }] } } },
  });
}

const variable = (name: string, rest: object) => ({ env: [{ name, ...rest }] });

test.each([
  ["no flag", {}, "off"],
  ["--acl", { args: ["--acl"] }, "on"],
  ["--acl and --smi=false", { args: ["--acl", "--smi=false"] }, "on"],
  ["--smi", { args: ["--smi"] }, "on"],
  ["--acl=0", { args: ["--acl=0"] }, "off"],
  ["--acl=F", { args: ["--acl=F"] }, "off"],
  ["a variable", variable("TRAEFIK_MESH_ACL", { value: "true" }), "on"],
  ["--configFile", { args: ["--configFile=/etc/mesh.toml"] }, "unknown"],
  ["--acl and --configFile", { args: ["--acl", "--configFile=/etc/mesh.toml"] }, "on"],
  ["a variable from elsewhere", variable("TRAEFIK_MESH_ACL", { valueFrom: { configMapKeyRef: {} } }), "unknown"],
  ["variables from a ConfigMap", { envFrom: [{ configMapRef: { name: "mesh" } }] }, "unknown"],
  ["another's variable from elsewhere", variable("POD_NAME", { valueFrom: { fieldRef: {} } }), "off"],
])("of a controller with %s, whether access control was on comes out as it is", (_, container, access) => {
  const { values, access: planned } = planMigration({ state: ClusterState.of([]), workloads: controller(container) });
  expect(planned).toBe(access);
  expect(values["acl"]).toBe(access === "unknown" ? undefined : access);
});

test("an installation is in the namespace of its controller", () => {
  expect(findInstallations(controller({})).map(({ namespace }) => namespace)).toEqual(["maesh"]);
});
