/** `tulle check` of manifests. */
import { describe, expect, test } from "vitest";
import { folderOf, runTulle, startTulle } from "./tulle-process.ts";

describe("tulle check", () => {
  test("names every wrong object with its place, field and remedy, and exits with 1", async () => {
    const { code, out, err } = await runTulle(["check", "-f", "test/testdata/mistakes"]);
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
    const { code, out } = await runTulle(["check", "-f", "test/testdata/mistakes", "--json"]);
    const problems = JSON.parse(out) as { code: string; line: number }[];
    expect([code, problems.length]).toEqual([1, 23]);
    expect(problems.find((each) => each.code === "ManifestSyntax")?.line).toBe(5);
  });

  test("finds nothing wrong with the example, and warnings alone are fine", async () => {
    expect(await runTulle(["check", "-f", "examples/whoami", "--acl", "on"])).toMatchObject({ code: 0, err: "" });
    const { code, err } = await runTulle(["check", "-f", "examples/your-own-service", "--acl", "on"]);
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
    const lines = (await runTulle(["check", "-f", folder])).err.trim().split("\n");
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
    const { code, err } = await runTulle(["check", "-f", "nowhere"]);
    expect([code, err]).toEqual([
      1,
      expect.stringContaining("FileUnreadable File nowhere: there is no such file or folder"),
    ]);
  });
});

test("manifests come through standard input too", async () => {
  const { child, ended } = startTulle(["check", "-f", "-"]);
  child.stdin.end("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: Nope}\n");
  const { code, out, err } = await ended;
  expect([code, out, err]).toEqual([
    1,
    "1 error, 0 warnings; 1 file, 0 Services\n",
    expect.stringMatching(/^-:4: error ManifestInvalid Service default\/a spec\.type: /),
  ]);
});
