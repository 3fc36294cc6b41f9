import { describe, expect, test } from "vitest";
import { checkCorefile } from "../coredns/corefile.ts";
import { rewriteBlock, STANDARD_LISTENING } from "../coredns/mesh-block.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { DnsKeeper } from "./dns-keeper.ts";
import {
  askToHandBack,
  askToTakeOver,
  DnsOwnership,
  type MeshClaim,
  ownerFor,
  type TakeOver,
} from "./dns-ownership.ts";
import type { OriginalMesh } from "./original-meshes.ts";
import { takeAway } from "./take-away.ts";
import { FakeApi } from "./testkit/fake-api.ts";

const MAPS = "/api/v1/namespaces/kube-system/configmaps";
const DEPLOYMENTS = "/apis/apps/v1/namespaces/kube-system/deployments";
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
  api.put(MAPS, { metadata: { name: "coredns", namespace: "kube-system" }, data: { Corefile: COREFILE } });
  api.put(DEPLOYMENTS, {
    metadata: { name: "coredns", namespace: "kube-system", generation: 1 },
    spec: {
      template: {
        metadata: {},
        spec: {
          containers: [{ name: "coredns", image: "coredns/coredns:1.11.1" }],
          volumes: [{ name: "config", configMap: { name: "coredns" } }],
        },
      },
    },
  });
  api.refuse = (method, path, body) => {
    const workload = api.objects.get(`${DEPLOYMENTS}/coredns`);
    if (workload !== undefined) workload["status"] = rollout.status();
    if (method === "PATCH" && path.endsWith("deployments/coredns") && JSON.stringify(body).includes("template"))
      rollout.restarts++;
  };
  const install = (mesh: Mesh) => {
    api.put(`/api/v1/namespaces/${mesh}/services`, {
      metadata: {
        name: "tulle-dns",
        namespace: mesh,
        creationTimestamp: mesh === "first" ? "2026-01-01T00:00:00Z" : "2026-02-01T00:00:00Z",
        labels: { "app.kubernetes.io/part-of": "tulle" },
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
        meshDomains: DOMAINS,
        originals: () => originals,
        lacks: (_from: string, asked: TakeOver) => (asked === "force" ? [] : lacking),
      }),
      wanted: () => ({
        meshNamespace: mesh,
        clusterDomain: "cluster.local",
        meshDomains: DOMAINS,
        dnsServiceIPs: [ADDRESSES[mesh]],
        longNames: [],
        marks: originals.some(({ controls }) => controls) ? "original" : "own",
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
    annotations: (mesh: Mesh) =>
      api.objects.get(`/api/v1/namespaces/${mesh}/services/tulle-dns`)?.metadata["annotations"],
  };
}

describe("two meshes of Tulle", () => {
  test("share one cluster: the first has the domains, the second stands by and touches nothing", async () => {
    const { api, install, look, holder, annotations } = fixture();
    const first = install("first");
    await look(first);
    const second = install("second");
    api.requests.length = 0;
    await look(second, second);
    expect(api.requests.filter((request) => !request.startsWith("GET"))).toEqual([]);
    expect(second.status).toMatchObject({ inForce: false, owner: "first", faults: [] });
    expect(first.status).toMatchObject({ inForce: true, owner: "first" });
    expect(holder()).toBe(ADDRESSES.first);
    expect(annotations("first")).toEqual({ "tulle.dev/dns-claim": "1" });
  });

  test("hand the domains over and back, and the one that lost them does not fight", async () => {
    const { install, look, holder, ask, events, annotations } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    await ask("second");
    await look(first, second, first, second);
    expect(holder()).toBe(ADDRESSES.second);
    expect(first.status).toMatchObject({ inForce: false, owner: "second" });
    expect(annotations("second")).toEqual({ "tulle.dev/dns-claim": "2" });
    expect(annotations("first")).toEqual({});
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
    const { api, install, look, holder, ask, setCorefile, whileTimePasses } = fixture();
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
  });

  test("where CoreDNS does not get ready with the new owner's block, the old one has the domains again", async () => {
    const { install, look, holder, ask, rollout, annotations } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    rollout.status = () => STUCK;
    await ask("second");
    await look(second);
    expect(holder()).toBe(ADDRESSES.first);
    expect(annotations("second")).toEqual({});
    rollout.status = () => READY;
    await look(first, second);
    expect(holder()).toBe(ADDRESSES.first);
    expect(second.status).toMatchObject({ owner: "first", faults: [expect.stringContaining("did not get ready")] });
  });

  test("the one that stands by has the domains once the other is gone", async () => {
    const { api, install, look, holder } = fixture();
    const [first, second] = [install("first"), install("second")];
    await look(first, second);
    api.objects.delete("/api/v1/namespaces/first/services/tulle-dns");
    await look(second);
    expect(holder()).toBe(ADDRESSES.second);
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
    const { install, look, corefile, setCorefile, holder } = fixture();
    setCorefile(patched);
    await look(install("first"));
    expect(holder()).toBe(ADDRESSES.first);
    expect(corefile()).not.toContain("old-{1}");
  });

  test("behind KubeDNS is known by the address of its own CoreDNS", () => {
    const original = { ...ALIVE, dnsAddresses: ["10.96.0.9"] };
    expect(ownerFor("new", [], { addresses: ["10.96.0.9"] }, [original])).toBe("old");
    expect(ownerFor("new", [], { addresses: ["10.96.0.8"] }, [original])).toBeUndefined();
  });
});

describe("the owner, as a mesh has to see it,", () => {
  const claim = (namespace: string, more: Partial<MeshClaim> = {}): MeshClaim => ({
    namespace,
    claim: 0,
    asked: undefined,
    handBack: undefined,
    createdAt: "",
    clusterIPs: [],
    ...more,
  });
  const ADDRESS = { addresses: ["10.0.0.1"] };

  test("is whom cluster DNS leads to, claim or not", () => {
    const led = claim("led", { clusterIPs: ["10.0.0.1"] });
    expect(ownerFor("new", [claim("new"), led], ADDRESS, [])).toBe("led");
    expect(ownerFor("led", [claim("new"), led], ADDRESS, [])).toBe("led");
  });

  test("is itself where it claims them higher", () => {
    const [high, low] = [claim("high", { claim: 3 }), claim("low", { claim: 2, clusterIPs: ["10.0.0.1"] })];
    expect(ownerFor("high", [high, low], ADDRESS, [])).toBe("high");
    // As long as its own block is there.
    expect(ownerFor("low", [high, low], ADDRESS, [])).toBe("low");
    expect(ownerFor("low", [high, low], { namespace: "high", addresses: [] }, [])).toBe("high");
  });

  test("is nobody who cannot write into cluster DNS, however high he claims", () => {
    const all = [claim("tulle", { claim: 1, clusterIPs: ["10.0.0.1"] }), claim("tenant", { claim: 999 })];
    expect(ownerFor("tulle", all, ADDRESS, [])).toBe("tulle");
    expect(ownerFor("tulle", all, undefined, [])).toBe("tulle");
  });

  test("of equal claims is the older", () => {
    const old = claim("old", { claim: 1, createdAt: "2026-01-01T00:00:00Z", clusterIPs: ["10.0.0.1"] });
    const young = claim("young", { claim: 1, createdAt: "2026-02-01T00:00:00Z", clusterIPs: ["10.0.0.2"] });
    expect(ownerFor("young", [young, old], ADDRESS, [])).toBe("old");
    expect(ownerFor("old", [young, old], { addresses: ["10.0.0.2"] }, [])).toBe("old");
  });

  test("is whoever claims them, where the blocks are gone or lead nowhere", () => {
    const claiming = claim("owner", { claim: 1 });
    expect(ownerFor("new", [claim("new"), claiming], undefined, [])).toBe("owner");
    expect(ownerFor("new", [claim("new"), claiming], { namespace: "gone", addresses: [] }, [])).toBe("owner");
    expect(ownerFor("new", [claim("new")], { namespace: "gone", addresses: [] }, [])).toBeUndefined();
  });
});
