/** From Traefik Mesh to Tulle, and from one mesh of Tulle to another and back, under 200 calls a second. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  curl,
  eventually,
  fail,
  getJson,
  helm,
  kubectl,
  MESH_NAMESPACE,
  podsReady,
  RELEASE,
  report,
  tulle,
} from "./cluster.ts";
import { corefile } from "./dns.ts";
import { install, uninstall } from "./install.ts";
import { type Load, type LoadTotals, startLoad } from "./load.ts";
import {
  ORIGINAL,
  prepareOriginal,
  startOriginal,
  stopOriginalController,
  THEIR_PROXY,
  uninstallOriginal,
} from "./original-mesh.ts";

const OTHER_NAMESPACE = "tulle-elsewhere";
const EXAMPLE = new URL("../../examples/whoami/", import.meta.url).pathname;
const URL_OF_WHOAMI = "http://whoami.whoami.traefik.mesh/";

let load: Load | undefined;

beforeAll(async () => {
  if ((await helm("list", "-n", MESH_NAMESPACE, "-q")).includes(RELEASE)) await uninstall();
  for (const file of ["00-namespace.yaml", "10-clients.yaml", "20-servers.yaml"])
    await kubectl("apply", "-f", EXAMPLE + file);
  await podsReady("whoami");
  await startOriginal();
}, 300_000);

afterAll(async () => {
  await load?.stop();
  for (const namespace of [OTHER_NAMESPACE, MESH_NAMESPACE])
    if ((await helm("list", "-n", namespace, "-q")).includes(RELEASE)) await uninstall(namespace);
  await kubectl("delete", "namespace", OTHER_NAMESPACE, ORIGINAL, "--ignore-not-found", "--wait=false");
}, 300_000);

/** Who answers a call by the mesh name: a Pod of the example, or the one in the place of Traefik Mesh's proxies. */
async function answeredBy(): Promise<string> {
  const { status, body } = await curl("whoami", "whoami-client", URL_OF_WHOAMI);
  if (status !== 200) fail(`status ${status}`);
  return /Hostname: (\S+)/.exec(body)?.[1] ?? fail(body);
}

/** The mesh whose address the mesh name has, as cluster DNS tells a Pod. */
async function leadsTo(namespace: string): Promise<void> {
  const { items } = await getJson<{ items: { metadata: { name: string }; spec: { clusterIP: string } }[] }>(
    "services",
    "-n",
    namespace,
    "-l",
    "app=maesh,type=shadow",
  );
  const shadow = items.find(({ metadata }) => metadata.name === `${namespace}-whoami-6d61657368-whoami`);
  const address = shadow?.spec.clusterIP ?? fail(`no shadow service in ${namespace}`);
  await eventually(`the mesh name leads to ${namespace}`, 60, async () => {
    for (let turn = 0; turn < 5; turn++) {
      const args = ["-n", "whoami", "exec", "whoami-client", "--", "curl", "-sv", "-m", "5", URL_OF_WHOAMI];
      const { stderr } = await callOf(args);
      if (!stderr.includes(`(${address})`) && !stderr.includes(`Trying ${address}`)) fail(stderr.slice(0, 300));
    }
  });
}

async function callOf(args: readonly string[]): Promise<{ stderr: string }> {
  const text = await kubectl(...args.slice(0, 5), "sh", "-c", `${args.slice(5).join(" ")} 2>&1`);
  return { stderr: text };
}

