/** `tulle top`, against a running `tulle local` and against a scripted cluster. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NO_COUNTS, type TrafficReport } from "../src/traffic/traffic-report.ts";
import { RunningLocal } from "./running-local.ts";
import { ScriptedMesh } from "./scripted-mesh.ts";
import { TulleProcess } from "./tulle-process.ts";
import { until } from "./until.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** So many requests since the start of a proxy. */
function report(requests: number): TrafficReport {
  const key = { source: "shop/a", servicePort: "shop/web:80", backend: "shop/web:80", protocol: "http" } as const;
  const durations = [requests, ...NO_COUNTS.durations.slice(1)];
  return { edges: [{ ...key, ...NO_COUNTS, exchanges: [0, 0, requests, 0, 0, 0], durations }], retired: NO_COUNTS };
}

interface Line {
  readonly proxies: number;
  readonly unheard: readonly string[];
  readonly seconds: number;
  readonly rows: readonly Row[];
}
interface Row {
  readonly service: string;
  readonly caller?: string;
  readonly backend?: string;
  readonly requests: number;
}
const linesOf = (out: string): Line[] =>
  out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
const requestsIn = ({ rows, seconds }: Line) => Math.round((rows[0]?.requests ?? 0) * seconds);

describe("of tulle local", () => {
  function top(local: RunningLocal, ...args: string[]) {
    const tulle = new TulleProcess(["top", "--local", "--admin", local.admin, ...args]);
    closing.push(() => tulle.child.kill("SIGKILL"));
    return tulle;
  }

  test("shows a table of what passed in an interval", async () => {
    const local = await RunningLocal.start();
    closing.push(() => local.stop());
    const args = ["whoami/whoami-split", "--once", "--interval", "300ms"];
    local.keepCalling("whoami-client", "whoami-split");
    const { code, out, err } = await top(local, ...args).ended;
    expect([code, err]).toEqual([0, ""]);
    const [headline, heading, row, ...others] = out.trimEnd().split("\n");
    expect(headline).toMatch(/^tulle local on 127\.0\.0\.1:\d+: one proxy, last [\d.]+ s$/);
    expect(heading).toMatch(/^SERVICE +REQ\/S +SUCCESS +P50 +P95 +P99 +UP B\/S +DOWN B\/S +FLOWS\/S +DENIED\/S$/);
    expect(row).toMatch(
      /^whoami\/whoami-split:80 +[\d.]+k? +100% +[\d.]+m?s +[\d.]+m?s +[\d.]+m?s +- +[\d.]+[kM]? +- +\S+$/,
    );
    expect(others).toEqual([]);
  });

  test("shows callers and the backends of a split as lines of JSON, until Ctrl-C", async () => {
    const local = await RunningLocal.start();
    closing.push(() => local.stop());
    const tulle = top(local, "whoami", "--callers", "--json", "--interval", "200ms");
    local.keepCalling("whoami-client", "whoami-split");
    await tulle.says((out) => linesOf(out.slice(0, out.lastIndexOf("\n") + 1)).length >= 2);
    tulle.child.kill("SIGINT");
    const { code, out, err } = await tulle.ended;
    expect([code, err]).toEqual([0, ""]);
    // Beside ours there are the example's own calls, which are made when the mesh is ready.
    const isOurs = ({ service, caller }: Row) =>
      service === "whoami/whoami-split:80" && caller === "whoami/whoami-client";
    const rows = linesOf(out).flatMap((line) => line.rows.filter(isOurs));
    expect(new Set(rows.map(({ backend }) => backend))).toEqual(
      new Set(["whoami/whoami-v1:80", "whoami/whoami-v2:80"]),
    );
  });

  test.each([
    [["--admin", "127.0.0.1:1"], 1, "tulle: no tulle local can be looked at (--admin): 127.0.0.1:1/api/traffic"],
    [["shop/web:80:90"], 2, 'tulle: "shop/web:80:90" is not NAMESPACE'],
    [["--interval", "soon"], 2, '"soon" is not a duration such as 2s'],
    [["--sort", "beauty"], 2, "Allowed choices are requests, errors,"],
  ])("%j says what is wrong", async (args, code, message) => {
    const tulle = new TulleProcess(["top", "--local", ...args]);
    closing.push(() => tulle.child.kill("SIGKILL"));
    const result = await tulle.ended;
    expect([result.code, result.err]).toEqual([code, expect.stringContaining(message)]);
  });
});

