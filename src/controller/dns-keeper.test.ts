import { expect, test } from "vitest";
import { ApiError } from "../kube/api-error.ts";
import type { ObjectRef } from "../model/objects.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { type Log, silentLog } from "../telemetry/log.ts";
import type { DnsMode } from "./dns-change.ts";
import { DnsKeeper } from "./dns-keeper.ts";
import { DnsOwnership } from "./dns-ownership.ts";
import type { ClusterEvent } from "./event-recorder.ts";
import { SHADOW_LABELS } from "./own-objects.ts";
import { takeAway } from "./take-away.ts";
import { DEPLOYMENTS, CORE_DNS_MAPS as MAPS, putCoreDns, READY, STUCK } from "./testkit/core-dns.ts";
import { FakeApi } from "./testkit/fake-api.ts";

const APPS = "/apis/apps/v1/namespaces/kube-system";
const DAEMON_SETS = `${APPS}/daemonsets`;
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

interface Marks {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly template: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } };
  };
}

/** A cluster with CoreDNS as kubeadm makes it; its Pods get ready as long as `status` says so. */
function fixture(mode: DnsMode = "forward", collection = DEPLOYMENTS) {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  const rollout = { status: (): object => READY };
  const wanted = { meshDomains: ["traefik.mesh", "maesh"] };
  const path = `${collection}/coredns`;
  putCoreDns(api, COREFILE, { generation: 1 }, collection);
  api.refuse = (method, asked) => {
    const workload = api.objects.get(path);
    if (method === "GET" && asked === path && workload !== undefined) workload["status"] = rollout.status();
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
      ownership: new DnsOwnership({
        namespace: "tulle",
        meshDomains: wanted.meshDomains,
        clock,
        originals: () => [],
        lacks: () => [],
      }),
      wanted: () => ({
        meshNamespace: "tulle",
        clusterDomain: "cluster.local",
        meshDomains: wanted.meshDomains,
        dnsServiceIPs: ["10.96.0.53"],
        longNames: [],
      }),
    });
  const keeper = make();
  const coredns = () => api.objects.get(`${MAPS}/coredns`) as unknown as { data: { Corefile: string } };
  const corefile = () => coredns().data.Corefile;
  const setCorefile = (text: string) => {
    api.put(MAPS, { ...(coredns() as unknown as { metadata: { name: string } }), data: { Corefile: text } });
  };
  /** What the workload says of the configuration: the mark of its Pods, and that of a trial. */
  const marks = () => {
    const { metadata, spec } = api.objects.get(path) as unknown as Marks;
    const { annotations = {} } = spec.template.metadata;
    return [annotations["tulle.dev/dns-configuration"], metadata.annotations?.["tulle.dev/dns-trial"]];
  };
  /** Looks until it is done, while time passes. */
  const lookWith = async (looking: DnsKeeper, { turn = () => {}, signal = new AbortController().signal } = {}) => {
    await clock.advanceUntil(looking.look(signal, recorder), 500, turn);
  };
  const look = (turn = () => {}) => lookWith(keeper, { turn });
  /** Another replica, which leads now. */
  const follow = () => {
    const next = make();
    return { next, lookAgain: () => lookWith(next) };
  };
  return { api, clock, keeper, rollout, wanted, events, corefile, setCorefile, marks, look, lookWith, follow };
}

test("the mesh domains are put into the Corefile, and CoreDNS is restarted", async () => {
  const { keeper, events, corefile, marks, look } = fixture();
  await look();
  expect(corefile().startsWith(COREFILE)).toBe(true);
  expect(corefile()).toContain("forward . 10.96.0.53");
  expect(marks()).toEqual([expect.stringMatching(/^[0-9a-f]{16}$/), undefined]);
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
  const { lookAgain } = follow();
  await lookAgain();
  setCorefile(COREFILE);
  await lookAgain();
  expect(events).toEqual(["coredns MeshDnsPatched", "coredns MeshDnsRepaired"]);
});

test("where no new Pod gets ready the change is taken back and told, and is not tried again at once", async () => {
  const { api, clock, keeper, rollout, events, corefile, marks, look } = fixture();
  rollout.status = () => STUCK;
  await look();
  expect(corefile()).toBe(COREFILE);
  expect(marks()).toEqual([undefined, undefined]);
  expect(events).toEqual(["coredns MeshDnsPatched", "coredns MeshDnsTakenBack"]);
  expect(keeper.status.inForce).toBe(false);
  api.requests.length = 0;
  await look();
  expect(api.requests.filter((request) => !request.startsWith("GET"))).toEqual([]);
  rollout.status = () => READY;
  clock.advance(10 * 60 * 1000);
  await look();
  expect(keeper.status).toMatchObject({ inForce: true, faults: [] });
});

test("as long as the mesh domains are out after such a change, the status says why", async () => {
  const { keeper, rollout, look } = fixture();
  rollout.status = () => STUCK;
  await look();
  await look();
  await look();
  expect(keeper.status.faults).toEqual([expect.stringContaining("did not get ready")]);
});

test("a change that is taken back leaves the mesh domains that were there before it", async () => {
  const { rollout, wanted, corefile, look } = fixture();
  await look();
  const before = corefile();
  wanted.meshDomains = ["traefik.mesh", "maesh", "mesh.example"];
  rollout.status = () => STUCK;
  await look();
  expect(corefile()).toBe(before);
});

