/** `tulle tap` of a running `tulle local`. */
import { describe, expect, onTestFinished, test } from "vitest";
import { RunningLocal } from "./running-local.ts";
import { runTulle, startTulle } from "./tulle-process.ts";

const lines = (out: string) => out.trim().split("\n");

/** With two kinds of calls that come again and again. */
async function local(): Promise<RunningLocal> {
  const mesh = await RunningLocal.start();
  onTestFinished(() => mesh.stop());
  for (const path of ["/unseen", "/seen?by=tap"]) mesh.keepCalling("whoami-client", "whoami", path);
  return mesh;
}

test("calls are shown as a table, or as the access log has them", async () => {
  const { admin } = await local();
  const tap = (...args: string[]) =>
    runTulle(["tap", "--local", "--admin", admin, "--path", "/seen", "--status", "2xx", "--count", "2", ...args]);
  const [table, json] = await Promise.all([tap(), tap("--json")]);
  expect([table.code, table.err]).toEqual([0, ""]);
  const [heading, ...rows] = lines(table.out);
  expect(heading).toMatch(/^TIME +FROM → TO \(BACKEND\) +REQUEST +STATUS +TIME TAKEN +REASON$/);
  expect(rows).toHaveLength(2);
  for (const row of rows)
    expect(row).toMatch(/^[\d:.]{12} +whoami\/\S+ → whoami\/\S+ \(.+\) +GET \/seen\?by=tap +200 +[\d.]+ ms/);
  expect([json.code, json.err]).toEqual([0, ""]);
  const records = lines(json.out).map((line) => JSON.parse(line) as object);
  expect(records).toMatchObject([{ kind: "http", path: "/seen", query: "by=tap" }, { status: 200 }]);
});

test("a tap ends clean at Ctrl-C, and says so when the mesh has ended", async () => {
  const mesh = await local();
  const taps = [0, 1].map(() => startTulle(["tap", "--local", "--admin", mesh.admin]));
  const [first, second] = taps as [(typeof taps)[0], (typeof taps)[0]];
  for (const tap of taps) await tap.says((out) => lines(out).length > 1);
  first.child.kill("SIGINT");
  expect(await first.ended).toMatchObject({ code: 0, err: "" });
  await mesh.stop();
  expect(await second.ended).toMatchObject({ code: 1, err: expect.stringContaining(`on ${mesh.admin}`) });
});

describe("what is wrong is said:", () => {
  test.each([
    [["--local", "--status", "6xx"], 2, 'tulle: status: "6xx" is not a status'],
    [["--local", "shop/web:80:90"], 2, 'tulle: to: "shop/web:80:90" is not NAMESPACE'],
    [["--local", "--admin", "127.0.0.1:1"], 1, "tulle: no tulle local can be looked at (--admin): 127.0.0.1:1: "],
    [["--kubeconfig", "/nonexistent"], 2, "tulle: no cluster to work on: "],
  ])("%j", async (args, code, message) => {
    const result = await runTulle(["tap", ...args]);
    expect([result.code, result.err]).toEqual([code, expect.stringContaining(message)]);
  });
});
