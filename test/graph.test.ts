/** `tulle graph`, against a running `tulle local` and against a scripted cluster. */
import { afterEach, describe, expect, test } from "vitest";
import { emptyMeshConfig } from "../src/config/mesh-config.ts";
import { NO_COUNTS, type TrafficReport } from "../src/traffic/traffic-report.ts";
import { RunningLocal } from "./running-local.ts";
import { ScriptedMesh } from "./scripted-mesh.ts";
import { TulleProcess } from "./tulle-process.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe("of tulle local", () => {
  async function graph(local: RunningLocal, ...args: string[]) {
    const tulle = new TulleProcess(["graph", "--local", "--admin", local.admin, ...args]);
    closing.push(() => tulle.child.kill("SIGKILL"));
    return tulle.ended;
  }

  test("shows who was called since the start, by which split, and who was denied", async () => {
    const local = await RunningLocal.start("--acl", "on");
    closing.push(() => local.stop());
    for (let calls = 0; calls < 10; calls++) expect(await local.call("whoami-client", "whoami-split")).toBe(200);
    expect(await local.call("whoami-stranger", "whoami")).toBe(403);
    const { code, out, err } = await graph(local, "whoami", "--window", "0");
    expect([code, err]).toEqual([0, ""]);
    const lines = out.split("\n");
    // Beside ours there are the example's own calls, which are made when the mesh is ready.
    const requests = Number(/^ {2}→ whoami\/whoami-split:80 +(\d+) req, p99 /m.exec(out)?.[1]);
    expect(requests).toBeGreaterThanOrEqual(10);
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}✗ whoami\/whoami:80 +.* denied$/));
    expect(lines).toContain("whoami/whoami-split:80 is split by TrafficSplit whoami/whoami-split");
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}→ whoami\/whoami-v1:80 {2}80%, was \d+(\.\d)?%$/));

    expect(await graph(local, "elsewhere", "--window", "0")).toEqual({
      code: 0,
      out: "nobody calls anybody\n",
      err: "tulle: warning: there is no Service or Pod in namespace elsewhere in the mesh\n",
    });
    expect((await graph(local, "--window", "0", "--format", "dot")).out).toMatch(/^digraph tulle \{\n[\s\S]*\}\n$/);
    expect((await graph(local, "--window", "0", "--format", "mermaid")).out).toMatch(/^flowchart LR\n/);
  });

  test.each([
    [["--admin", "127.0.0.1:1"], 1, "tulle: no tulle local can be looked at (--admin): 127.0.0.1:1/api/traffic"],
    [["shop/web"], 2, 'tulle: "shop/web" is no namespace'],
    [["--format", "png"], 2, "Allowed choices are text, dot, mermaid, json."],
  ])("%j says what is wrong", async (args, code, message) => {
    const tulle = new TulleProcess(["graph", "--local", ...args]);
    closing.push(() => tulle.child.kill("SIGKILL"));
    const result = await tulle.ended;
    expect([result.code, result.err]).toEqual([code, expect.stringContaining(message)]);
  });
});

describe("of a cluster", () => {
  const key = { source: "shop/a", servicePort: "shop/web:80", backend: "shop/web:80", protocol: "http" } as const;
  const report = (requests: number): TrafficReport => ({
    edges: [{ ...key, ...NO_COUNTS, exchanges: [0, 0, requests, 0, 0, 0] }],
    retired: NO_COUNTS,
  });

  test("shows what passed in the window, at the proxies where no controller answers", async () => {
    const mesh = await ScriptedMesh.start();
    closing.push(() => mesh.close());
    let looks = 0;
    const config = () => ({ version: "1", config: emptyMeshConfig() });
    await mesh.pod({ name: "proxy-1" }, { "/api/traffic": () => report(looks++ * 5), "/api/config": config });
    await mesh.pod({ name: "proxy-2" }, { "/api/traffic": () => report(7), "/api/config": config });
    const { code, out, err } = await mesh.run("graph", "--window", "20ms", "--format", "json").ended;
    expect([code, err]).toEqual([0, ""]);
    const { calls, windowMs } = JSON.parse(out);
    expect([windowMs, calls]).toMatchObject([20, [{ from: "shop/a", to: "shop/web:80", rates: { success: 1 } }]]);
  });

  test("does without splits where the configuration is not one that it can read, and says so", async () => {
    const mesh = await ScriptedMesh.start();
    closing.push(() => mesh.close());
    const answers = {
      "/api/traffic": () => ({ ageMs: 0, proxies: { "proxy-1": report(3) } }),
      "/api/config": () => ({ version: "1", config: { schema: 2 } }),
    };
    await mesh.pod({ name: "controller-1", component: "controller" }, answers);
    const { code, out, err } = await mesh.run("graph", "--window", "0").ended;
    expect([code, out]).toEqual([0, "shop/a\n  → shop/web:80  3 req\n"]);
    expect(err).toContain(
      "warning: the configuration cannot be read, so the graph is without splits: it is of another",
    );
  });
});
