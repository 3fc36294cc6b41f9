/** `tulle explain` of manifests, and of a running `tulle local`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { RunningLocal } from "./running-local.ts";
import { folderOf, ROOT, runTulle } from "./tulle-process.ts";

describe("tulle explain", () => {
  const explain = (from: string, to: string, ...more: string[]) =>
    runTulle(["explain", "-f", "examples/whoami", "--acl", "on", "--from", `whoami/${from}`, "--to", to, ...more]);

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
    },
  );

  test("says which objects it could not read, since a running mesh may still have them", async () => {
    const folder = await folderOf("a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: Nope}\n");
    const { code, err } = await runTulle(["explain", "-f", folder, "--from", "a/b", "--to", "a"]);
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(/a\.yaml:4: error ManifestInvalid .*the object is left out; correct the field/),
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
    expect(await runTulle(call)).toMatchObject({ code: 2, out: "", err: expect.stringContaining(sentence) });
  });

  test("says that a name of the cluster passes by the mesh", async () => {
    const { code, out } = await explain("whoami-client", "whoami.whoami.svc.cluster.local");
    expect([code, out]).toEqual([0, expect.stringContaining("passes by the mesh and its access control")]);
  });
});

describe("tulle explain --local", () => {
  async function local(acl: string): Promise<(...args: string[]) => ReturnType<typeof runTulle>> {
    const mesh = await RunningLocal.start("--acl", acl);
    onTestFinished(() => mesh.stop());
    return (...args) => runTulle(["explain", "--local", "--admin", mesh.admin, ...args]);
  }
  const stranger = ["--from", "whoami/whoami-stranger", "--to", "whoami.whoami.traefik.mesh"];

  test("says what the running mesh would do, with its access control", async () => {
    const denying = await local("on");
    const denied = await denying(...stranger);
    expect([denied.code, denied.err]).toEqual([1, ""]);
    expect(denied.out).toMatch(/^decided by: TrafficTarget whoami\/whoami-http\nnot served\n$/m);
    const json = await denying(...stranger, "--path", "/x?y=1", "--header", "a: b", "--json");
    expect(JSON.parse(json.out)).toMatchObject({
      status: 403,
      failure: "AccessDenied",
      servicePort: "whoami/whoami:80",
    });
    const audited = await (await local("audit"))(...stranger);
    expect([audited.code, audited.out]).toEqual([0, expect.stringContaining("because access control is audit")]);
  });

  test("denies with --acl on the call that the example's page explains", async () => {
    const page = readFileSync(join(ROOT, "examples/whoami/README.md"), "utf8");
    const [, line = ""] = /^ {4}bin\/tulle explain --local (.+)$/m.exec(page) ?? [];
    const explain = await local("on");
    expect(await explain(...line.split(" "))).toMatchObject({ code: 1, out: expect.stringMatching(/not served\n$/) });
  });

  test("refuses what cannot be asked as of manifests, and says where there is no mesh", async () => {
    const explain = await local("off");
    const refused = await explain("--from", "whoami/whoami-clint", "--to", "whoami");
    const meant = "tulle: --from whoami/whoami-clint: there is no such Pod; did you mean whoami/whoami-client?\n";
    expect(refused).toEqual({ code: 2, out: "", err: meant });
    const nothing = await explain("--from", "", "--to", "whoami");
    expect([nothing.code, nothing.err]).toEqual([
      2,
      expect.stringMatching(/^tulle: --from : .* expected NAMESPACE\/POD\n$/),
    ]);
    const both = await explain(...stranger, "-f", "examples/whoami");
    expect([both.code, both.err]).toEqual([2, expect.stringContaining("leave out -f, --acl, --default-mode")]);
    const nobody = await runTulle(["explain", "--local", "--admin", "127.0.0.1:1", ...stranger]);
    expect([nobody.code, nobody.err]).toEqual([
      1,
      expect.stringContaining("no tulle local can be looked at (--admin)"),
    ]);
  });
});