describe("of a cluster", () => {
  let mesh: ScriptedMesh;
  beforeEach(async () => {
    mesh = await ScriptedMesh.start();
    closing.push(() => mesh.close());
  });

  test("asks one controller for all proxies, and leaves out one that misses a look", async () => {
    let looks = 0;
    const answer = (query: URLSearchParams) => {
      expect(query.get("by")).toBe("proxy");
      looks++;
      // The second proxy is not heard at the second look, and has carried much before the first.
      const others = looks === 2 ? {} : { "proxy-2": report(1_000_000 + looks) };
      return { ageMs: 0, proxies: { "proxy-1": report(10 * looks), ...others } };
    };
    await mesh.pod({ name: "controller-1", component: "controller", ready: false });
    await mesh.pod({ name: "controller-2", component: "controller" }, { "/api/traffic": answer });
    const tulle = mesh.run("top", "--json", "--interval", "50ms");
    await tulle.says((out) => out.split("\n").length > 4);
    tulle.child.kill("SIGINT");
    const { code, out } = await tulle.ended;
    expect(code).toBe(0);
    const lines = linesOf(out).slice(0, 4);
    expect(lines.map(({ proxies, unheard }) => [proxies, unheard])).toEqual([
      [1, ["proxy-2"]],
      [1, ["proxy-2"]],
      [2, []],
      [2, []],
    ]);
    expect(lines.map(requestsIn)).toEqual([10, 10, 11, 11]);
    expect(mesh.forwards("controller-1")).toBe(0);
  });

  test("says that no controller answers, and looks at the proxies themselves", async () => {
    let looks = 0;
    await mesh.pod({ name: "controller-1", component: "controller" });
    await mesh.pod({ name: "proxy-1" }, { "/api/traffic": () => report(3 * ++looks) });
    await mesh.pod({ name: "proxy-2" }, { "/api/traffic": () => report(5) });
    await mesh.pod({ name: "proxy-3" });
    const { code, out } = await mesh.run("top", "--once", "--interval", "50ms").ended;
    expect(code).toBe(0);
    const [headline, , row] = out.split("\n");
    expect(headline).toMatch(
      /^namespace tulle, by 3 proxies \(no controller answers: .*connection refused\): 2 proxies, /,
    );
    expect(row).toMatch(/^shop\/web:80 /);
  });

  test("goes on while nobody answers, and says so once", async () => {
    let looks = 0;
    const traffic = () => ({ ageMs: 0, proxies: { "proxy-1": report(looks++) } });
    await mesh.pod({ name: "controller-1", component: "controller" }, { "/api/traffic": traffic });
    const tulle = mesh.run("top", "--json", "--interval", "20ms");
    await tulle.says((out) => out.includes("\n"));
    const back = mesh.silence("controller-1");
    const before = linesOf(tulle.said.out).length;
    const asked = mesh.forwards("controller-1");
    await until(() => mesh.forwards("controller-1") >= asked + 4);
    back();
    await tulle.says((out) => out.split("\n").length > before + 2);
    tulle.child.kill("SIGINT");
    const { code, err } = await tulle.ended;
    expect([code, err.trimEnd().split("\n")]).toEqual([
      0,
      [expect.stringMatching(/^tulle: warning: no controller answers \(.*connection refused\), and no proxy runs$/)],
    ]);
  });

  test("fails at once where there is no mesh to look at", async () => {
    const { code, err } = await mesh.run("top").ended;
    expect([code, err]).toEqual([1, "tulle: no controller answers (none is ready), and no proxy runs\n"]);
  });
});
