/** Traefik Mesh beside Tulle: who has the domains, and in whose words they stand in the Corefile. */
import { describe, expect, test } from "vitest";
import { rewriteBlock, STANDARD_LISTENING } from "../coredns/mesh-block.ts";
import { askToHandBack, findOwner } from "./dns-ownership.ts";
import type { OriginalMesh } from "./original-meshes.ts";
import { READY, STUCK } from "./testkit/core-dns.ts";
import { ADDRESSES, COREFILE, DOMAINS, dnsCluster, twoMeshes } from "./testkit/dns-cluster.ts";
import { FakeApi } from "./testkit/fake-api.ts";

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

  /** It has the domains, and Tulle is installed beside it. */
  function beside() {
    const cluster = dnsCluster();
    cluster.setCorefile(patched);
    cluster.setOriginals([ALIVE]);
    return { ...cluster, first: cluster.install("first") };
  }

  /** And Tulle has taken them over. */
  async function takenOver() {
    const cluster = beside();
    await cluster.ask("first");
    await cluster.look(cluster.first);
    return cluster;
  }

  test("keeps the domains until Tulle is asked, and then its blocks are replaced in place", async () => {
    const { look, corefile, ask, holder, events, first } = beside();
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
    const { look, corefile, setCorefile, holder, events, first } = await takenOver();
    setCorefile(prepared(corefile()));
    expect(corefile()).toContain("old-{1}");
    await look(first);
    expect(holder()).toBe(ADDRESSES.first);
    expect(events).toEqual(["MeshDnsTakenOver", "MeshDnsRepaired"]);
  });

  test("with its controller stopped, our blocks get marks of their own, and uninstalling it leaves them", async () => {
    const { look, corefile, setOriginals, rollout, first } = await takenOver();
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
    const { api, look, corefile, ask, events, annotations, holder, first } = await takenOver();
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
    const { api, install, look, setOriginals, holder } = dnsCluster();
    setOriginals([{ ...STOPPED, serves: false }]);
    const first = install("first");
    await look(first);
    await askToHandBack(api, "first", "old");
    await look(first, first);
    expect(holder()).toBe(ADDRESSES.first);
  });

  test("does not get them back where CoreDNS does not get ready with its block", async () => {
    const { api, look, holder, rollout, first } = await takenOver();
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
    const { clock, install, look, corefile, setCorefile, holder } = dnsCluster();
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
    const { clock, install, look, corefile, setCorefile, setOriginals, lacking } = dnsCluster();
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
    const { api, clock, look, corefile, setCorefile, setOriginals, second } = await twoMeshes();
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
    const { awayWhen, install, look, corefile, ask, rollout, record, first } = beside();
    await ask("first");
    const back = awayWhen((method, _path, body) => method === "PATCH" && body.includes("template"));
    await expect(look(first)).rejects.toThrow("away");
    back();
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
