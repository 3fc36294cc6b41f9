/** The command line as such; each command has a file of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const ANY_PORTS = ["--dns", "127.0.0.1:0", "--socks", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

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

test.each([[["check", "-f", "examples/whoami"]], [["export"]], [["local", "--once", ...ANY_PORTS]]])(
  "%j says in one line that its output cannot be written",
  async (args) => {
    const command = ["-c", 'exec "$0" bin/tulle "$@" >/dev/full', process.execPath, ...args];
    const child = spawn("sh", command, { cwd: ROOT });
    children.push(child);
    expect(await finish(child)).toEqual({
      code: 1,
      out: "",
      err: expect.stringMatching(
        /^(tulle: warning: (not every port|no manifests) .*\n)?tulle: standard output: ENOSPC.*\n$/,
      ),
    });
  },
);

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
    [["controller", "--limitHTTPPort", "5001"], "not a number from 0 to 5000"],
    [["controller", "--limitTCPPort=many"], "not a number from 0 to 5000"],
    [["controller", "--limitUDPPort=-1"], "not a number from 0 to 17768"],
    [["controller", "--proxy-engine", "envoy"], "neither tulle nor traefik"],
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

  test("a controller that cannot start ends with 1 and says why", async () => {
    const cluster =
      "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: {token: t}}]";
    const folder = await folderOf(
      "kubeconfig",
      `${cluster}\ncontexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c\n`,
    );
    const { code, err } = await tulle(["controller", "--kubeConfig", join(folder, "kubeconfig"), "--tls-dir", folder]);
    // Both are read at once, and either may be missed first.
    expect([code, err]).toEqual([1, expect.stringContaining(`open '${folder}/tls.`)]);
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
    expect(err).toContain("20-servers.yaml:122: error TraefikUdpDenied Service whoami/whoami-udp spec.ports[0]: ");
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
