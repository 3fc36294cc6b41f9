/** `tulle migrate` as people run it: what it prints, writes, and ends with. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { parse } from "yaml";
import { DIFFERENCES } from "../src/migrate/difference.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CASES = "src/migrate/testdata";
const folder = mkdtempSync(join(tmpdir(), "tulle-migrate-"));
afterAll(() => rmSync(folder, { recursive: true }));

function migrate(...args: string[]) {
  return migrateWith("", ...args);
}

function migrateWith(input: string, ...args: string[]) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(TULLE_|KUBE)/.test(name));
  const env = { ...Object.fromEntries(inherited), HOME: "/nonexistent" };
  return spawnSync(process.execPath, ["bin/tulle", "migrate", ...args], { cwd: ROOT, encoding: "utf8", env, input });
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
  expect(stdout).toContain('\n  acl: "on"\n');
});

test("nothing to decide on is exit code 0", () => {
  const { status, stdout } = migrate("-f", `${CASES}/nothing.in.yaml`, "--values", valuesFile("acl: false"));
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

/** @returns where they are */
function valuesFile(text: string): string {
  const path = join(folder, "given.yaml");
  writeFileSync(path, text);
  return path;
}

test.each([
  ["acl: on", "on"],
  ["acl: yes", "on"],
  ["smi: true\nacl: false", "on"],
  ["acl: false\nsmi: true", "on"],
  // A text that is not empty is true to the template's `if`.
  ['acl: "false"', "on"],
  ["USER-SUPPLIED VALUES:\nnull\n", "off"],
  ["acl: off", "off"],
  ['acl: ""', "off"],
])("of the values %j, access control was %s to Helm, and is in report and file", (text, acl) => {
  const { stdout } = migrate("-f", `${CASES}/access-control-off.in.yaml`, "--values", valuesFile(text));
  expect(stdout).toContain(`access control ${acl}, default mode http;`);
  expect(stdout).toContain(`\n  acl: "${acl}"\n`);
  expect(stdout.includes("TargetsAddUp")).toBe(acl === "on");
});

test.each([
  ["no values and no installation", []],
  ["an acl that is no switch", ["--values", "acl: [on]"]],
])("with %s, nobody knows whether access control was on, and nothing is chosen", (_, given) => {
  const [option = "", text = ""] = given;
  const values = option === "" ? [] : [option, valuesFile(text)];
  const { status, stdout } = migrate("-f", `${CASES}/access-control-off.in.yaml`, ...values);
  expect(status).toBe(1);
  expect(stdout).toContain("whether access control was on is not known");
  expect(stdout).toContain("  AccessControlUnknown: nothing says whether access control was on");
  expect(stdout).toContain("TargetsAddUp");
  expect(stdout).toContain("\n  # Whether access control was on is not known.");
  expect(stdout).not.toMatch(/^ {2}acl:/m);
});

test("an installation is found in what comes by standard input as in a file", () => {
  const path = `${CASES}/installation.in.yaml`;
  const byFile = migrate("-f", path, "--json");
  const byInput = migrateWith(readFileSync(join(ROOT, path), "utf8"), "-f", "-", "--json");
  expect(JSON.parse(byInput.stdout)).toEqual(JSON.parse(byFile.stdout));
  expect(byInput.status).toBe(byFile.status);
});

test("passwords are neither in the report nor in the JSON", () => {
  const path = valuesFile(`
metrics: { influxdb: { address: "http://user:s3cret@influx:8086", username: mesh, password: "s3cret" } }
controller: { env: [{ name: API_TOKEN, value: s3cret }] }
proxy: { additionalArguments: ["--pilot.token=s3cret", "--metrics.influxdb.password=s3cret"] }
mine: { apiKey: s3cret, list: ["--password=s3cret"] }
`);
  for (const json of [[], ["--json"]]) {
    const { stdout } = migrate("-f", `${CASES}/nothing.in.yaml`, "--values", path, ...json);
    expect(stdout).toContain("metrics.influxdb.password");
    expect(stdout).toContain("--pilot.token=(not shown)");
    expect(stdout).not.toContain("s3cret");
  }
});

test("docs/migrate.md says of each difference what the program says", () => {
  const lines = readFileSync(join(ROOT, "docs/migrate.md"), "utf8").split("\n");
  const rows = Object.entries(DIFFERENCES).map(
    ([code, { means, todo }]) => `| \`${code}\` | ${means} | ${todo || "nothing"} |`,
  );
  expect(lines.filter((line) => /^\| `[A-Z][A-Za-z]+` \|/.test(line)).sort()).toEqual(rows.sort());
});
