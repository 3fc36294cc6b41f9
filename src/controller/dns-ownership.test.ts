/** Meshes of Tulle that share the mesh domains of one cluster. */
import { describe, expect, test } from "vitest";
import { silentLog } from "../telemetry/log.ts";
import { takeAway } from "./take-away.ts";
import { DEPLOYMENTS, CORE_DNS_MAPS as MAPS, READY, STUCK } from "./testkit/core-dns.ts";
import { ADDRESSES, COREFILE, DOMAINS, dnsCluster, twoMeshes } from "./testkit/dns-cluster.ts";

describe("two meshes of Tulle", () => {
  test("share one cluster: the first has the domains, the second stands by and touches nothing", async () => {
    const { api, install, look, holder, record } = dnsCluster();
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
    const { look, holder, ask, events, record, first, second } = await twoMeshes();
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
    const { install, look, holder, ask, lacking } = dnsCluster();
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
    const { look, holder, setCorefile, corefile, first, second } = await twoMeshes();
    setCorefile(COREFILE);
    await look(second);
    expect(corefile()).toBe(COREFILE);
    await look(first);
    expect(holder()).toBe(ADDRESSES.first);
  });

  test("an owner that read DNS before it lost the domains cannot overwrite what the new owner wrote", async () => {
    const { api, look, holder, ask, setCorefile, whileTimePasses, trial, rollout, first, second } = await twoMeshes();
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
    const { look, holder, ask, rollout, annotations, record, first, second } = await twoMeshes();
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
    const { api, clock, install, look, holder, second } = await twoMeshes();
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
    const { api, install, look, holder, setCorefile, setOriginals, corefile, record } = dnsCluster();
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
    const { api, install, look, holder, ask, rollout, record } = dnsCluster();
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
    const { awayWhen, install, look, holder, ask, rollout, record, trial, second } = await twoMeshes();
    await ask("second");
    const back = awayWhen((method, path) => method === "PATCH" && path.startsWith(MAPS));
    await expect(look(second)).rejects.toThrow("away");
    expect(record()).toMatchObject({ namespace: "second", from: { namespace: "first" } });
    back();
    rollout.status = () => STUCK;
    await look(install("second"));
    expect(holder()).toBe(ADDRESSES.first);
    expect(record()).toEqual({ namespace: "first", domains: DOMAINS });
    expect(trial()).toBeUndefined();
  });

  test("what could not be given back at once is given back at the next look", async () => {
    const { awayWhen, look, holder, ask, rollout, record, first, second } = await twoMeshes();
    await ask("second");
    rollout.status = () => STUCK;
    const back = awayWhen(
      (method, path, body) =>
        method === "PATCH" && path.endsWith("deployments/coredns") && body.includes('dns-configuration":null'),
    );
    await expect(look(second)).rejects.toThrow("away");
    expect(record()?.namespace).toBe("second");
    back();
    await look(second);
    expect(record()).toEqual({ namespace: "first", domains: DOMAINS });
    await look(first);
    expect(holder()).toBe(ADDRESSES.first);
  });

  test("asked again soon after its change was taken back, a mesh waits and says so", async () => {
    const { look, holder, ask, rollout, clock, record, second } = await twoMeshes();
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
    const { install, look, corefile, ask } = dnsCluster();
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
    const { api, clock, install, look, holder, whileTimePasses } = dnsCluster();
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
    const { api, look, second } = await twoMeshes();
    api.requests.length = 0;
    await look(second);
    expect(api.requests.filter((request) => request.includes("/services"))).toEqual([
      "GET /api/v1/namespaces/second/services/tulle-dns",
      "GET /api/v1/namespaces/first/services/tulle-dns",
    ]);
  });

  test("uninstalling the one that stands by leaves cluster DNS to its owner", async () => {
    const { api, clock, install, look, holder, whileTimePasses } = dnsCluster();
    await look(install("first"), install("second"));
    const options = { log: silentLog, dnsMode: "forward", meshDomains: DOMAINS } as const;
    const signal = new AbortController().signal;
    await whileTimePasses(takeAway({ api, clock, ...options, namespace: "second", signal }));
    expect(holder()).toBe(ADDRESSES.first);
    await whileTimePasses(takeAway({ api, clock, ...options, namespace: "first", signal }));
    expect(holder()).toBeUndefined();
  });
});
