import { expect, test } from "vitest";
import type { ObjectRef } from "../model/objects.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { DnsKeeper, type DnsMode } from "./dns-keeper.ts";
import type { ClusterEvent } from "./event-recorder.ts";
import { takeAway } from "./take-away.ts";
import { FakeApi } from "./testkit/fake-api.ts";

const MAPS = "/api/v1/namespaces/kube-system/configmaps";
const DEPLOYMENTS = "/apis/apps/v1/namespaces/kube-system/deployments";
const COREFILE = `.:53 {
    errors
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf
    cache 30
    reload
}
`;

/** A cluster with CoreDNS as kubeadm makes it; its Pods get ready as long as `healthy` says so. */
function fixture(mode: DnsMode = "forward") {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  const rollout = { healthy: true };
  api.put(MAPS, { metadata: { name: "coredns", namespace: "kube-system" }, data: { Corefile: COREFILE } });
  api.put(DEPLOYMENTS, {
    metadata: { name: "coredns", namespace: "kube-system", generation: 1 },
    spec: {
      replicas: 2,
      template: {
        metadata: {},
        spec: {
          containers: [{ name: "coredns", image: "coredns/coredns:1.11.1" }],
          volumes: [{ name: "config", configMap: { name: "coredns", items: [{ key: "Corefile", path: "Corefile" }] } }],
        },
      },
    },
  });
  api.refuse = (method, path) => {
    const deployment = api.objects.get(`${DEPLOYMENTS}/coredns`);
    if (method !== "GET" || path !== `${DEPLOYMENTS}/coredns` || deployment === undefined) return;
    deployment["status"] = rollout.healthy
      ? { observedGeneration: 1, replicas: 2, updatedReplicas: 2, availableReplicas: 2 }
      : { observedGeneration: 1, replicas: 3, updatedReplicas: 1, availableReplicas: 2, unavailableReplicas: 1 };
  };
  const events: string[] = [];
  const recorder = {
    async record({ name }: ObjectRef, { reason }: ClusterEvent) {
      events.push(`${name} ${reason}`);
    },
  };
  const make = () =>
    new DnsKeeper({
      api,
      clock,
      log: silentLog,
      mode,
      wanted: () => ({
        meshNamespace: "tulle",
        clusterDomain: "cluster.local",
        meshDomains: ["traefik.mesh", "maesh"],
        dnsServiceIPs: ["10.96.0.53"],
        longNames: [],
      }),
    });
  const keeper = make();
  const coredns = () => api.objects.get(`${MAPS}/coredns`) as unknown as { data: { Corefile: string } };
  const corefile = () => coredns().data.Corefile;
  const setCorefile = (text: string) => {
    coredns().data.Corefile = text;
  };
  /** Looks until it is done, while time passes. */
  const lookWith = async (looking: DnsKeeper) => {
    let done = false;
    const looked = looking.look(new AbortController().signal, recorder).finally(() => {
      done = true;
    });
    while (!done) {
      clock.advance(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await looked;
  };
  const look = () => lookWith(keeper);
  /** Another replica, which leads now. */
  const follow = () => {
    const next = make();
    return () => lookWith(next);
  };
  return { api, clock, keeper, rollout, events, corefile, setCorefile, look, follow };
}

test("the mesh domains are put into the Corefile, and CoreDNS is restarted", async () => {
  const { api, keeper, events, corefile, look } = fixture();
  await look();
  expect(corefile().startsWith(COREFILE)).toBe(true);
  expect(corefile()).toContain("forward . 10.96.0.53");
  expect(api.requests.filter((request) => request === `PATCH ${DEPLOYMENTS}/coredns`)).toHaveLength(1);
  expect(events).toEqual(["coredns MeshDnsPatched"]);
  expect(keeper.status).toMatchObject({ inForce: true, provider: "Deployment kube-system/coredns", faults: [] });
});

test("what is in force is not written again", async () => {
  const { api, look } = fixture();
  await look();
  api.requests.length = 0;
  await look();
  expect(api.requests.filter((request) => !request.startsWith("GET"))).toEqual([]);
});

test("a block that somebody overwrites is put back, and an Event says so", async () => {
  const { events, corefile, setCorefile, look } = fixture();
  await look();
  const patched = corefile();
  setCorefile(COREFILE);
  await look();
  expect(corefile()).toBe(patched);
  expect(events).toEqual(["coredns MeshDnsPatched", "coredns MeshDnsRepaired"]);
});

test("a new leader that finds the block in force knows that it was there, and tells when it is overwritten", async () => {
  const { events, setCorefile, look, follow } = fixture();
  await look();
  const lookAgain = follow();
  await lookAgain();
  setCorefile(COREFILE);
  await lookAgain();
  expect(events).toEqual(["coredns MeshDnsPatched", "coredns MeshDnsRepaired"]);
});

test("where no new Pod gets ready the change is taken back and told, and is not tried again at once", async () => {
  const { api, clock, keeper, rollout, events, corefile, look } = fixture();
  rollout.healthy = false;
  await look();
  expect(corefile()).toBe(COREFILE);
  expect(events).toEqual(["coredns MeshDnsPatched", "coredns MeshDnsTakenBack"]);
  expect(keeper.status.inForce).toBe(false);
  api.requests.length = 0;
  await look();
  expect(api.requests.filter((request) => !request.startsWith("GET"))).toEqual([]);
  rollout.healthy = true;
  clock.advance(10 * 60 * 1000);
  await look();
  expect(keeper.status.inForce).toBe(true);
});

test("in mode manual nothing is touched, and the block is there to be read", async () => {
  const { api, keeper, corefile, look } = fixture("manual");
  await look();
  expect(corefile()).toBe(COREFILE);
  expect(api.requests.filter((request) => !request.startsWith("GET"))).toEqual([]);
  expect(keeper.status.inForce).toBe(false);
  expect(keeper.status.byHand).toContain("forward . 10.96.0.53");
});

test("a Corefile that is broken already is left alone, and the fault is told", async () => {
  const { api, keeper, setCorefile, look } = fixture();
  setCorefile(`${COREFILE}broken {\n`);
  await look();
  expect(api.requests.filter((request) => !request.startsWith("GET"))).toEqual([]);
  expect(keeper.status.faults).not.toEqual([]);
});

test("taking away stops the controller, restores DNS byte for byte, and deletes what was made", async () => {
  const { api, clock, corefile, look } = fixture();
  await look();
  const own = "/apis/apps/v1/namespaces/tulle/deployments/tulle-controller";
  api.put(own, { metadata: { name: "scale" }, spec: { replicas: 2 } });
  const services = "/api/v1/namespaces/tulle/services";
  const shadow = { app: "maesh", type: "shadow" };
  api.put(services, {
    metadata: { name: "tulle-web-6d61657368-shop", labels: shadow, annotations: { "tulle.dev/shadow-of": "shop/web" } },
  });
  api.put(services, { metadata: { name: "of-somebody-else", labels: shadow } });
  api.put("/api/v1/namespaces/tulle/pods", { metadata: { name: "some-other" } });
  const before = api.requests.length;
  let pods = 1;
  const inner = api.refuse;
  api.refuse = (method, path, body) => {
    inner(method, path, body);
    if (path === "/api/v1/namespaces/tulle/pods") pods--;
    if (pods < 0) api.objects.delete("/api/v1/namespaces/tulle/pods/some-other");
  };
  let left: string[] | undefined;
  void takeAway({
    api,
    clock,
    log: silentLog,
    namespace: "tulle",
    dnsMode: "forward",
    meshDomains: ["traefik.mesh", "maesh"],
    signal: new AbortController().signal,
  }).then((result) => {
    left = result;
  });
  while (left === undefined) {
    clock.advance(500);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(left).toEqual([]);
  expect(corefile()).toBe(COREFILE);
  expect(api.requests.slice(before)[0]).toBe(`PATCH ${own}/scale`);
  expect(api.list(services).map(({ metadata }) => metadata.name)).toEqual(["of-somebody-else"]);
  const deployment = api.objects.get(`${DEPLOYMENTS}/coredns`) as unknown as {
    spec: { template: { metadata: { annotations?: Record<string, string> } } };
  };
  expect(deployment.spec.template.metadata.annotations ?? {}).toEqual({});
});
