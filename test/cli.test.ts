/** The program as people run it: `bin/tulle` in a process of its own. Built by `npm test` before the tests. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const ANY_PORTS = ["--dns", "127.0.0.1:0", "--socks", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
/** Another mesh on this machine may have ports, which is said first. */
const NOTHING_BUT_PORTS = /^(tulle: warning: not every port .*\n)?$/;

const children: ChildProcessWithoutNullStreams[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(args: readonly string[], env: Record<string, string> = {}): ChildProcessWithoutNullStreams {
  // Whatever cluster the machine's owner works with is none of these tests'.
  const foreign = /^(TULLE_|TRAEFIK_MESH_|MAESH_|KUBE)/;
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
  const child = spawn(process.execPath, ["bin/tulle", ...args], {
    cwd: ROOT,
    env: { ...inherited, HOME: "/nonexistent", ...env },
  });
  children.push(child);
  return child;
}

async function finish(child: ChildProcessWithoutNullStreams): Promise<Result> {
  let out = "";
  let err = "";
  child.stdout.on("data", (bytes: Buffer) => {
    out += bytes.toString();
  });
  child.stderr.on("data", (bytes: Buffer) => {
    err += bytes.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

const tulle = (args: readonly string[], env?: Record<string, string>) => finish(start(args, env));

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

async function folderOf(name: string, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tulle-cli-"));
  folders.push(folder);
  await writeFile(join(folder, name), text);
  return folder;
}

test("a reader that has seen enough is no error", async () => {
  const child = start(["--help"]);
  child.stdout.destroy();
  expect(await finish(child)).toEqual({ code: 0, out: "", err: "" });
});

describe("the access log of tulle local", () => {
  test("has a line for each call that passed the mesh, as JSON on standard output", async () => {
    const { code, out } = await tulle(["local", "--once", "--access-log", ...ANY_PORTS]);
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
    const { out } = await tulle(["local", "--once", "--json", "--access-log-filter-status=200", ...ANY_PORTS], chosen);
    expect(out.trim().split("\n")).toHaveLength(1);
    const lines = (await readFile(file, "utf8")).trim().split("\n");
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) expect(line).toMatch(/^{"kind":"http","service":"[^"]+","status":200}$/);
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
    [["--access-log-filter-status=5xx"], '"5xx" is neither a status nor a range such as 500-599.'],
    [["--access-log-filter-status=599-500"], '"599-500" is neither'],
    [["--access-log-filter-min-duration=2"], '"2" is not a duration such as 200ms or 1.5s.'],
    [["--access-log-sampling=2"], '"2" is not a number from 0 to 1.'],
    [["--access-log-headers=a b"], '"a b" is not NAME, NAME=keep or NAME=redact.'],
  ])("%j is wrong usage", async (args, message) => {
    const { code, err } = await tulle(["local", "--once", ...args, ...ANY_PORTS]);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });
});

describe("tulle tap", () => {
  interface Ready {
    readonly admin: string;
    readonly services: readonly { readonly name: string; readonly meshIP: string; readonly ports: readonly Port[] }[];
  }
  interface Port {
    readonly port: number;
    readonly boundPort?: number;
    readonly trafficType: string;
  }

  /** @returns its admin API as HOST:PORT, and the URL of a service of the example */
  async function local(): Promise<{ admin: string; url: string; mesh: ChildProcessWithoutNullStreams }> {
    const mesh = start(["local", "--json", ...ANY_PORTS]);
    const ready = JSON.parse(String((await once(mesh.stdout, "data"))[0])) as Ready;
    const service = ready.services.find(({ ports }) => ports.some(({ trafficType }) => trafficType === "http"));
    const port = service?.ports.find(({ trafficType }) => trafficType === "http");
    const url = `http://${service?.meshIP}:${port?.boundPort ?? port?.port}`;
    return { admin: ready.admin.replace("http://", ""), url, mesh };
  }

  /** @returns what a tap shows of those calls, made again and again until it has ended */
  async function shown(args: readonly string[], call: () => Promise<unknown>): Promise<Result> {
    const child = start(["tap", "--local", ...args]);
    const finished = finish(child);
    while (child.exitCode === null) await call().then(() => setImmediate());
    return finished;
  }

  test("shows calls of tulle local as a table, or as the access log has them", async () => {
    const { admin, url } = await local();
    const call = async () => {
      await (await fetch(`${url}/unseen`)).text();
      await (await fetch(`${url}/seen?by=tap`)).text();
    };
    const args = ["--admin", admin, "--path", "/seen", "--status", "2xx", "--count", "2"];
    const table = await shown(args, call);
    expect([table.code, table.err]).toEqual([0, ""]);
    const [heading, ...rows] = table.out.trim().split("\n");
    expect(heading).toMatch(/^TIME +FROM → TO \(BACKEND\) +REQUEST +STATUS +TIME TAKEN +REASON$/);
    expect(rows).toHaveLength(2);
    for (const row of rows)
      expect(row).toMatch(/^[\d:.]{12} +\S+ → whoami\/\S+ \(.+\) +GET \/seen\?by=tap +200 +[\d.]+ ms/);

    const lines = await shown(["--json", ...args], call);
    const records = lines.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(records).toMatchObject([{ kind: "http", path: "/seen", query: "by=tap" }, { status: 200 }]);
  });

  test("ends clean at Ctrl-C, and says so when the mesh has ended", async () => {
    const { admin, url, mesh } = await local();
    const taps = [0, 1].map(() => start(["tap", "--local", "--admin", admin]));
    const results = taps.map(finish);
    const first = taps.map(async ({ stdout }) => once(stdout, "data"));
    let seen = false;
    void Promise.all(first).then(() => {
      seen = true;
    });
    while (!seen) await (await fetch(url)).text();
    taps[0]?.kill("SIGINT");
    expect(await results[0]).toMatchObject({ code: 0, err: "" });
    mesh.kill("SIGINT");
    const { code, err } = (await results[1]) as Result;
    expect([code, err]).toEqual([1, expect.stringContaining(`on ${admin}`)]);
  });

  test.each([
    [["--local", "--status", "6xx"], 2, 'tulle: status: "6xx" is not a status'],
    [["--local", "shop/web:80:90"], 2, 'tulle: to: "shop/web:80:90" is not NAMESPACE'],
    [["--local", "--admin", "127.0.0.1:1"], 1, "tulle: tulle local cannot be looked at on 127.0.0.1:1 (--admin): "],
    [["--kubeconfig", "/nonexistent"], 2, "tulle: no cluster to work on: "],
  ])("%j says what is wrong", async (args, code, message) => {
    const result = await tulle(["tap", ...args]);
    expect([result.code, result.err]).toEqual([code, expect.stringContaining(message)]);
  });
});

describe("tulle check", () => {
  test("names every wrong object with its place, field and remedy, and exits with 1", async () => {
    const { code, out, err } = await tulle(["check", "-f", "test/testdata/mistakes"]);
    expect(code).toBe(1);
    const lines = err.trim().split("\n");
    const objects = new Set<string>();
    for (const line of lines) {
      const match = /^\S+\.yaml:\d+: (?:error|warning) (\w+) (\w+ \S+)(?: (\S+))?: .+: .+; .+\.$/.exec(line);
      expect(match, line).not.toBeNull();
      objects.add(match?.[2] as string);
    }
    expect(objects.size).toBeGreaterThanOrEqual(20);
    expect(out).toBe("20 errors, 3 warnings; 5 files, 9 Services\n");
  });

  test("gives the same as JSON", async () => {
    const { code, out } = await tulle(["check", "-f", "test/testdata/mistakes", "--json"]);
    const problems = JSON.parse(out) as { code: string; line: number }[];
    expect([code, problems.length]).toEqual([1, 23]);
    expect(problems.find((each) => each.code === "ManifestSyntax")?.line).toBe(5);
  });

  test("finds nothing wrong with the example, and warnings alone are fine", async () => {
    expect(await tulle(["check", "-f", "examples/whoami", "--acl", "on"])).toMatchObject({ code: 0, err: "" });
    const { code, err } = await tulle(["check", "-f", "examples/your-own-service", "--acl", "on"]);
    expect([code, err]).toEqual([0, expect.stringContaining("warning EndpointWithoutIdentity")]);
  });

  test("names the template of Pods that are not served, at its line and once", async () => {
    const deployment = (name: string, container: string) => `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  replicas: 3
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      containers:
        - name: c
          ${container}
---
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {selector: {app: ${name}}, ports: [{port: 80, targetPort: web}]}
`;
    const manifests =
      deployment("strange", "image: nginx") +
      deployment("wrong", 'image: traefik/whoami\n          args: ["--port", "99999"]');
    const folder = await folderOf("a.yaml", manifests);
    const lines = (await tulle(["check", "-f", folder])).err.trim().split("\n");
    const told = lines.map((line) => /^\S+a\.yaml:(\d+: \w+ (\w+) [^:]+): /.exec(line)?.[1]);
    expect(told.filter((line) => !line?.includes("ServiceWithoutEndpoints"))).toEqual([
      "12: warning ImageNotServed Deployment default/strange spec.template.spec.containers[0].image",
      "17: error TargetPortUnresolved Service default/strange spec.ports[0].targetPort",
      "28: warning SampleNotServed Deployment default/wrong spec.template.spec.containers[0]",
      "35: error TargetPortUnresolved Service default/wrong spec.ports[0].targetPort",
    ]);
    expect(lines[1]).toContain('no container of Deployment default/strange has a TCP port named "web"');
  });

  test("says of a path that is not there that it is not", async () => {
    const { code, err } = await tulle(["check", "-f", "nowhere"]);
    expect([code, err]).toEqual([
      1,
      expect.stringContaining("FileUnreadable File nowhere: there is no such file or folder"),
    ]);
  });
});

test("manifests come through standard input too", async () => {
  const child = start(["check", "-f", "-"]);
  child.stdin.end("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: Nope}\n");
  const { code, out, err } = await finish(child);
  expect([code, out, err]).toEqual([
    1,
    "1 error, 0 warnings; 1 file, 0 Services\n",
    expect.stringMatching(/^-:4: error ManifestInvalid Service default\/a spec\.type: /),
  ]);
});

test.each([[["check", "-f", "examples/whoami"]], [["export"]], [["local", "--once", ...ANY_PORTS]]])(
  "%j says in one line that its output cannot be written",
  async (args) => {
    const command = ["-c", 'exec "$0" bin/tulle "$@" >/dev/full', process.execPath, ...args];
    const child = spawn("sh", command, { cwd: ROOT });
    children.push(child);
    expect(await finish(child)).toEqual({
      code: 1,
      out: "",
      err: expect.stringMatching(/^(tulle: warning: not every port .*\n)?tulle: standard output: ENOSPC.*\n$/),
    });
  },
);

describe("tulle explain", () => {
  const explain = (from: string, to: string, ...more: string[]) =>
    tulle(["explain", "-f", "examples/whoami", "--acl", "on", "--from", `whoami/${from}`, "--to", to, ...more]);

  test.each([
    ["whoami-client", "whoami-api.whoami.traefik.mesh", ["--path", "/api"], 0, "TrafficTarget whoami/whoami-api"],
    ["whoami-client", "whoami-api.whoami.traefik.mesh", ["--path", "/"], 1, "TrafficTarget whoami/whoami-api"],
    ["whoami-stranger", "whoami.whoami.maesh", [], 1, "TrafficTarget whoami/whoami-http"],
    ["whoami-client", "whoami-split.whoami.traefik.mesh:80", [], 0, "TrafficSplit whoami/whoami-split"],
    ["whoami-client", "whoami-tcp.whoami.traefik.mesh:8080", [], 0, "TrafficTarget whoami/whoami-tcp"],
    ["whoami-stranger", "whoami-udp.whoami.traefik.mesh", [], 1, "TrafficTarget whoami/whoami-udp"],
  ])("of a call from %s to %s %j exits with %i and names %s", async (from, to, more, code, decidedBy) => {
    const answer = await explain(from, to, "--json", ...more);
    expect([answer.code, JSON.parse(answer.out).decidedBy]).toEqual([code, decidedBy]);
  });

  test("suggests the name that was meant, and the Pod", async () => {
    const name = await explain("whoami-client", "whoam.whoami.traefik.mesh");
    expect([name.code, name.out]).toEqual([1, expect.stringContaining("did you mean whoami.whoami.traefik.mesh?")]);
    const pod = await explain("whoami-clint", "whoami.whoami.traefik.mesh");
    expect([pod.code, pod.err]).toEqual([2, expect.stringContaining("did you mean whoami/whoami-client?")]);
  });

  test.each(["whoami", "whoami.whoami.svc.cluster.local", "whoami.whoami.traefik.mesh"])(
    "says that there is no such port of %s",
    async (host) => {
      const { code, out } = await explain("whoami-client", `${host}:81`);
      expect([code, out]).toEqual([1, expect.stringMatching(/no port 81.*; it has 80$/m)]);
      expect((await explain("whoami-client", `${host}:80`)).code).toBe(0);
    },
  );

  test("says which objects it could not read, since a running mesh may still have them", async () => {
    const folder = await folderOf("a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: Nope}\n");
    const { code, err } = await tulle(["explain", "-f", folder, "--from", "a/b", "--to", "a"]);
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(/a\.yaml:4: error ManifestInvalid .*stays as it was before/),
    ]);
  });

  test.each([
    [["--to", "whoami:99999"], "99999 is no port"],
    [["--to", "whoami", "--method", "G T"], '--method "G T": expected a method of HTTP'],
    [["--to", "whoami", "--path", "metrics"], '--path "metrics": expected a path from /'],
    [["--to", "whoami", "--header", "a b: c"], '--header "a b": expected a word'],
    [["--to", "whoami", "-f", "nowhere"], "-f nowhere: there is no such file or folder"],
  ])("refuses a call that cannot be made, or of nowhere: %j", async (args, sentence) => {
    const call = ["explain", "-f", "examples/whoami", "--from", "whoami/whoami-client", ...args];
    expect(await tulle(call)).toMatchObject({ code: 2, out: "", err: expect.stringContaining(sentence) });
  });

  test("says that a name of the cluster passes by the mesh", async () => {
    const { code, out } = await explain("whoami-client", "whoami.whoami.svc.cluster.local");
    expect([code, out]).toEqual([0, expect.stringContaining("passes by the mesh and its access control")]);
  });
});

describe("the command line", () => {
  test.each([
    [["explan"], "Did you mean explain?"],
    [["help", "explan"], 'unknown command "explan": did you mean explain?'],
    [["help", "bogus"], 'unknown command "bogus"'],
    [["local", "--jsn"], "Did you mean --json?"],
    [["check", "-f", ""], "It is empty."],
    [["local", "-f", "nowhere"], "-f nowhere: there is no such file or folder"],
    [["export", "-f", "nowhere"], "-f nowhere: there is no such file or folder"],
    [["local", "--acl", "maybe"], '"maybe" is none of off, audit, on.'],
    [["local", "--dns", "here"], "is not ADDRESS:PORT"],
    [["check"], "no cluster to work on"],
    [["check"], "or give manifests with -f PATH"],
    [["explain", "--from", "a/b", "--to", "c.d.traefik.mesh"], "or give manifests with -f PATH"],
    [["proxy", "--controller", "nowhere"], "is not HOST:PORT"],
    [["controller", "--dns-mode", "maybe"], "none of forward, rewrite, manual"],
    [["controller", "--masterURL=https://a"], "--kubeconfig"],
    [["controller", "--apiHost", "::"], "--address says where the controller listens"],
    [["controller", "--limitHTTPPort", "20"], "ports have no limit"],
    [["controller", "--limitTCPPort=20"], "ports have no limit"],
    [["controller", "--limitUDPPort=20"], "ports have no limit"],
    [["prepare", "--debug"], "write --log-level debug"],
    [["prepare", "--smi"], "write --acl on"],
    [["cleanup", "--logLevel", "loud"], '"loud" is none of debug'],
    [["controller", "--logFormat", "xml"], '"xml" is none of text, json'],
    [["controller", "--defaultMode", "smtp"], '"smtp" is none of http, tcp, udp'],
    [["cleanup", "--configFile", "/etc/maesh/maesh.toml"], "write it as YAML"],
    [["export", "--format", "envoy"], "one of tulle, traefik"],
  ])("refuses %j with 2 and a hint", async (args, hint) => {
    const { code, err } = await tulle(args);
    expect([code, err]).toEqual([2, expect.stringContaining(hint)]);
  });

  test.each([["version"], ["--version"], ["-V"]])("says its version on %s", async (argument) => {
    const { code, out, err } = await tulle([argument]);
    expect([code, out, err]).toEqual([0, expect.stringMatching(/^tulle \d+\.\d+\.\d+\nnode /), ""]);
  });

  test.each([
    ["local", "off, and audit for the example"],
    ["check", "off, and on a cluster as installed"],
    ["explain", "off, and on a cluster as installed"],
    ["export", "off, and audit for the example"],
    ["controller", "off"],
  ])("%s --help says which access control holds without --acl", async (command, otherwise) => {
    const { out } = await tulle([command, "--help"]);
    expect(out.replaceAll(/\s+/g, " ")).toContain(`or on; without it ${otherwise} (preset: "on", env: TULLE_ACL)`);
  });

  test("export --format traefik prints Traefik's configuration, and says beside it what Traefik cannot do", async () => {
    const { code, out, err } = await tulle(["export", "--format", "traefik", "--acl", "on"]);
    expect(JSON.parse(out).http.routers["whoami-whoami-whoami-http-80-traffic-target-direct"]).toMatchObject({
      entryPoints: ["http-5000"],
      middlewares: ["whoami-whoami-retry"],
    });
    expect(err).toContain("20-servers.yaml:114: error TraefikUdpDenied Service whoami/whoami-udp spec.ports[0]: ");
    expect(code).toBe(1);
  });

  test("takes options from variables and a file too, and refuses unknown ones", async () => {
    const folder = await folderOf("options.yaml", "acl: on\n");
    const mode = async (args: string[], env = {}) =>
      (JSON.parse((await tulle(["export", ...args], env)).out) as { config: { accessControl: string } }).config
        .accessControl;
    expect(await mode([])).toBe("audit");
    expect(await mode(["--config", join(folder, "options.yaml")])).toBe("on");
    expect(await mode(["--config", join(folder, "options.yaml")], { TULLE_ACL: "off" })).toBe("off");
    expect(await mode(["--acl", "on"], { TULLE_ACL: "off" })).toBe("on");
    expect(await tulle(["version"], { TULLE_DSN: "x" })).toMatchObject({
      code: 2,
      err: expect.stringContaining("TULLE_DNS"),
    });
    await writeFile(join(folder, "options.yaml"), "alc: on\n");
    const unknown = await tulle(["export", "--config", join(folder, "options.yaml")]);
    expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining('did you mean "acl"?') });
  });

  test("reads what Traefik Mesh's options mean here too, in their spelling", async () => {
    const folder = await folderOf("options.yaml", "acl: true\ndefaultMode: tcp\n");
    const service = "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}]}}";
    await writeFile(join(folder, "service.yaml"), service);
    const compiled = async (args: string[], env = {}) => {
      const { config } = JSON.parse((await tulle(["export", "-f", join(folder, "service.yaml"), ...args], env)).out);
      const { trafficType } = config.servicePorts["default/s:80"] as { trafficType: string };
      return `${config.accessControl} ${trafficType}`;
    };
    expect(await compiled([])).toBe("off http");
    expect(await compiled(["--acl", "--defaultMode=tcp"])).toBe("on tcp");
    expect(await compiled(["--ACL=false", "--DEFAULTMODE", "tcp"])).toBe("off tcp");
    expect(await compiled(["--configFile", join(folder, "options.yaml")])).toBe("on tcp");
    const variables = { TRAEFIK_MESH_ACL: "true", TRAEFIK_MESH_DEFAULTMODE: "tcp" };
    expect(await compiled([], variables)).toBe("on tcp");
    // What is ours outweighs it, and it outweighs the file.
    expect(await compiled(["--default-mode", "http"], { ...variables, TULLE_ACL: "off" })).toBe("off http");
    const file = ["--config", join(folder, "options.yaml")];
    expect(await compiled(file, { TRAEFIK_MESH_ACL: "false" })).toBe("off tcp");
  });

  test.each([
    [{ MAESH_LOGLEVEL: "debug" }, "variable MAESH_LOGLEVEL: this prefix is not read; TULLE_LOG_LEVEL is"],
    [{ TRAEFIK_MESH_DEBUG: "true" }, "variable TRAEFIK_MESH_DEBUG is an option of Traefik Mesh that is not here"],
    [{ TRAEFIK_MESH_ACL: "maybe" }, 'variable TRAEFIK_MESH_ACL: acl: "maybe" is none of off, audit, on.'],
  ])("refuses the variables %j of Traefik Mesh with 2 and a hint", async (variables, hint) => {
    const { code, err } = await tulle(["export"], variables);
    expect([code, err]).toEqual([2, expect.stringContaining(hint)]);
  });

  test.each([
    ["0", false],
    ["false", false],
    ["", false],
    ["1", true],
    ["TRUE", true],
  ])("takes a switch from a variable: %j is %j", async (text, on) => {
    const { code, out } = await tulle(["check", "-f", "examples/whoami"], { TULLE_JSON: text });
    expect([code, out.startsWith("[")]).toEqual([0, on]);
  });

  test("refuses a switch that is neither on nor off", async () => {
    const { code, err } = await tulle(["local", ...ANY_PORTS], { TULLE_ONCE: "maybe" });
    expect([code, err]).toEqual([2, 'tulle: TULLE_ONCE="maybe": it takes true or false\n']);
  });

  test("exports the same version of the same objects", async () => {
    const versions = await Promise.all(
      [1, 2].map(async () => JSON.parse((await tulle(["export"])).out).version as string),
    );
    expect(versions[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(versions[1]).toBe(versions[0]);
  });
});

describe("tulle local", () => {
  test.each(["audit", "on"])("--once makes every call of the example, with access control %s", async (mode) => {
    const { code, out } = await tulle(["local", "--once", "--acl", mode, ...ANY_PORTS]);
    expect([code, out.match(/✓/g)?.length, out.match(/✗/g)]).toEqual([0, 13, null]);
  });

  test("says in one line where everything is, and ends clean at the first signal", async () => {
    const child = start(["local", "--json", ...ANY_PORTS]);
    const finished = finish(child);
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const ready = JSON.parse(line.toString());
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
    child.kill("SIGINT");
    const { code, out } = await finished;
    expect([code, out.trim().split("\n").length]).toEqual([0, 1]);
  });

  test("--keep-calling makes the example's calls again, until the first signal", async () => {
    const child = start(["local", "--json", "--keep-calling", "--acl", "on", ...ANY_PORTS]);
    const finished = finish(child);
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { admin } = JSON.parse(line.toString()) as { admin: string };
    // The walk has one of these; a tap sees the second one on.
    const tap = await fetch(`${admin}/api/tap?to=whoami/whoami-api&path=/api&count=2`);
    const seen = (await tap.text()).trim().split("\n");
    expect(seen.map((each) => JSON.parse(each).status)).toEqual([200, 200]);
    child.kill("SIGINT");
    expect(await finished).toMatchObject({ code: 0, err: expect.stringMatching(NOTHING_BUT_PORTS) });
  });

  test.each([
    ["audit", /^ {2}curl http:\/\/127\.3\./m, /^ {2}echo WHO \| nc -q 1 127\.3\./m],
    ["on", /^ {2}curl --interface 127\.1\.\S+ http:\/\/127\.3\./m, /^ {2}echo WHO \| nc -s 127\.1\.\S+ -q 1 127\.3\./m],
  ])("prints lines to paste that are let through with access control %s", async (mode, curl, nc) => {
    const child = start(["local", "--acl", mode, ...ANY_PORTS]);
    let out = "";
    for await (const bytes of child.stdout) {
      out += bytes;
      if (out.includes("Ctrl-C ends.")) break;
    }
    const lines = out.slice(out.indexOf("\nTry, in another terminal"));
    expect(lines).toMatch(curl);
    expect(lines).toMatch(nc);
    expect(lines.includes("who calls from no Pod's address is denied")).toBe(mode === "on");
    if (mode === "on") expect(lines).not.toMatch(/curl http:\/\/127\.3\.|nc -[qu]/);
  });

  test("names the option of an address that is not one of this machine", async () => {
    const { code, err } = await tulle(["local", "--once", ...ANY_PORTS, "--dns", "192.0.2.1:15353"]);
    expect([code, err]).toEqual([
      1,
      "tulle: DNS (--dns) cannot listen on 192.0.2.1:15353: the address is not one of this machine (EADDRNOTAVAIL)\n",
    ]);
  });

  test("says in one line how many file descriptors are missing, and ends", async () => {
    const folder = await folderOf("a.yaml", podsAndServices(150));
    const limited = spawn(
      "sh",
      ["-c", 'ulimit -n 300; exec "$0" bin/tulle "$@"', process.execPath, "local", "-f", folder, ...ANY_PORTS],
      { cwd: ROOT },
    );
    children.push(limited);
    const { code, out, err } = await finish(limited);
    expect([code, out, err.trim().split("\n")]).toEqual([
      1,
      "",
      [expect.stringContaining("700 file descriptors are needed, and this process may have 300")],
    ]);
  });

  test("ends at a signal while it starts", async () => {
    const folder = await folderOf("a.yaml", podsAndServices(2000));
    const child = start(["local", "-f", folder, ...ANY_PORTS]);
    const finished = finish(child);
    // DNS, SOCKS5 and the admin API listen before the manifests are read, which takes longer.
    while ((await socketsOf(child.pid as number)) < 4) await setImmediate();
    child.kill("SIGINT");
    expect(await finished).toMatchObject({ code: 0, out: expect.stringContaining("stopping") });
  });

  test("runs an empty folder as a mesh without services", async () => {
    const folder = await folderOf("notes.txt", "nothing here");
    const { code, err } = await tulle(["local", "-f", folder, "--once", ...ANY_PORTS]);
    expect([code, err]).toEqual([0, expect.stringMatching(/^\S+: warning FolderWithoutManifests .*\n$/)]);
  });
});
