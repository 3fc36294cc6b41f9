/** `tulle migrate` as people run it: what it prints, writes, and ends with. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { DIFFERENCES } from "../src/migrate/difference.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CASES = "src/migrate/testdata";
const folder = mkdtempSync(join(tmpdir(), "tulle-migrate-"));
afterAll(() => rmSync(folder, { recursive: true }));

function migrate(...args: string[]) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(TULLE_|KUBE)/.test(name));
  const env = { ...Object.fromEntries(inherited), HOME: "/nonexistent" };
  return spawnSync(process.execPath, ["bin/tulle", "migrate", ...args], { cwd: ROOT, encoding: "utf8", env });
}

test("differences that change who is served are exit code 1, each with its objects and what to do", () => {
  const old = join(folder, "old.yaml");
  writeFileSync(old, "USER-SUPPLIED VALUES:\nacl: true\n");
  const { status, stdout, stderr } = migrate("-f", `${CASES}/access-control.in.yaml`, "--values", old);
  expect(status).toBe(1);
  expect(stderr).toBe("");
  expect(stdout).toContain("access control on, default mode http; 3 Services, 7 TrafficTargets");
  expect(stdout).toContain(`
  TcpSourcesChecked: a target opened a TCP Service to every caller, whatever sources it names; now to its sources alone
  → add whoever else calls it to the sources
      TrafficTarget shop/db spec.sources: for Service shop/db
`);
  expect(stdout).toContain("\n  acl: on\n");
});

test("nothing to decide on is exit code 0", () => {
  const { status, stdout } = migrate("-f", `${CASES}/nothing.in.yaml`);
  expect([status, stdout]).toEqual([0, expect.stringContaining("Nothing about these objects is different.")]);
});

test("as JSON it is one object, with the values and each difference", () => {
  const { status, stdout } = migrate("-f", `${CASES}/installation.in.yaml`, "--json");
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    namespace: "maesh",
    from: "installation",
    values: { acl: "on", controller: { ignoreNamespaces: ["legacy"] } },
    differences: expect.arrayContaining([expect.objectContaining({ code: "VariableLost", effect: "lost" })]),
  });
});

test("the values are written into a new file, and into no other", () => {
  const out = join(folder, "values.yaml");
  const args = ["-f", `${CASES}/installation.in.yaml`, "--out", out];
  expect(migrate(...args)).toMatchObject({ status: 0, stdout: expect.stringContaining(`chart: ${out}`) });
  expect(parse(readFileSync(out, "utf8"))).toMatchObject({ clusterDomain: "corp.local" });
  expect(migrate(...args)).toMatchObject({ status: 2, stderr: expect.stringContaining("is such a file already") });
});

test.each([
  [["-f", "nowhere"], "there is no such file or folder"],
  [["-f", CASES, "--values", "nowhere"], "--values nowhere"],
  [["-f", CASES, "--take-over"], "the mesh names are moved on a cluster"],
  [["--take-over", "--hand-back"], "either --take-over or --hand-back"],
  [["-f", CASES, "--force"], "--force is for --take-over"],
  [[], "no cluster to work on"],
])("%j is wrong usage", (args, sentence) => {
  expect(migrate(...args)).toMatchObject({ status: 2, stderr: expect.stringContaining(sentence) });
});

test("whatever the old values were, the chart takes the new ones", () => {
  const schema: unknown = JSON.parse(readFileSync(join(ROOT, "chart/values.schema.json"), "utf8"));
  const validator = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  const results = readdirSync(join(ROOT, CASES)).filter((path) => path.endsWith(".out.yaml"));
  expect(results.length).toBeGreaterThan(5);
  for (const path of results) {
    const { values } = parse(readFileSync(join(ROOT, CASES, path), "utf8")) as { values: unknown };
    expect(validator.safeParse(values).error, path).toBeUndefined();
  }
});

test("docs/migrate.md says of each difference what the program says", () => {
  const lines = readFileSync(join(ROOT, "docs/migrate.md"), "utf8").split("\n");
  const rows = Object.entries(DIFFERENCES).map(
    ([code, { means, todo }]) => `| \`${code}\` | ${means} | ${todo || "nothing"} |`,
  );
  expect(lines.filter((line) => /^\| `[A-Z][A-Za-z]+` \|/.test(line)).sort()).toEqual(rows.sort());
});
