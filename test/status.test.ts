/** `tulle status`, against a running `tulle local` and against a scripted cluster. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { emptyMeshConfig } from "../src/config/mesh-config.ts";
import { RunningLocal } from "./running-local.ts";
import { ScriptedMesh } from "./scripted-mesh.ts";
import { TulleProcess } from "./tulle-process.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function status(...args: string[]) {
  const tulle = new TulleProcess(["status", "--local", ...args]);
  closing.push(() => tulle.child.kill("SIGKILL"));
  return tulle.ended;
}

describe("of tulle local", () => {
  test("says what is in force, and 0 where nothing is wrong", async () => {
    const local = await RunningLocal.start();
    closing.push(() => local.stop());
    const { code, out, err } = await status("--admin", local.admin);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^tulle local on 127\.0\.0\.1:\d+\n\nmesh: 7 Services with 7 ports, .*access control audit; /);
    expect(out).toMatch(/\nnothing is wrong\n$/);
  });

  test("names each wrong object with the remedy, and says 1", async () => {
    const local = await RunningLocal.start("-f", "test/testdata/mistakes");
    closing.push(() => local.stop());
    const { code, out } = await status("--admin", local.admin);
    expect(code).toBe(1);
    expect(out).toMatch(/^\d+ errors, \d+ warnings?:$/m);
    expect(out).toMatch(/^test\/testdata\/mistakes\/\S+\.yaml:\d+: error TrafficSplit \S+\/\S+: \w+: .+\.$/m);
    const json = await status("--admin", local.admin, "--json");
    const { findings } = JSON.parse(json.out) as { findings: { severity: string; place: string }[] };
    expect([json.code, findings[0]?.severity]).toEqual([1, "error"]);
    for (const { place } of findings) expect(place).toMatch(/^test\/testdata\/mistakes\/\S+:[1-9]\d*$/);
  });

  test("says where there is none", async () => {
    const { code, err } = await status("--admin", "127.0.0.1:1");
    expect([code, err]).toEqual([
      1,
      expect.stringContaining("no tulle local can be looked at (--admin): 127.0.0.1:1/"),
    ]);
  });
});

describe("of a cluster", () => {
  let mesh: ScriptedMesh;
  beforeEach(async () => {
    mesh = await ScriptedMesh.start();
    closing.push(() => mesh.close());
  });

  const dns = { mode: "forward", provider: "CoreDNS", inForce: true, warnings: [], faults: [], byHand: "" };
  const said = { program: "0.1.0", version: "v1", leader: "controller-1", services: 0, problems: 0, troubles: [], dns };
  const fine = { connected: true, version: "v1", programmed: true, lagMs: 3, error: "", closedEntrypoints: [] };
  const answers = (leads: boolean, nodes: readonly object[]) => ({
    "/api/status/controller": () => ({ ...said, leads, pendingShadows: 0 }),
    "/api/status/nodes": () => nodes,
    "/api/problems": () => [],
    "/api/config": () => ({ version: "v1", config: emptyMeshConfig() }),
  });

  test("shows controllers and proxies, and is 0 where all is as it must be", async () => {
    const nodes = [{ Name: "proxy-1", ...fine }];
    await mesh.pod({ name: "controller-1", component: "controller" }, answers(true, nodes));
    await mesh.pod({ name: "controller-2", component: "controller" }, answers(false, nodes));
    await mesh.pod({ name: "proxy-1", node: "node-1" });
    const { code, out, err } = await mesh.run("status").ended;
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^namespace tulle, by controller-\d\n/);
    expect(out).toMatch(/^controller-1 +yes +yes +\d+d +v1 +0\.1\.0 +1$/m);
    expect(out).toMatch(/^controller-2 +no +yes +\d+d +v1 +0\.1\.0 +1$/m);
    expect(out).toMatch(/^proxy-1 +node-1 +yes +\d+d +v1 +3ms +1$/m);
    expect(out).toContain(
      "\nconfiguration: in force on 1 of 1 proxy\ncluster DNS: mesh names in force by CoreDNS (forward)\n",
    );
    expect(out).toMatch(/\nnothing is wrong\n$/);
    // Who is heard needs not be asked.
    expect(mesh.forwards("proxy-1")).toBe(0);
  });

  test("asks a proxy that the controllers do not hear how long that is so", async () => {
    const lost = { connected: false, programmed: false, version: "" };
    const nodes = [
      { Name: "proxy-1", ...fine },
      { Name: "proxy-2", ...lost },
    ];
    await mesh.pod({ name: "controller-1", component: "controller" }, answers(true, nodes));
    await mesh.pod({ name: "proxy-1" });
    const alone = { name: "proxy-2", version: "v0", connected: false, silentSeconds: 75, draining: false };
    await mesh.pod({ name: "proxy-2", node: "node-2" }, { "/api/status": () => alone });
    await mesh.pod({ name: "proxy-3", deletedAt: Date.now() });
    const { code, out } = await mesh.run("status").ended;
    expect(code).toBe(1);
    expect(out).toMatch(/^proxy-2 +node-2 +yes +\d+d +v0 +- +1 +silent for 75s$/m);
    expect(out).toMatch(/^proxy-3 +\S+ +draining /m);
    expect(out).toContain("\nconfiguration: in force on 1 of 2 proxies\n");
    expect(out).toMatch(
      /^error proxy proxy-2 on node-2: it hears no controller for 75 s, .*: kubectl -n tulle logs proxy-2$/m,
    );
  });

  test("tells what the proxies can where no controller answers", async () => {
    await mesh.pod({ name: "controller-1", component: "controller" });
    const own = { name: "proxy-1", version: "v0", connected: false, silentSeconds: 9, draining: false };
    const config = () => ({ version: "v0", config: emptyMeshConfig() });
    await mesh.pod({ name: "proxy-1" }, { "/api/status": () => own, "/api/config": config });
    const { code, out } = await mesh.run("status").ended;
    expect(code).toBe(1);
    expect(out).toMatch(/^namespace tulle, by 1 proxy \(no controller answers: .*connection refused\)\n/);
    expect(out).toContain("problems of objects: not known, as no controller answers\n");
    expect(out).toMatch(/^error controller controller-1: it cannot be asked: .*connection refused$/m);
    expect(out).toMatch(/^error proxy proxy-1 .*hears no controller for 9 s/m);
  });

  test("says that there is no mesh, and where it was looked", async () => {
    const { code, out } = await mesh.run("status", "--json").ended;
    const { findings } = JSON.parse(out) as { findings: { object: string }[] };
    expect([code, findings.map(({ object }) => object)]).toEqual([1, ["controllers", "proxies", "configuration"]]);
  });
});