test("what somebody wrote during the trial stays when the change is taken back", async () => {
  const { rollout, corefile, setCorefile, look } = fixture();
  rollout.status = () => STUCK;
  let turns = 0;
  await look(() => {
    if (++turns === 20) setCorefile(corefile().replace("errors\n", "errors\n    log\n"));
  });
  expect(corefile()).toBe(COREFILE.replace("errors\n", "errors\n    log\n"));
});

test("a restart that failed is made up for by the next look, of this leader or another", async () => {
  const { api, keeper, marks, look, follow } = fixture();
  const { refuse } = api;
  let failures = 2;
  api.refuse = (method, path, body) => {
    if (method === "PATCH" && path.endsWith("coredns") && JSON.stringify(body).includes("template") && failures-- > 0)
      throw new ApiError("away");
    refuse(method, path, body);
  };
  await expect(look()).rejects.toThrow("away");
  await expect(look()).rejects.toThrow("away");
  expect(keeper.status.inForce).toBe(false);
  expect(marks()).toEqual([undefined, expect.stringMatching(/./)]);
  const { next, lookAgain } = follow();
  await lookAgain();
  expect(next.status.inForce).toBe(true);
  expect(marks()).toEqual([expect.stringMatching(/./), undefined]);
});

test("a change whose restart failed at first leaves, when it is taken back, the mesh domains that were there", async () => {
  const { api, rollout, wanted, corefile, look } = fixture();
  await look();
  const before = corefile();
  wanted.meshDomains = ["traefik.mesh", "maesh", "mesh.example"];
  rollout.status = () => STUCK;
  const { refuse } = api;
  api.refuse = (method, _path, body) => {
    if (method !== "PATCH" || !JSON.stringify(body).includes("template")) return;
    api.refuse = refuse;
    throw new ApiError("away");
  };
  await expect(look()).rejects.toThrow("away");
  await look();
  expect(corefile()).toBe(before);
});

test("a leader that comes during a trial goes on with it, and takes the change back where no Pod gets ready", async () => {
  const { keeper, rollout, events, corefile, marks, lookWith, follow } = fixture();
  rollout.status = () => STUCK;
  const stop = new AbortController();
  let turns = 0;
  await lookWith(keeper, {
    signal: stop.signal,
    turn: () => {
      if (++turns === 20) stop.abort();
    },
  });
  expect(corefile()).toContain("forward . 10.96.0.53");
  const { next, lookAgain } = follow();
  await lookAgain();
  expect(next.status).toMatchObject({ inForce: false, faults: [expect.stringContaining("did not get ready")] });
  expect(corefile()).toBe(COREFILE);
  expect(marks()).toEqual([undefined, undefined]);
  expect(events).toEqual(["coredns MeshDnsPatched", "coredns MeshDnsTakenBack"]);
});

test("a rollout of somebody else's that is stuck later takes nothing back", async () => {
  const { keeper, rollout, corefile, look, follow } = fixture();
  await look();
  rollout.status = () => STUCK;
  await look();
  await follow().lookAgain();
  expect(corefile()).toContain("forward . 10.96.0.53");
  expect(keeper.status.inForce).toBe(true);
});

test.each([
  ["a Deployment", DEPLOYMENTS, { replicas: 100, updatedReplicas: 26, availableReplicas: 75, unavailableReplicas: 25 }],
  ["a DaemonSet", DAEMON_SETS, { desiredNumberScheduled: 100, updatedNumberScheduled: 2, numberUnavailable: 1 }],
])("of %s with a hundred Pods, one new one that is available is enough", async (_, collection, status) => {
  const { keeper, rollout, look } = fixture("forward", collection);
  rollout.status = () => ({ observedGeneration: 1, ...status });
  await look();
  expect(keeper.status).toMatchObject({ inForce: true, faults: [] });
});

test("a DaemonSet whose first new Pod does not get ready has the change taken back", async () => {
  const { rollout, corefile, look } = fixture("forward", DAEMON_SETS);
  rollout.status = () => ({
    observedGeneration: 1,
    desiredNumberScheduled: 100,
    updatedNumberScheduled: 1,
    numberUnavailable: 1,
  });
  await look();
  expect(corefile()).toBe(COREFILE);
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
  const { api, clock, corefile, marks, look } = fixture();
  await look();
  const own = "/apis/apps/v1/namespaces/tulle/deployments/tulle-controller";
  api.put(own, { metadata: { name: "scale" }, spec: { replicas: 2 } });
  const services = "/api/v1/namespaces/tulle/services";
  const shadow = SHADOW_LABELS;
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
  expect(await takenAway(api, clock)).toEqual([]);
  expect(corefile()).toBe(COREFILE);
  expect(api.requests.slice(before)[0]).toBe(`PATCH ${own}/scale`);
  expect(api.list(services).map(({ metadata }) => metadata.name)).toEqual(["of-somebody-else"]);
  expect(marks()).toEqual([undefined, undefined]);
});

test("taking away says where the Pods of DNS are not replaced yet", async () => {
  const { api, clock, rollout, corefile, look } = fixture();
  await look();
  rollout.status = () => STUCK;
  const said: string[] = [];
  const log = { ...silentLog, info: (text: string) => said.push(text), warn: (text: string) => said.push(text) };
  expect(await takenAway(api, clock, log as Log)).toEqual([]);
  expect(corefile()).toBe(COREFILE);
  expect(said).toContain("the configuration of cluster DNS is restored, and its Pods are still being replaced");
  expect(said).not.toContain("cluster DNS is restored");
});

/** Takes away until it is done, while time passes. */
async function takenAway(api: FakeApi, clock: ManualClock, log: Log = silentLog): Promise<string[]> {
  let left: string[] | undefined;
  void takeAway({
    api,
    clock,
    log,
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
  return left;
}