async function takeOver(namespace: string): Promise<void> {
  const began = Date.now();
  const { code, text } = await tulle("migrate", "--take-over", "--namespace", namespace, "--timeout", "2m");
  report(`tulle migrate --take-over --namespace ${namespace}`, `${((Date.now() - began) / 1000).toFixed(1)} s`);
  expect([code, text]).toEqual([0, expect.stringContaining(`with the mesh in namespace ${namespace} now`)]);
  expect((await corefile()).match(/^traefik\.mesh:53 \{/gm)).toHaveLength(1);
  await kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s");
}

function expectNoFailure(what: string, { sent, ok, failed, slowestMs, failures }: LoadTotals): void {
  report(`${what}: calls, answered, failed, slowest so far`, `${sent}, ${ok}, ${failed}, ${slowestMs} ms`);
  expect(failures).toEqual([]);
  expect(failed).toBe(0);
  expect(sent).toBeGreaterThan(200);
}

/** Installed beside Traefik Mesh, Tulle stands by, and takes over when it is told. */
async function installBeside(): Promise<void> {
  await eventually("Traefik Mesh answers", 60, async () => expect(await answeredBy()).toBe(THEIR_PROXY));
  load = await startLoad(URL_OF_WHOAMI, 200);
  const told = await tulle("migrate", "--json");
  // Neither values nor its chart's objects: whether access control was on is left to the user.
  const plan = { from: "defaults", access: "unknown", values: {} };
  expect([told.code, JSON.parse(told.text)]).toEqual([1, expect.objectContaining(plan)]);
  const installed = await load.while(async () => {
    await install();
    await eventually("Traefik Mesh answers", 30, async () => expect(await answeredBy()).toBe(THEIR_PROXY));
  });
  expectNoFailure("installed beside Traefik Mesh", installed);
  const taken = await load.while(async () => {
    await takeOver(MESH_NAMESPACE);
    await leadsTo(MESH_NAMESPACE);
  });
  expectNoFailure("taken over from Traefik Mesh", taken);
}

/** The names go back to Traefik Mesh, and are taken over again. */
async function goBackAndForth(): Promise<void> {
  const totals = await load?.while(async () => {
    const { code, text } = await tulle("migrate", "--hand-back", "--namespace", MESH_NAMESPACE, "--timeout", "2m");
    expect([code, text]).toEqual([0, expect.stringContaining(`with Traefik Mesh in namespace ${ORIGINAL} again`)]);
    await kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s");
    await eventually("Traefik Mesh answers", 30, async () => expect(await answeredBy()).toBe(THEIR_PROXY));
    await takeOver(MESH_NAMESPACE);
    await leadsTo(MESH_NAMESPACE);
  });
  const { sent, failed, failures } = totals ?? fail("no load");
  report("back to Traefik Mesh, and taken over again: calls, failed", `${sent}, ${failed}`);
  // CoreDNS restarts twice in a row, and may ask a caller to look a name up again.
  expect(failures.filter((each) => !each.includes("EAI_AGAIN"))).toEqual([]);
  expect(failed).toBeLessThan(5);
}

/** Traefik Mesh's controller, started anew, does not get the names back for long, and nothing breaks. */
async function startControllerAnew(): Promise<void> {
  const totals = await load?.while(async () => {
    await prepareOriginal();
    await leadsTo(MESH_NAMESPACE);
    expect((await corefile()).match(/^traefik\.mesh:53 \{/gm)).toHaveLength(1);
  });
  expectNoFailure("Traefik Mesh's controller started anew", totals ?? fail("no load"));
}

/** Uninstalling Traefik Mesh after that takes nothing of Tulle along. */
async function uninstallTraefikMesh(): Promise<void> {
  // Its proxies' own connections end with them: the load begins anew, on connections to Tulle's.
  await load?.stop();
  load = await startLoad(URL_OF_WHOAMI, 200);
  const totals = await load.while(async () => {
    await stopOriginalController();
    await eventually("the blocks have Tulle's own marks", 30, async () => {
      if (!(await corefile()).includes("#### Begin Mesh traefik.mesh Block")) fail("not yet");
    });
    const before = await corefile();
    await uninstallOriginal();
    expect(await corefile()).toBe(before);
    await leadsTo(MESH_NAMESPACE);
  });
  expectNoFailure("Traefik Mesh uninstalled", totals);
}

/** The names move from one mesh of Tulle to another and back, and to the one that is left. */
async function moveBetweenMeshes(): Promise<void> {
  const running = load ?? fail("no load");
  const there = await running.while(async () => {
    await install([], OTHER_NAMESPACE);
    await leadsTo(MESH_NAMESPACE);
    await takeOver(OTHER_NAMESPACE);
    await leadsTo(OTHER_NAMESPACE);
  });
  expectNoFailure("from one mesh of Tulle to another", there);
  const back = await running.while(async () => {
    await takeOver(MESH_NAMESPACE);
    await leadsTo(MESH_NAMESPACE);
  });
  expectNoFailure("and back", back);
  const uninstalled = await running.while(() => uninstall(OTHER_NAMESPACE));
  expectNoFailure("the one that stands by uninstalled", uninstalled);
  await leadsTo(MESH_NAMESPACE);
}

/** Each step begins where the one before it ended. */
test("the names move from Traefik Mesh to Tulle and back, and between two meshes of Tulle, while calls go on", async () => {
  await installBeside();
  await goBackAndForth();
  await startControllerAnew();
  await uninstallTraefikMesh();
  await moveBetweenMeshes();
}, 900_000);
