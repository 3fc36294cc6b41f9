import { expect, test } from "vitest";
import { emptyMeshConfig, type MeshConfig } from "../config/mesh-config.ts";
import { warnAbsent, warnAbsentCaller, warnAbsentNamespace } from "./warn-absent.ts";

/** A log, and what was said to it. */
function listener() {
  const said: string[] = [];
  const write = (line: string) => void said.push(line);
  return { said, log: { debug: write, info: write, warn: write, error: write } };
}

test.each([
  ["shop/web", undefined],
  ["shop/web:80", undefined],
  ["shop", undefined],
  [undefined, undefined],
  ["nowhere", "there is no Service in namespace nowhere in the mesh"],
  ["shopp", "there is no Service in namespace shopp in the mesh; is shop meant?"],
  ["nowhere/x", "there is no Service nowhere/x in the mesh"],
  ["shop/wep", "there is no Service shop/wep in the mesh; is shop/web meant?"],
  ["shop/web:8080", expect.stringContaining("there is no port shop/web:8080 in the mesh")],
])("of calls to %s it is said: %s", async (scope, expected) => {
  const { said, log } = listener();
  await warnAbsent({ servicePorts: async () => ["shop/web:80"] }, scope, log);
  expect(said[0]).toEqual(expected);
});

test.each([
  ["shop", undefined],
  ["shop/client-7d4f8bc6b9-x2x4z", undefined],
  ["shop/client", undefined],
  ["shop/job", undefined],
  [undefined, undefined],
  ["nowhere", "there is no Pod in namespace nowhere in the mesh"],
  ["shop/clint", "there is no Pod shop/clint in the mesh; is shop/client meant?"],
  ["shop/clients", "there is no Pod shop/clients in the mesh; is shop/client meant?"],
])("of calls from %s it is said: %s", async (from, expected) => {
  const { said, log } = listener();
  await warnAbsentCaller({ callers: async () => ["shop/client-7d4f8bc6b9-x2x4z", "shop/job-0"] }, from, log);
  expect(said[0]).toEqual(expected);
});

test("of a namespace it is said that nobody in it calls or is called", () => {
  const config: MeshConfig = {
    ...emptyMeshConfig(),
    workloads: { "127.1.0.1": { namespace: "callers", pod: "a", serviceAccount: "default" } },
  };
  const { said, log } = listener();
  for (const namespace of ["callers", "caller"]) warnAbsentNamespace(config, namespace, log);
  warnAbsentNamespace(undefined, "nowhere", log);
  expect(said).toEqual(["there is no Service or Pod in namespace caller in the mesh; is callers meant?"]);
});

test("who cannot be asked, or does not know the question, is no reason for a word", async () => {
  const { said, log } = listener();
  const silent = () => Promise.reject(new Error("404"));
  await warnAbsent({ servicePorts: silent }, "shop/web", log);
  await warnAbsentCaller({ callers: silent }, "shop/web", log);
  expect(said).toEqual([]);
});
