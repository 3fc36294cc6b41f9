/** Nothing fails while something is taken away: a constant load of 200 calls a second runs through all of it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { admin, breaker, eventually, fail, kubectl, MESH_NAMESPACE, podsOf, report, SETTINGS } from "./cluster.ts";
import { type Load, type LoadTotals, newFailures, startLoad } from "./load.ts";

let load: Load;

beforeAll(async () => {
  await kubectl("-n", "whoami", "annotate", "service", "whoami", "mesh.traefik.io/retry-attempts=2", "--overwrite");
  load = await startLoad("http://whoami.whoami.traefik.mesh/", 200);
}, 120_000);

afterAll(() => load.stop(), 120_000);

function expectNoFailure(what: string, { sent, failed, failures }: LoadTotals): void {
  report(`${what}: calls, failed`, `${sent}, ${failed}`);
  expect(failures).toEqual([]);
  expect(failed).toBe(0);
  expect(sent).toBeGreaterThan(200);
}

/** By the address that Pods have of it, on every node. */
async function reachApiServer(): Promise<void> {
  const address = await kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}");
  const nodes = await kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}");
  for (const node of nodes.split(" "))
    await breaker("exec", node, "curl", "-ks", "-m", "2", "-o", "/dev/null", `https://${address}/livez`);
}

const rollout = (kind: string, namespace: string, name: string) =>
  kubectl("-n", namespace, "rollout", "status", `${kind}/${name}`, "--timeout=240s");

test("no call fails through a rollout of the proxies", async () => {
  const totals = await load.while(async () => {
    await kubectl("-n", MESH_NAMESPACE, "rollout", "restart", "daemonset/tulle-proxy");
    await rollout("daemonset", MESH_NAMESPACE, "tulle-proxy");
    await eventually("the old proxies have ended", 90, async () => {
      const pods = await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=proxy");
      if (pods.length !== 2) fail(`${pods.length} proxies`);
    });
  });
  expectNoFailure("rollout of the proxies", totals);
}, 400_000);

test("no call fails when the leading controller is killed, and the other takes over", async () => {
  const totals = await load.while(async () => {
    const { leader } = await admin<{ leader: string }>("/api/status/controller");
    await kubectl("-n", MESH_NAMESPACE, "delete", "pod", leader, "--grace-period=0", "--force");
    await eventually("another leads", 40, async () => {
      const pods = await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=controller");
      for (const { metadata } of pods.filter((pod) => pod.metadata.name !== leader)) {
        const status = await admin<{ leads: boolean }>("/api/status/controller", metadata.name).catch(() => undefined);
        if (status?.leads === true) return;
      }
      fail("nobody leads");
    });
  });
  expectNoFailure("leading controller killed", totals);
}, 120_000);

test("no call fails through a rolling update of the backend", async () => {
  const totals = await load.while(async () => {
    await kubectl("-n", "whoami", "rollout", "restart", "deployment/whoami");
    await rollout("deployment", "whoami", "whoami");
  });
  expectNoFailure("rolling update of the backend", totals);
}, 200_000);

test("no call fails while CoreDNS restarts", async () => {
  const totals = await load.while(async () => {
    await kubectl("-n", "kube-system", "rollout", "restart", "deployment/coredns");
    await rollout("deployment", "kube-system", "coredns");
  });
  expectNoFailure("CoreDNS restarted", totals);
}, 200_000);

test("no call fails when a proxy is told to end", async () => {
  const [proxy] = await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=proxy");
  const totals = await load.while(async () => {
    await kubectl("-n", MESH_NAMESPACE, "delete", "pod", proxy?.metadata.name ?? "", "--wait=true");
    await rollout("daemonset", MESH_NAMESPACE, "tulle-proxy");
  });
  expectNoFailure("a proxy ended by SIGTERM", totals);
}, 200_000);

test("a proxy that is killed takes no more with it than what was under way", async () => {
  const [proxy] = await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=proxy");
  const totals = await load.while(async () => {
    await kubectl("-n", MESH_NAMESPACE, "delete", "pod", proxy?.metadata.name ?? "", "--grace-period=0", "--force");
    await rollout("daemonset", MESH_NAMESPACE, "tulle-proxy");
  });
  report("a proxy killed: calls, failed", `${totals.sent}, ${totals.failed}`);
  // 8 kept connections a Pod, and what the other half had under way in that moment.
  expect(totals.failed).toBeLessThanOrEqual(24);
}, 200_000);

test.skipIf(SETTINGS.breaker === "")(
  "no call fails while the API server is away for 60 s",
  async () => {
    const before = await load.totals();
    // Told to end, it would take another minute, after which the cluster takes its nodes for lost, and their Pods with them.
    await breaker("stop", "kube-apiserver", "KILL");
    try {
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    } finally {
      await breaker("start", "kube-apiserver");
    }
    // Until kube-proxy has heard of it, its Service refuses every Pod: up to a minute, and no doing of the mesh.
    await eventually("Pods reach the API server again", 180, reachApiServer);
    const reachable = Date.now();
    const totals = await eventually("the load is read again", 60, () => load.totals());
    await eventually("the proxies follow again", 60, async () => {
      const nodes = await admin<{ programmed: boolean }[]>("/api/status/nodes");
      if (!nodes.every(({ programmed }) => programmed)) fail(JSON.stringify(nodes));
    });
    report(
      "the proxies follow after Pods reach the API server again",
      `${((Date.now() - reachable) / 1000).toFixed(1)} s`,
    );
    // The kubelet looks at a replica that was not ready a little later than the proxies do.
    await rollout("deployment", MESH_NAMESPACE, "tulle-controller");
    expectNoFailure("API server away for 60 s", {
      ...totals,
      sent: totals.sent - before.sent,
      failed: totals.failed - before.failed,
      failures: newFailures(before, totals),
    });
  },
  420_000,
);
