import { afterAll, beforeAll, expect, test } from "vitest";
import { admin, apply, curl, eventually, fail, helm, kubectl, MESH_NAMESPACE, RELEASE, report } from "./cluster.ts";
import { corefile, setCorefile } from "./dns.ts";
import { install, uninstall, upgrade } from "./install.ts";

const OTHER_NAMESPACE = "tulle-elsewhere";
const LONG = { namespace: "m".repeat(63), service: "w".repeat(63) };

/** In force, and rolled out. */
async function dnsInForce(): Promise<void> {
  await eventually("the mesh domains are in cluster DNS", 60, async () => {
    const { leader } = await admin<{ leader: string }>("/api/status/controller");
    const { dns } = await admin<{ dns: { inForce: boolean } }>("/api/status/controller", leader);
    if (!dns.inForce) fail(JSON.stringify(dns));
  });
  await kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s");
}

async function answers(url = "http://whoami.whoami.traefik.mesh/", seconds = 60): Promise<void> {
  await eventually(url, seconds, async () => {
    const { status } = await curl("whoami", "whoami-client", url);
    if (status !== 200) fail(`status ${status}`);
  });
}

beforeAll(async () => {
  await apply(
    JSON.stringify({
      apiVersion: "v1",
      kind: "List",
      items: [
        { apiVersion: "v1", kind: "Namespace", metadata: { name: LONG.namespace } },
        {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { name: "long", namespace: LONG.namespace, labels: { app: "long" } },
          spec: { containers: [{ name: "whoami", image: "traefik/whoami:v1.6.0", imagePullPolicy: "IfNotPresent" }] },
        },
        {
          apiVersion: "v1",
          kind: "Service",
          metadata: { name: LONG.service, namespace: LONG.namespace },
          spec: { selector: { app: "long" }, ports: [{ port: 80 }] },
        },
      ],
    }),
  );
}, 60_000);

afterAll(() => kubectl("delete", "namespace", LONG.namespace, "--wait=true"), 120_000);

test("helm test finds nothing wrong", async () => {
  const text = await helm("test", RELEASE, "-n", MESH_NAMESPACE, "--timeout=120s");
  expect(text).toContain("Succeeded");
}, 150_000);

test("a block that somebody overwrites is repaired within 60 s, and an Event says so", async () => {
  const patched = await corefile();
  expect(patched).toContain("#### Begin Mesh traefik.mesh Block");
  const without = patched.slice(0, patched.indexOf("#### Begin")).trimEnd();
  await setCorefile(`${without}\n`);
  const began = Date.now();
  await eventually("the block is back", 60, async () => {
    if (!(await corefile()).includes("#### Begin Mesh traefik.mesh Block")) fail("not yet");
  });
  report("overwritten block repaired after", `${((Date.now() - began) / 1000).toFixed(1)} s`);
  await eventually("an Event says so", 10, async () => {
    const events = await kubectl(
      "-n",
      "kube-system",
      "get",
      "events",
      "--field-selector=reason=MeshDnsRepaired",
      "-o",
      "name",
    );
    if (events.trim() === "") fail("no Event");
  });
  await dnsInForce();
  await answers();
}, 240_000);

test("in mode rewrite, mesh names answer too, those of 63 characters and both domains included", async () => {
  await upgrade(["dns.mode=rewrite"]);
  await eventually("the block rewrites", 60, async () => {
    if (!(await corefile()).includes("rewrite continue")) fail(await corefile());
  });
  await dnsInForce();
  await answers();
  await answers("http://whoami.whoami.maesh/");
  await answers(`http://${LONG.service}.${LONG.namespace}.traefik.mesh/`);
}, 300_000);

test("uninstalling leaves the Corefile byte for byte as it was, and no object", async () => {
  await uninstall();
  const original = await corefile();
  expect(original).not.toContain("traefik.mesh");
  await eventually("nothing is left in the mesh's namespace", 90, async () => {
    const left = await kubectl(
      "-n",
      MESH_NAMESPACE,
      "get",
      "all,configmap,secret,lease,serviceaccount,role,rolebinding,pdb,networkpolicy",
      "-o",
      "name",
    );
    const ours = left
      .split("\n")
      .filter((name) => name !== "" && !/kube-root-ca.crt|serviceaccount\/default/.test(name));
    if (ours.length > 0) fail(ours.join(" "));
  });
  const cluster = await kubectl("get", "clusterrole,clusterrolebinding", "-o", "name");
  expect(cluster.split("\n").filter((name) => /\/tulle-(controller|proxy|cleanup)\b/.test(name))).toEqual([]);
  const dns = await kubectl("-n", "kube-system", "get", "role,rolebinding,pod,configmap", "-o", "name");
  expect(dns.split("\n").filter((name) => name.includes("tulle"))).toEqual([]);
  await kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s");
  // Once more there and back, now with a known beginning.
  await install();
  await dnsInForce();
  expect(await corefile()).not.toBe(original);
  await uninstall();
  expect(await corefile()).toBe(original);
}, 480_000);

test("installed again in another namespace, mesh names resolve again", async () => {
  await install([], OTHER_NAMESPACE);
  try {
    await answers("http://whoami.whoami.traefik.mesh/", 90);
  } finally {
    await uninstall(OTHER_NAMESPACE);
    await kubectl("delete", "namespace", OTHER_NAMESPACE, "--wait=false");
  }
}, 360_000);
