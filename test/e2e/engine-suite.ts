/** What a mesh must do whatever carries its calls. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  admin,
  apply,
  curl,
  eventually,
  fail,
  helm,
  kubectl,
  MESH_NAMESPACE,
  netcat,
  podsOf,
  podsReady,
  RELEASE,
  report,
  tulle,
} from "./cluster.ts";
import { corefile } from "./dns.ts";
import { install, uninstall, upgrade } from "./install.ts";

const EXAMPLE = new URL("../../examples/whoami/", import.meta.url).pathname;
const NAMESPACE = "whoami";
const CLIENT = "whoami-client";
const MESH_NAME = "http://whoami.whoami.traefik.mesh/";

interface Node {
  readonly Name: string;
  readonly Ready: boolean;
  readonly programmed: boolean;
  readonly version: string;
}

/** @param values of the chart, by which it is installed */
export function engineSuite(engine: "tulle" | "traefik", values: readonly string[]): void {
  let before = "";

  const takeAway = async () => {
    if ((await helm("list", "-n", MESH_NAMESPACE, "-q")).includes(RELEASE)) await uninstall();
  };

  beforeAll(async () => {
    await takeAway();
    before = await corefile();
    await kubectl("apply", "-f", EXAMPLE);
    await podsReady(NAMESPACE);
  }, 480_000);

  afterAll(takeAway, 240_000);

  test("it is installed, and a mesh name answers", async () => {
    const began = Date.now();
    await install(values);
    await eventually("the mesh name answers", 60, () => answers(MESH_NAME, 200));
    report(`${engine}: install, and the first call`, `${((Date.now() - began) / 1000).toFixed(1)} s`);
    await programmed();
  }, 240_000);

  test("tulle check and tulle status find nothing wrong, and know what every proxy has in force", async () => {
    await eventually("tulle check", 30, async () => {
      const { code, text } = await tulle("check");
      if (code !== 0 || !text.includes("in force on 2 of 2")) fail(text);
    });
    const status = await tulle("status");
    expect([status.code, status.text]).toEqual([0, expect.stringContaining("in force on 2 of 2")]);
  });

  test("HTTP, TCP and UDP answer by both mesh domains", async () => {
    for (const domain of ["traefik.mesh", "maesh"]) {
      await answers(`http://whoami.whoami.${domain}/`, 200);
      expect(await netcat(NAMESPACE, CLIENT, "-q 1 -w 3", `whoami-tcp.whoami.${domain}`, 8080)).toContain("Hostname:");
      await eventually(`UDP by ${domain}`, 15, async () => {
        const answer = await netcat(NAMESPACE, CLIENT, "-u -w 1", `whoami-udp.whoami.${domain}`, 8080);
        if (!answer.includes("Hostname: whoami-udp")) fail(`answer ${JSON.stringify(answer)}`);
      });
    }
  }, 90_000);

  test("a caller's address is passed on, and the proxy's name", async () => {
    const { body } = await curl(NAMESPACE, CLIENT, MESH_NAME);
    const address = await kubectl("-n", NAMESPACE, "get", "pod", CLIENT, "-o", "jsonpath={.status.podIP}");
    expect(body).toContain(`X-Forwarded-For: ${address}`);
    expect(body).toMatch(/X-Forwarded-Server: tulle-proxy-/);
  });

  test("a split shares the calls out by its weights", async () => {
    const seen = { v1: 0, v2: 0 };
    const calls = 40;
    const url = "http://whoami-split.whoami.traefik.mesh/";
    const { body } = await curl(NAMESPACE, CLIENT, url, ...Array.from({ length: calls - 1 }, () => url));
    for (const [, version] of body.matchAll(/Hostname: whoami-(v[12])/g)) seen[version as "v1" | "v2"]++;
    expect(seen.v1 + seen.v2).toBe(calls);
    // 80 to 20, for each proxy and worker by itself.
    expect(seen.v1).toBeGreaterThanOrEqual(28);
    expect(seen.v2).toBeGreaterThanOrEqual(4);
  });

  test("a change comes into force on every proxy; how long that takes", async () => {
    const earlier = await nodes();
    const began = Date.now();
    await apply(JSON.stringify(service("added", { app: "whoami" })));
    await eventually("the new Service answers", 20, () => answers("http://added.whoami.traefik.mesh/", 200));
    report(`${engine}: a new Service answers after`, `${((Date.now() - began) / 1000).toFixed(1)} s`);
    // Its name was looked up before it was there, and cluster DNS remembers that for a while.
    await programmed();
    const changedAt = Date.now();
    await kubectl("-n", NAMESPACE, "annotate", "service", "added", "mesh.traefik.io/retry-attempts=3");
    await programmed((now) => now.every(({ version }, index) => version !== earlier[index]?.version));
    report(`${engine}: an annotation is in force after`, `${((Date.now() - changedAt) / 1000).toFixed(1)} s`);
    await kubectl("-n", NAMESPACE, "delete", "service", "added");
  }, 90_000);

  test("the admin API says what a proxy has in force, in the forms of the original", async () => {
    const [first] = await nodes();
    const path = `/api/status/node/${first?.Name}/configuration`;
    expect(await admin<object>(path)).toMatchObject({ routers: { "whoami-whoami-80@http": { status: "enabled" } } });
    expect(await admin<object>("/api/topology/current")).toMatchObject({
      services: { "whoami@whoami": { errors: null } },
    });
    expect(await admin<object>("/api/configuration/current")).toMatchObject({
      http: { routers: { "whoami-whoami-80": {} } },
    });
    expect(await admin<boolean>("/api/status/readiness")).toBe(true);
  });

  test("a proxy that is deleted comes back, and no call is lost that another can carry", async () => {
    const proxies = await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=proxy");
    await kubectl("-n", MESH_NAMESPACE, "delete", "pod", proxies[0]?.metadata.name ?? "", "--wait=false");
    await eventually("both proxies are ready again", 90, async () => {
      const { code } = await curl(NAMESPACE, CLIENT, MESH_NAME).then(({ status }) => ({ code: status }));
      if (code !== 200) fail(`status ${code}`);
      const now = await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=proxy");
      if (now.some(({ metadata }) => metadata.name === proxies[0]?.metadata.name)) fail("the old one is still there");
      await programmed();
    });
  }, 150_000);

  test("names and calls go on while there is no controller", async () => {
    await kubectl("-n", MESH_NAMESPACE, "scale", "deployment", "tulle-controller", "--replicas=0");
    await eventually("no controller is left", 60, async () => {
      const left = await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=controller");
      if (left.length > 0) fail(`${left.length} controllers`);
    });
    for (let call = 0; call < 5; call++) await answers(MESH_NAME, 200);
    expect(await netcat(NAMESPACE, CLIENT, "-q 1 -w 3", "whoami-tcp.whoami.traefik.mesh", 8080)).toContain("Hostname:");
    await kubectl("-n", MESH_NAMESPACE, "scale", "deployment", "tulle-controller", "--replicas=2");
    // A controller that starts serves nothing before it has read everything: not one call finds a hole.
    for (let call = 0; call < 20; call++) await answers(MESH_NAME, 200);
    await kubectl("-n", MESH_NAMESPACE, "rollout", "status", "deployment/tulle-controller", "--timeout=90s");
    for (let call = 0; call < 10; call++) await answers(MESH_NAME, 200);
    await eventually("all proxies programmed", 30, () => programmed());
  }, 240_000);

  test("with access control, what targets allow goes through, and nothing else", async () => {
    await upgrade(["acl=on"]);
    await eventually("a stranger is denied", 60, () => answers(MESH_NAME, 403, "whoami-stranger"));
    await answers(MESH_NAME, 200);
    await answers("http://whoami-api.whoami.traefik.mesh/api", 200);
    await answers("http://whoami-api.whoami.traefik.mesh/metrics", 403);
    await answers("http://whoami-split.whoami.traefik.mesh/", 200);
    await answers("http://whoami-split.whoami.traefik.mesh/", 403, "whoami-stranger");
    const forged = await curl(
      NAMESPACE,
      "whoami-stranger",
      MESH_NAME,
      "-H",
      `X-Forwarded-For: ${await clientAddress()}`,
    );
    expect(forged.status).toBe(403);
    const tcp = (pod: string) => netcat(NAMESPACE, pod, "-q 1 -w 3", "whoami-tcp.whoami.traefik.mesh", 8080);
    expect(await tcp(CLIENT)).toContain("Hostname: whoami-tcp");
    expect(await tcp("whoami-stranger")).not.toContain("Hostname:");
  }, 240_000);

  test("uninstalling leaves cluster DNS as it was, and no object", async () => {
    await uninstall();
    expect(await corefile()).toBe(before);
    await eventually("nothing is left", 60, async () => {
      const kinds = "all,configmap,secret,lease,serviceaccount,role,rolebinding,pdb,networkpolicy";
      const left = (await kubectl("-n", MESH_NAMESPACE, "get", kinds, "-o", "name")).split("\n");
      const ours = left.filter((name) => name !== "" && !/kube-root-ca.crt|serviceaccount\/default/.test(name));
      if (ours.length > 0) fail(ours.join(" "));
    });
    await answers("http://whoami.whoami.svc.cluster.local/", 200);
  }, 300_000);
}

async function answers(url: string, wanted: number, from = CLIENT): Promise<void> {
  const { status } = await curl(NAMESPACE, from, url);
  if (status !== wanted) fail(`${url} from ${from}: ${status} instead of ${wanted}`);
}

const nodes = () => admin<Node[]>("/api/status/nodes");

async function programmed(also: (nodes: readonly Node[]) => boolean = () => true): Promise<void> {
  await eventually("all proxies programmed", 20, async () => {
    const now = await nodes();
    if (now.length !== 2 || !now.every((node) => node.programmed && node.Ready) || !also(now))
      fail(JSON.stringify(now));
  });
}

async function clientAddress(): Promise<string> {
  return kubectl("-n", NAMESPACE, "get", "pod", CLIENT, "-o", "jsonpath={.status.podIP}");
}

function service(name: string, selector: Readonly<Record<string, string>>): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: NAMESPACE },
    spec: { selector, ports: [{ port: 80 }] },
  };
}
