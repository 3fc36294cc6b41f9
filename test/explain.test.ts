/** `tulle explain` of manifests. */
import { describe, expect, test } from "vitest";
import { folderOf, runTulle } from "./tulle-process.ts";

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
