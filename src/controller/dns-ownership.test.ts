import { describe, expect, test } from "vitest";
import { checkCorefile } from "../coredns/corefile.ts";
import { rewriteBlock, STANDARD_LISTENING } from "../coredns/mesh-block.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { DnsKeeper } from "./dns-keeper.ts";
import { askToHandBack, askToTakeOver, DnsOwnership, findOwner, type TakeOver } from "./dns-ownership.ts";
import type { OriginalMesh } from "./original-meshes.ts";
import { takeAway } from "./take-away.ts";
import { DEPLOYMENTS, CORE_DNS_MAPS as MAPS, putCoreDns } from "./testkit/core-dns.ts";
import { FakeApi } from "./testkit/fake-api.ts";

const COREFILE = ".:53 {\n    kubernetes cluster.local\n    forward . /etc/resolv.conf\n    reload\n}\n";
const READY = { observedGeneration: 1, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
const STUCK = { ...READY, replicas: 3, updatedReplicas: 1, unavailableReplicas: 1 };
const DOMAINS = ["maesh", "traefik.mesh"];
const ADDRESSES = { first: "10.96.0.1", second: "10.96.0.2" };
type Mesh = keyof typeof ADDRESSES;

/** A cluster with CoreDNS, and meshes of Tulle in the namespaces first and second. */
function fixture() {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  const rollout = { status: (): object => READY, restarts: 0 };
  let originals: readonly OriginalMesh[] = [];
  const lacking: string[] = [];
  const events: string[] = [];
  putCoreDns(api, COREFILE, { generation: 1 });
  api.refuse = (method, path, body) => {
    const workload = api.objects.get(`${DEPLOYMENTS}/coredns`);
    if (workload !== undefined) workload["status"] = rollout.status();
    if (method === "PATCH" && path.endsWith("deployments/coredns") && JSON.stringify(body).includes("template"))
      rollout.restarts++;
  };
  const install = (mesh: Mesh, meshDomains: readonly string[] = DOMAINS) => {
    api.put(`/api/v1/namespaces/${mesh}/services`, {
      metadata: {
        name: "tulle-dns",
        namespace: mesh,
      },
      spec: { clusterIP: ADDRESSES[mesh] },
    });
    return new DnsKeeper({
      api,
      clock,
      log: silentLog,
      mode: "forward",
      ownership: new DnsOwnership({
        namespace: mesh,
        meshDomains,
        clock,
        originals: () => originals,
        lacks: (_from: string, asked: TakeOver) => (asked === "force" ? [] : lacking),
      }),
      wanted: () => ({
        meshNamespace: mesh,
        clusterDomain: "cluster.local",
        meshDomains,
        dnsServiceIPs: [ADDRESSES[mesh]],
        longNames: [],
      }),
    });
  };
  const data = () => (api.objects.get(`${MAPS}/coredns`) as unknown as { data: { Corefile: string } }).data;
  /** Whatever happens, CoreDNS takes what is there. */
  const corefile = () => {
    expect(checkCorefile(data().Corefile)).toEqual([]);
    return data().Corefile;
  };
  const setCorefile = (text: string) =>
    api.put(MAPS, { metadata: { name: "coredns", namespace: "kube-system" }, data: { Corefile: text } });
  const recorder = { record: async (_: object, { reason }: { reason: string }) => void events.push(reason) };
  const whileTimePasses = async (work: Promise<unknown>) => {
    let done = false;
    work.then(
      () => {
        done = true;
      },
      () => {
        done = true;
      },
    );
    while (!done) {
      clock.advance(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await work;
  };
  const look = async (...keepers: DnsKeeper[]) => {
    for (const keeper of keepers) await whileTimePasses(keeper.look(new AbortController().signal, recorder));
  };
  const annotationsOf = (path: string) =>
    (api.objects.get(path)?.metadata["annotations"] ?? {}) as Readonly<Record<string, string>>;
  return {
    api,
    clock,
    rollout,
    lacking,
    events,
    install,
    look,
    corefile,
    setCorefile,
    whileTimePasses,
    setOriginals: (all: readonly OriginalMesh[]) => {
      originals = all;
    },
    holder: () => /forward \. (10\.96\.0\.\d)/.exec(corefile())?.[1],
    ask: (mesh: Mesh, asked: TakeOver = "ready") => askToTakeOver(api, mesh, asked),
    /** On CoreDNS's Deployment. */
    record: () => {
      const text = annotationsOf(`${DEPLOYMENTS}/coredns`)["tulle.dev/dns-owner"];
      return text === undefined ? undefined : (JSON.parse(text) as { namespace: string });
    },
    trial: () => annotationsOf(`${DEPLOYMENTS}/coredns`)["tulle.dev/dns-trial"],
    annotations: (mesh: Mesh) =>
      api.objects.get(`/api/v1/namespaces/${mesh}/services/tulle-dns`)?.metadata["annotations"],
  };
}

describe("two meshes of Tulle", () => {
  test("share one cluster: the first has the domains, the second stands by and touches nothing", async () => {
    const { api, install, look, holder, record } = fixture();
    const first = install("first");
    await look(first);
    const second = install("second");
    api.requests.length = 0;
    await look(second, second);
    expect(api.requests.filter((request) => !request.startsWith("GET"))).toEqual([]);
    expect(second.status).toMatchObject({ inForce: false, owner: "first", faults: [] });
    expect(first.status).toMatchObject({ inForce: true, owner: "first" });
    expect(holder()).toBe(ADDRESSES.first);
    expect(record()).toEqual({ namespace: "first", domains: DOMAINS });
  });

  test("hand the domains over and back, and the one that lost them does not fight", async () => {
    const { install, look, holder, ask, events, record } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    await ask("second");
    await look(first, second, first, second);
    expect(holder()).toBe(ADDRESSES.second);
    expect(first.status).toMatchObject({ inForce: false, owner: "second" });
    expect(record()).toEqual({ namespace: "second", domains: DOMAINS });
    await ask("first");
    await look(second, first, second, first);
    expect(holder()).toBe(ADDRESSES.first);
    expect(second.status).toMatchObject({ inForce: false, owner: "first" });
    expect(events).toEqual(["MeshDnsPatched", "MeshDnsTakenOver", "MeshDnsTakenOver"]);
  });

  test("a mesh that is asked takes over as soon as it lacks nothing, and says what it waits for", async () => {
    const { install, look, holder, ask, lacking } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first);
    lacking.push("no proxy is ready");
    await ask("second");
    await look(second, first);
    expect(second.status.waitsFor).toEqual(["no proxy is ready"]);
    expect(holder()).toBe(ADDRESSES.first);
    lacking.length = 0;
    await look(second);
    expect(second.status).toMatchObject({ inForce: true, waitsFor: [] });
    expect(holder()).toBe(ADDRESSES.second);
  });

  test("what is overwritten is put back by its owner alone", async () => {
    const { install, look, holder, setCorefile, corefile } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    setCorefile(COREFILE);
    await look(second);
    expect(corefile()).toBe(COREFILE);
    await look(first);
    expect(holder()).toBe(ADDRESSES.first);
  });

  test("an owner that read DNS before it lost the domains cannot overwrite what the new owner wrote", async () => {
    const { api, install, look, holder, ask, setCorefile, whileTimePasses, trial, rollout } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    await ask("second");
    setCorefile(COREFILE);
    // The first has read the overwritten Corefile and the claims; before it writes, the second takes over.
    const { refuse } = api;
    let between: Promise<void> | undefined;
    const inner = api.request.bind(api);
    api.request = async <T>(method: string, path: string, options?: object): Promise<T> => {
      if (method === "PATCH" && path === `${MAPS}/coredns` && between === undefined) {
        between = look(second);
        await between;
      }
      return inner<T>(method, path, options);
    };
    api.refuse = refuse;
    const signal = new AbortController().signal;
    await expect(whileTimePasses(first.look(signal, { record: async () => {} }))).rejects.toThrow("was changed");
    await look(first);
    expect(holder()).toBe(ADDRESSES.second);
    expect(first.status.owner).toBe("second");
    // Nothing is left to try of the write that was refused.
    expect(trial()).toBeUndefined();
    const { restarts } = rollout;
    await look(second, first);
    expect(rollout.restarts).toBe(restarts);
  });

  test("where CoreDNS does not get ready with the new owner's block, the old one has the domains again", async () => {
    const { install, look, holder, ask, rollout, annotations, record } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    rollout.status = () => STUCK;
    await ask("second");
    await look(second);
    expect(holder()).toBe(ADDRESSES.first);
    expect(annotations("second")).toEqual({});
    expect(record()).toEqual({ namespace: "first", domains: DOMAINS });
    rollout.status = () => READY;
    await look(first, second);
    expect(holder()).toBe(ADDRESSES.first);
    expect(second.status).toMatchObject({ owner: "first", faults: [expect.stringContaining("did not get ready")] });
  });

  test("the one that stands by has the domains once the other is gone for good, and not while it is made anew", async () => {
    const { api, clock, install, look, holder } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    const path = "/api/v1/namespaces/first/services/tulle-dns";
    api.objects.delete(path);
    await look(second);
    install("first");
    clock.advance(60_000);
    await look(second);
    expect(holder()).toBe(ADDRESSES.first);
    api.objects.delete(path);
    await look(second);
    clock.advance(30_000);
    await look(second);
    expect(holder()).toBe(ADDRESSES.second);
  });

  test("nothing that a tenant makes in a namespace of his own changes who has the domains", async () => {
    const { api, install, look, holder, setCorefile, setOriginals, corefile, record } = fixture();
    const first = install("first");
    await look(first);
    api.put("/api/v1/namespaces/tenant/services", {
      metadata: {
        name: "tulle-dns",
        namespace: "tenant",
        labels: { "app.kubernetes.io/part-of": "tulle" },
        annotations: { "tulle.dev/dns-claim": "9007199254740991", "tulle.dev/dns-owner": '{"namespace":"tenant"}' },
      },
      spec: { clusterIP: "10.96.0.7" },
    });
    setOriginals([{ namespace: "tenant", controls: true, serves: true, dnsAddresses: ["10.96.0.7"] }]);
    setCorefile(COREFILE);
    await look(first);
    expect(holder()).toBe(ADDRESSES.first);
    expect(corefile()).toContain("#### Begin Mesh maesh Block");
    expect(record()).toEqual({ namespace: "first", domains: DOMAINS });
  });

  test("a trial that fails leaves alone what another mesh wrote meanwhile", async () => {
    const { api, install, look, holder, ask, rollout, record } = fixture();
    const [first, second] = [install("first"), install("second")];
    rollout.status = () => STUCK;
    await ask("second");
    const inner = api.refuse;
    let turns = 0;
    let taking: Promise<void> | undefined;
    api.refuse = (method, path, body) => {
      inner(method, path, body);
      if (method === "GET" && path === `${DEPLOYMENTS}/coredns` && ++turns === 20) taking = look(second);
    };
    await look(first);
    expect(first.status.faults).toEqual([expect.stringContaining("did not get ready")]);
    expect(holder()).toBe(ADDRESSES.second);
    expect(record()?.namespace).toBe("second");
    await taking;
    expect(record()?.namespace).toBe("first");
    expect(holder()).toBe(ADDRESSES.first);
  });

  test("a leader that goes between the record and the write, leaves it to the next one to take over or give back", async () => {
    const { api, install, look, holder, ask, rollout, record, trial } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    await ask("second");
    const inner = api.refuse;
    api.refuse = (method, path, body) => {
      inner(method, path, body);
      if (method === "PATCH" && path.startsWith(MAPS)) throw new Error("away");
    };
    await expect(look(second)).rejects.toThrow("away");
    expect(record()).toMatchObject({ namespace: "second", from: { namespace: "first" } });
    api.refuse = inner;
    rollout.status = () => STUCK;
    await look(install("second"));
    expect(holder()).toBe(ADDRESSES.first);
    expect(record()).toEqual({ namespace: "first", domains: DOMAINS });
    expect(trial()).toBeUndefined();
  });

  test("what could not be given back at once is given back at the next look", async () => {
    const { api, install, look, holder, ask, rollout, record } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    await ask("second");
    rollout.status = () => STUCK;
    const inner = api.refuse;
    let away = true;
    api.refuse = (method, path, body) => {
      inner(method, path, body);
      const text = JSON.stringify(body) ?? "";
      if (
        away &&
        method === "PATCH" &&
        path.endsWith("deployments/coredns") &&
        text.includes('dns-configuration":null')
      )
        throw new Error("away");
    };
    await expect(look(second)).rejects.toThrow("away");
    expect(record()?.namespace).toBe("second");
    away = false;
    await look(second);
    expect(record()).toEqual({ namespace: "first", domains: DOMAINS });
    await look(first);
    expect(holder()).toBe(ADDRESSES.first);
  });

  test("asked again soon after its change was taken back, a mesh waits and says so", async () => {
    const { install, look, holder, ask, rollout, clock, record } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    rollout.status = () => STUCK;
    await ask("second");
    await look(second);
    rollout.status = () => READY;
    await ask("second");
    await look(second);
    expect(record()?.namespace).toBe("first");
    expect(second.status.takenBack).toBe(1);
    expect(second.status.waitsFor).toEqual([expect.stringContaining("It tries again in 10 min")]);
    clock.advance(10 * 60_000);
    await look(second);
    expect(holder()).toBe(ADDRESSES.second);
  });

  test("whose domains are fewer takes none over unless it is forced, and whose are others stands by", async () => {
    const { install, look, corefile, ask } = fixture();
    const first = install("first");
    await look(first);
    const before = corefile();
    const others = install("second", ["mesh.corp"]);
    await look(others);
    expect(others.status).toMatchObject({ owner: "first", inForce: false });
    expect(corefile()).toBe(before);
    const fewer = install("second", ["traefik.mesh"]);
    await ask("second");
    await look(fewer);
    expect(fewer.status.waitsFor).toEqual([expect.stringContaining("names of maesh")]);
    expect(corefile()).toBe(before);
    await ask("second", "force");
    await look(fewer);
    expect(corefile()).not.toContain("maesh:53");
  });

  test("cleaning up a namespace without a mesh leaves cluster DNS alone, and says so", async () => {
    const { api, clock, install, look, holder, whileTimePasses } = fixture();
    await look(install("first"));
    const said: string[] = [];
    const log = { ...silentLog, warn: (text: string) => said.push(text) };
    const options = { log: log as typeof silentLog, dnsMode: "forward", meshDomains: DOMAINS } as const;
    const signal = new AbortController().signal;
    await whileTimePasses(takeAway({ api, clock, ...options, namespace: "frist", signal }));
    expect(holder()).toBe(ADDRESSES.first);
    expect(said).toEqual([expect.stringContaining("there is no mesh in namespace frist")]);
  });

  test("looks at no more than its own and the owner's Service while it stands by", async () => {
    const { api, install, look } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    api.requests.length = 0;
    await look(second);
    expect(api.requests.filter((request) => request.includes("/services"))).toEqual([
      "GET /api/v1/namespaces/second/services/tulle-dns",
      "GET /api/v1/namespaces/first/services/tulle-dns",
    ]);
  });

  test("uninstalling the one that stands by leaves cluster DNS to its owner", async () => {
    const { api, clock, install, look, holder, whileTimePasses } = fixture();
    await look(install("first"), install("second"));
    const options = { log: silentLog, dnsMode: "forward", meshDomains: DOMAINS } as const;
    const signal = new AbortController().signal;
    await whileTimePasses(takeAway({ api, clock, ...options, namespace: "second", signal }));
    expect(holder()).toBe(ADDRESSES.first);
    await whileTimePasses(takeAway({ api, clock, ...options, namespace: "first", signal }));
    expect(holder()).toBeUndefined();
  });
});

describe("Traefik Mesh in the same cluster", () => {
  const ALIVE: OriginalMesh = { namespace: "old", controls: true, serves: true, dnsAddresses: [] };
  const STOPPED: OriginalMesh = { ...ALIVE, controls: false };
  const target = { meshNamespace: "old", clusterDomain: "cluster.local", longNames: [], version: undefined };
  const theirs = DOMAINS.map((domain) => rewriteBlock(domain, target, STANDARD_LISTENING, "original"));
  const block = (index: number) => `\n${theirs[index]}\n`;
  const patched = COREFILE + block(0) + block(1);
  const theirSection = /\n?#### Begin (Maesh|Traefik Mesh) Block[\s\S]*?#### End \1 Block\n/g;
  /** What its controller does to the Corefile when it starts. */
  const prepared = (text: string) => text.replace(theirSection, "") + block(0) + block(1);
  /** What uninstalling it does to the Corefile. */
  const cleaned = (text: string) => text.replace(theirSection, "");

  test("keeps the domains until Tulle is asked, and then its blocks are replaced in place", async () => {
    const { install, look, corefile, setCorefile, setOriginals, ask, holder, events } = fixture();
    setCorefile(patched);
    setOriginals([ALIVE]);
    const first = install("first");
    await look(first);
    expect(first.status.owner).toBe("old");
    expect(corefile()).toBe(patched);
    await ask("first");
    await look(first);
    expect(holder()).toBe(ADDRESSES.first);
    expect(corefile()).not.toContain("6d61657368");
    expect(events).toEqual(["MeshDnsTakenOver"]);
  });

  test("started anew replaces our block by its own, never adds a second one, and Tulle takes the domains back", async () => {
    const { install, look, corefile, setCorefile, setOriginals, ask, holder, events } = fixture();
    setCorefile(patched);
    setOriginals([ALIVE]);
    const first = install("first");
    await ask("first");
    await look(first);
    setCorefile(prepared(corefile()));
    expect(corefile()).toContain("old-{1}");
    await look(first);
    expect(holder()).toBe(ADDRESSES.first);
    expect(events).toEqual(["MeshDnsTakenOver", "MeshDnsRepaired"]);
  });

  test("with its controller stopped, our blocks get marks of their own, and uninstalling it leaves them", async () => {
    const { install, look, corefile, setCorefile, setOriginals, ask, rollout } = fixture();
    setCorefile(patched);
    setOriginals([ALIVE]);
    const first = install("first");
    await ask("first");
    await look(first);
    const restarts = rollout.restarts;
    setOriginals([STOPPED]);
    await look(first);
    expect(corefile()).toContain("#### Begin Mesh traefik.mesh Block");
    // Only comments changed: CoreDNS goes on as it is.
    expect(rollout.restarts).toBe(restarts);
    expect(first.status.inForce).toBe(true);
    const before = corefile();
    expect(cleaned(before)).toBe(before);
    setOriginals([]);
    await look(first);
    expect(corefile()).toBe(before);
  });

  test("gets the domains back, in its own words, when Tulle is asked to hand them back", async () => {
    const { api, install, look, corefile, setCorefile, setOriginals, ask, events, annotations, holder } = fixture();
    setCorefile(patched);
    setOriginals([ALIVE]);
    const first = install("first");
    await ask("first");
    await look(first);
    await askToHandBack(api, "first", "old");
    await look(first);
    expect(corefile()).toBe(patched);
    expect(annotations("first")).toEqual({});
    await look(first, first);
    expect(corefile()).toBe(patched);
    expect(first.status).toMatchObject({ inForce: false, owner: "old", faults: [] });
    expect(events).toEqual(["MeshDnsTakenOver", "MeshDnsHandedBack"]);
    await ask("first");
    await look(first);
    expect(holder()).toBe(ADDRESSES.first);
  });

  test("that serves nothing gets nothing back", async () => {
    const { api, install, look, setOriginals, holder } = fixture();
    setOriginals([{ ...STOPPED, serves: false }]);
    const first = install("first");
    await look(first);
    await askToHandBack(api, "first", "old");
    await look(first, first);
    expect(holder()).toBe(ADDRESSES.first);
  });

  test("does not get them back where CoreDNS does not get ready with its block", async () => {
    const { api, install, look, setCorefile, setOriginals, ask, holder, rollout } = fixture();
    setCorefile(patched);
    setOriginals([ALIVE]);
    const first = install("first");
    await ask("first");
    await look(first);
    rollout.status = () => STUCK;
    await askToHandBack(api, "first", "old");
    await look(first);
    expect(holder()).toBe(ADDRESSES.first);
    rollout.status = () => READY;
    await look(first);
    expect(first.status).toMatchObject({ owner: "first" });
    expect(holder()).toBe(ADDRESSES.first);
  });

  test("of which nothing but its blocks is left, does not keep Tulle from the domains", async () => {
    const { clock, install, look, corefile, setCorefile, holder } = fixture();
    setCorefile(patched);
    const first = install("first");
    await look(first);
    expect(corefile()).toBe(patched);
    clock.advance(30_000);
    await look(first);
    expect(holder()).toBe(ADDRESSES.first);
    expect(corefile()).not.toContain("old-{1}");
  });

  test("whose proxies are gone for a moment keeps the domains", async () => {
    const { clock, install, look, corefile, setCorefile, setOriginals, lacking } = fixture();
    setCorefile(patched);
    setOriginals([{ ...ALIVE, serves: false }]);
    const first = install("first");
    await look(first);
    clock.advance(60_000);
    await look(first);
    expect(corefile()).toBe(patched);
    // Nor does Tulle take them from an owner that is gone before it can serve.
    setOriginals([]);
    lacking.push("no proxy is ready");
    await look(first);
    expect(corefile()).toBe(patched);
    expect(first.status).toMatchObject({ owner: "old", ownerGone: true });
  });

  test("that took the names of a mesh that is gone keeps them too", async () => {
    const { api, clock, install, look, corefile, setCorefile, setOriginals } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    api.objects.delete("/api/v1/namespaces/first/services/tulle-dns");
    setCorefile(patched);
    setOriginals([ALIVE]);
    await look(second);
    clock.advance(60_000);
    await look(second);
    expect(corefile()).toBe(patched);
    expect(second.status.owner).toBe("old");
  });

  test("gets its blocks back from a new leader too, where CoreDNS does not get ready with Tulle's", async () => {
    const { api, install, look, corefile, setCorefile, setOriginals, ask, rollout, record } = fixture();
    setCorefile(patched);
    setOriginals([ALIVE]);
    const first = install("first");
    await ask("first");
    const inner = api.refuse;
    api.refuse = (method, path, body) => {
      inner(method, path, body);
      if (method === "PATCH" && JSON.stringify(body).includes("template")) throw new Error("away");
    };
    await expect(look(first)).rejects.toThrow("away");
    api.refuse = inner;
    rollout.status = () => STUCK;
    await look(install("first"));
    expect(corefile()).toBe(patched);
    expect(record()).toEqual({ namespace: "", domains: [], original: "old" });
  });

  test("behind KubeDNS is known by the address of its own CoreDNS", async () => {
    const dns = (address: string) => ({
      workloads: [
        {
          kind: "Deployment",
          metadata: { name: "kube-dns", namespace: "kube-system" },
          spec: { template: { spec: { containers: [{ name: "kubedns", image: "k8s-dns-kube-dns:1.22.28" }] } } },
        },
      ],
      configMaps: { "kube-dns": { data: { stubDomains: JSON.stringify({ maesh: [address] }) } } },
    });
    const originals = [{ ...ALIVE, dnsAddresses: ["10.96.0.9"] }];
    const sight = { api: new FakeApi(), namespace: "new", meshDomains: DOMAINS, originals };
    expect(await findOwner({ ...sight, observed: dns("10.96.0.9") })).toMatchObject({ namespace: "old", alive: true });
    expect(await findOwner({ ...sight, observed: dns("10.96.0.8") })).toMatchObject({ namespace: "", alive: false });
  });
});
