/** A cluster with CoreDNS, in which meshes share the mesh domains, as DNS's keepers see it. */
import { expect } from "vitest";
import { checkCorefile } from "../../coredns/corefile.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { silentLog } from "../../telemetry/log.ts";
import { DnsKeeper } from "../dns-keeper.ts";
import { askToTakeOver, DnsOwnership, type TakeOver } from "../dns-ownership.ts";
import type { OriginalMesh } from "../original-meshes.ts";
import { DEPLOYMENTS, CORE_DNS_MAPS as MAPS, putCoreDns, READY } from "./core-dns.ts";
import { FakeApi } from "./fake-api.ts";

export const COREFILE = ".:53 {\n    kubernetes cluster.local\n    forward . /etc/resolv.conf\n    reload\n}\n";
export const DOMAINS = ["maesh", "traefik.mesh"];
/** Of the DNS of Tulle's meshes in the namespaces first and second. */
export const ADDRESSES = { first: "10.96.0.1", second: "10.96.0.2" };
type Mesh = keyof typeof ADDRESSES;

/** No mesh is installed yet. */
export function dnsCluster() {
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
  const whileTimePasses = (work: Promise<unknown>) => clock.advanceUntil(work, 500);
  const look = async (...keepers: DnsKeeper[]) => {
    for (const keeper of keepers) await whileTimePasses(keeper.look(new AbortController().signal, recorder));
  };
  /** Requests that fit are not answered, until what this returns is called. */
  const awayWhen = (fits: (method: string, path: string, body: string) => boolean) => {
    const { refuse } = api;
    api.refuse = (method, path, body) => {
      refuse(method, path, body);
      if (fits(method, path, JSON.stringify(body) ?? "")) throw new Error("away");
    };
    return () => {
      api.refuse = refuse;
    };
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
    awayWhen,
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

/** Two meshes of Tulle: the first has the domains, and the second stands by. */
export async function twoMeshes() {
  const cluster = dnsCluster();
  const [first, second] = [cluster.install("first"), cluster.install("second")];
  await cluster.look(first, second);
  return { ...cluster, first, second };
}
