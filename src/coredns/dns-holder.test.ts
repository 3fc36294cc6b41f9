import { expect, test } from "vitest";
import { holderOf } from "./dns-holder.ts";
import type { ObservedDns } from "./dns-provider.ts";
import { forwardBlock, rewriteBlock, STANDARD_LISTENING } from "./mesh-block.ts";

const DOMAINS = ["traefik.mesh", "maesh"];
const CLUSTER = ".:53 {\n    kubernetes cluster.local\n    import custom/*.override\n}\nimport custom/*.server\n";
const TARGET = { meshNamespace: "old", clusterDomain: "cluster.local", longNames: [], version: undefined };
const rewrite = rewriteBlock("maesh", TARGET, STANDARD_LISTENING, "original");
const forward = forwardBlock("traefik.mesh", ["10.96.7.7", "fd00::7"], STANDARD_LISTENING, "own");

function coredns(corefile: string, custom?: Readonly<Record<string, string>>): ObservedDns {
  const mounted = { name: "custom", mountPath: "/etc/coredns/custom" };
  const containers = [
    {
      name: "coredns",
      image: "coredns/coredns:1.11.1",
      volumeMounts: [{ name: "config", mountPath: "/etc/coredns" }, mounted],
    },
  ];
  const volumes = [
    { name: "config", configMap: { name: "coredns" } },
    ...(custom === undefined ? [] : [{ name: "custom", configMap: { name: "coredns-custom", optional: true } }]),
  ];
  return {
    workloads: [
      { kind: "Deployment", metadata: { name: "coredns" }, spec: { template: { spec: { containers, volumes } } } },
    ],
    configMaps: {
      coredns: { metadata: { name: "coredns" }, data: { Corefile: corefile } },
      ...(custom === undefined ? {} : { "coredns-custom": { metadata: { name: "coredns-custom" }, data: custom } }),
    },
  };
}

test("a block that rewrites names leads to the namespace of the shadow services", () => {
  expect(holderOf(coredns(`${CLUSTER}\n${rewrite}\n`), DOMAINS)).toEqual({ namespace: "old", addresses: [] });
});

test("a block that forwards leads to its addresses", () => {
  const expected = { addresses: ["10.96.7.7", "fd00::7"] };
  expect(holderOf(coredns(`${CLUSTER}\n${forward}\n`), DOMAINS)).toEqual(expected);
  expect(holderOf(coredns(CLUSTER, { "tulle-traefik.mesh.server": forward }), DOMAINS)).toEqual(expected);
});

test("cluster DNS without the mesh domains leads to nobody", () => {
  expect(holderOf(coredns(CLUSTER), DOMAINS)).toBeUndefined();
  expect(holderOf(coredns(`${CLUSTER}\n${rewrite}\n`), ["traefik.mesh"])).toBeUndefined();
  expect(holderOf({ workloads: [], configMaps: {} }, DOMAINS)).toBeUndefined();
});

test("KubeDNS leads to the servers of its stub domain, whatever else is in there", () => {
  const kubeDns = (stubDomains: string): ObservedDns => ({
    workloads: [{ kind: "Deployment", metadata: { name: "kube-dns" } }],
    configMaps: { "kube-dns": { metadata: { name: "kube-dns" }, data: { stubDomains } } },
  });
  expect(holderOf(kubeDns('{"maesh":["10.0.0.9"]}'), DOMAINS)).toEqual({ addresses: ["10.0.0.9"] });
  expect(holderOf(kubeDns('{"corp":["10.0.0.9"]}'), DOMAINS)).toBeUndefined();
  expect(holderOf(kubeDns("{"), DOMAINS)).toBeUndefined();
  expect(holderOf(kubeDns("null"), DOMAINS)).toBeUndefined();
});

test("OpenShift's operator leads to the upstreams of the server that has a mesh domain", () => {
  const servers = [
    { name: "corp", zones: ["corp.example"], forwardPlugin: { upstreams: ["10.0.0.1"] } },
    { name: "tulle-mesh", zones: ["maesh", "traefik.mesh"], forwardPlugin: { upstreams: ["10.0.0.9"] } },
  ];
  const dnsOperator = { metadata: { name: "default" }, spec: { servers } };
  expect(holderOf({ workloads: [], configMaps: {}, dnsOperator }, DOMAINS)).toEqual({ addresses: ["10.0.0.9"] });
});
