/** `tulle local`: how it starts, what it says, how it ends. */
import { spawnSync } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { RunningLocal } from "./running-local.ts";
import { ANY_PORTS, folderOf, ROOT, runTulle, startTulle } from "./tulle-process.ts";
import { until } from "./until.ts";

/** Another mesh on this machine may have ports, which is said first. */
const NOTHING_BUT_PORTS = /^(tulle: warning: not every port .*\n)?$/;

/** Beside standard input, output and error. */
async function socketsOf(pid: number): Promise<number> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all(
    (await readdir(folder))
      .filter((name) => Number(name) > 2)
      .map((name) => readlink(join(folder, name)).catch(() => "")),
  );
  return links.filter((link) => link.startsWith("socket:")).length;
}

/** So many Services, each with two Pods of a sample image. */
function podsAndServices(count: number): string {
  return Array.from(
    { length: count },
    (_, index) => `---
{apiVersion: v1, kind: Service, metadata: {name: s${index}}, spec: {selector: {app: s${index}}, ports: [{port: 80}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: s${index}}
spec: {replicas: 2, template: {metadata: {labels: {app: s${index}}}, spec: {containers: [{name: c, image: traefik/whoami}]}}}
`,
  ).join("");
}

describe("the access log of tulle local", () => {
  test("has a line for each call that passed the mesh, as JSON on standard output", async () => {
    const { code, out } = await runTulle(["local", "--once", "--access-log", ...ANY_PORTS]);
    expect(code).toBe(0);
    const lines = out.split("\n").filter((line) => line.startsWith("{"));
    const kinds = new Set(lines.map((line) => (JSON.parse(line) as { kind: string }).kind));
    expect(kinds).toEqual(new Set(["http", "tcp", "udp"]));
    expect(lines.length).toBeGreaterThan(3);
  });

  test("goes to a file, with what was chosen", async () => {
    const folder = await folderOf("none", "");
    const file = join(folder, "access.log");
    const chosen = { TULLE_ACCESS_LOG_FILE: file, TULLE_ACCESS_LOG_FIELDS: "kind,service,status" };
    const { out } = await runTulle(
      ["local", "--once", "--json", "--access-log-filter-status=200", ...ANY_PORTS],
      chosen,
    );
    expect(out.trim().split("\n")).toHaveLength(1);
    const lines = (await readFile(file, "utf8")).trim().split("\n");
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) expect(line).toMatch(/^{"kind":"http","service":"[^"]+","status":200}$/);
  });

  test("that cannot be written says at the end how many lines are lost", async () => {
    const { code, err } = await runTulle(["local", "--once", "--access-log-file", "/dev/full", ...ANY_PORTS]);
    const lost = /lost lines: they could not be written before the end \(file=\/dev\/full, lines=(\d+), error=ENOSPC/;
    expect([code, err]).toEqual([0, expect.stringMatching(lost)]);
    expect(Number(lost.exec(err)?.[1])).toBeGreaterThan(10);
  });

  test("is not asked for by a variable that is set to nothing", async () => {
    const { code, err } = await runTulle(["local", "--once", ...ANY_PORTS], { TULLE_ACCESS_LOG_FILE: "" });
    expect([code, err]).toEqual([0, expect.not.stringContaining("access log")]);
  });

  test.each([
    [["--access-log", "--json"], "with --json, standard output has the ready line alone: give --access-log-file"],
    [
      ["--access-log", "--access-log-format=common", "--access-log-fields=time"],
      "the format common has its own fields",
    ],
    [["--access-log-fields=statsu"], '"statsu" is no field. Did you mean status?'],
    [["--access-log-fields=time,-status"], "Name the fields to have, or with - those to leave out."],
    [["--access-log-format=xml"], '"xml" is none of json, common.'],
    [["--access-log-filter-status=599-500"], '"599-500" is not a status from 100 to 599, a class such as 5xx'],
    [["--access-log-filter-min-duration=2"], '"2" is not a duration such as 200ms or 1.5s.'],
    [["--access-log-sampling=2"], '"2" is not a number from 0 to 1.'],
    [["--access-log-file="], "It is empty."],
    [["--access-log-file=/tmp"], "--access-log-file /tmp is a folder"],
    [["--access-log-sampling=0.5"], "--access-log-sampling: there is no access log; add --access-log or"],
    [["--tracing-rate=5"], "--tracing-rate: there is no tracing; add --tracing-endpoint URL"],
    [["--tracing-service-name="], "It is empty."],
    [["--access-log-headers=a b"], '"a b" is not NAME, NAME=keep or NAME=redact.'],
  ])("%j is wrong usage", async (args, message) => {
    const { code, err } = await runTulle(["local", "--once", ...args, ...ANY_PORTS]);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });
});

describe("tulle local", () => {
  test.each(["audit", "on"])("--once makes every call of the example, with access control %s", async (mode) => {
    const { code, out } = await runTulle(["local", "--once", "--acl", mode, ...ANY_PORTS]);
    expect([code, out.match(/✓/g)?.length, out.match(/✗/g)]).toEqual([0, 13, null]);
  });

  test("says in one line where everything is, and ends clean at the first signal", async () => {
    const local = startTulle(["local", "--json", ...ANY_PORTS]);
    await local.says((out) => out.includes("\n"));
    const ready = JSON.parse(local.said.out);
    expect(ready).toMatchObject({ ready: true, dns: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
    const whoami = ready.services.find((service: { name: string }) => service.name === "whoami");
    expect(whoami).toMatchObject({
      namespace: "whoami",
      clusterIP: expect.stringMatching(/^127\.2\./),
      meshIP: expect.stringMatching(/^127\.3\./),
      ports: [{ port: 80, protocol: "TCP", trafficType: "http" }],
      hosts: ["whoami.whoami.traefik.mesh", "whoami.whoami.maesh"],
    });
    expect(await fetch(`${ready.admin}/readyz`).then((response) => response.text())).toBe("ok\n");
    local.child.kill("SIGINT");
    const { code, out } = await local.ended;
    expect([code, out.trim().split("\n").length]).toEqual([0, 1]);
  });

  test("ends clean when its terminal is closed (SIGHUP), and has written a line for each call", async () => {
    const file = join(await folderOf("none", ""), "access.log");
    const local = await RunningLocal.start("--access-log-file", file);
    for (let call = 0; call < 50; call++) await local.call("whoami-client", "whoami", "/before");
    expect(await local.endBy("SIGHUP")).toMatchObject({ code: 0 });
    const lines = (await readFile(file, "utf8")).split("\n");
    expect(lines.filter((line) => line.includes('"/before"')).length).toBe(50);
  });

  test("--keep-calling makes the example's calls again, until the first signal", async () => {
    const local = startTulle(["local", "--json", "--keep-calling", "--acl", "on", ...ANY_PORTS]);
    await local.says((out) => out.includes("\n"));
    const { admin } = JSON.parse(local.said.out) as { admin: string };
    // The walk has one of these; a tap sees the second one on.
    const tap = await fetch(`${admin}/api/tap?to=whoami/whoami-api&path=/api&count=2`);
    const seen = (await tap.text()).trim().split("\n");
    expect(seen.map((each) => JSON.parse(each).status)).toEqual([200, 200]);
    local.child.kill("SIGINT");
    expect(await local.ended).toMatchObject({ code: 0, err: expect.stringMatching(NOTHING_BUT_PORTS) });
  });

  test.each([
    ["audit", /^ {2}curl http:\/\/127\.3\./m, /^ {2}echo WHO \| nc -q 1 127\.3\./m],
    ["on", /^ {2}curl --interface 127\.1\.\S+ http:\/\/127\.3\./m, /^ {2}echo WHO \| nc -s 127\.1\.\S+ -q 1 127\.3\./m],
  ])("prints lines to paste that are let through with access control %s", async (mode, curl, nc) => {
    const local = startTulle(["local", "--acl", mode, ...ANY_PORTS]);
    await local.says((out) => out.includes("Ctrl-C ends."));
    const { out } = local.said;
    const lines = out.slice(out.indexOf("\nTry, in another terminal"));
    expect(lines).toMatch(curl);
    expect(lines).toMatch(nc);
    expect(lines.includes("who calls from no Pod's address is denied")).toBe(mode === "on");
    if (mode === "on") expect(lines).not.toMatch(/curl http:\/\/127\.3\.|nc -[qu]/);
  });

  test("names the option of an address that is not one of this machine", async () => {
    const { code, err } = await runTulle(["local", "--once", ...ANY_PORTS, "--dns", "192.0.2.1:15353"]);
    expect([code, err]).toEqual([
      1,
      "tulle: DNS (--dns) cannot listen on 192.0.2.1:15353: the address is not one of this machine (EADDRNOTAVAIL)\n",
    ]);
  });

  test("says in one line how many file descriptors are missing, and ends", async () => {
    const folder = await folderOf("a.yaml", podsAndServices(150));
    const command = ["-c", 'ulimit -n 300; exec "$0" bin/tulle "$@"', process.execPath, "local", "-f", folder];
    const { status, stdout, stderr } = spawnSync("sh", [...command, ...ANY_PORTS], { cwd: ROOT, encoding: "utf8" });
    expect([status, stdout, stderr.trim().split("\n")]).toEqual([
      1,
      "",
      [expect.stringContaining("700 file descriptors are needed, and this process may have 300")],
    ]);
  });

  test("ends at a signal while it starts", async () => {
    const folder = await folderOf("a.yaml", podsAndServices(2000));
    const { child, ended } = startTulle(["local", "-f", folder, ...ANY_PORTS]);
    // DNS, SOCKS5 and the admin API listen before the manifests are read, which takes longer.
    await until(
      () => socketsOf(child.pid as number),
      (sockets) => sockets >= 4,
    );
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 0, out: expect.stringContaining("stopping") });
  });

  test("runs an empty folder as a mesh without services", async () => {
    const folder = await folderOf("notes.txt", "nothing here");
    const { code, err } = await runTulle(["local", "-f", folder, "--once", ...ANY_PORTS]);
    expect([code, err]).toEqual([0, expect.stringMatching(/^\S+: warning FolderWithoutManifests .*\n$/)]);
  });
});
