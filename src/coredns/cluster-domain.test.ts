import { describe, expect, test } from "vitest";
import { clusterDomainOfCorefile, clusterDomainOfResolvConf } from "./cluster-domain.ts";

describe("the cluster's domain", () => {
  const corefile = (line: string, key = ".:53") => `${key} {\n    errors\n    ${line}\n}\n`;

  test("is the first zone of the kubernetes plugin that is no reverse zone", () => {
    const cases: Readonly<Record<string, string | undefined>> = {
      "kubernetes cluster.local in-addr.arpa ip6.arpa": "cluster.local",
      "kubernetes   cluster.local  cluster.local in-addr.arpa ip6.arpa {\n pods insecure\n }": "cluster.local",
      "kubernetes in-addr.arpa K8S.Corp.Example. {\n }": "k8s.corp.example",
      "kubernetes 10.0.0.0/8 fd00::/8 a.example b.example": "a.example",
      "kubernetes {$CLUSTER_DOMAIN} in-addr.arpa": undefined,
      "kubernetes in-addr.arpa": undefined,
      "kubernetesx cluster.local": undefined,
      "forward . cluster.local": undefined,
    };
    for (const [line, domain] of Object.entries(cases))
      expect(clusterDomainOfCorefile(corefile(line)), line).toBe(domain);
  });

  test("is that of the server block, if the plugin names none", () => {
    expect(clusterDomainOfCorefile(corefile("kubernetes", "cluster.local:53 in-addr.arpa"))).toBe("cluster.local");
    expect(clusterDomainOfCorefile(corefile("kubernetes"))).toBeUndefined();
  });

  test("is found in a snippet, and in text that is broken elsewhere", () => {
    expect(clusterDomainOfCorefile("}\n(k8s) {\nkubernetes cluster.local\n}\n. {\nimport k8s\n")).toBe("cluster.local");
  });

  test("is found in a Pod's resolv.conf", () => {
    const cases: Readonly<Record<string, string | undefined>> = {
      "search tulle.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5":
        "cluster.local",
      "nameserver 10.96.0.10\nsearch  a.svc.K8s.Corp.Example. svc.k8s.corp.example k8s.corp.example corp.example\r\n":
        "k8s.corp.example",
      // A node's own search domain that looks like a namespace's.
      "search web.svc.example.com tulle.svc.cluster.local svc.cluster.local cluster.local": "cluster.local",
      "search old.svc.one.local svc.one.local\nsearch tulle.svc.two.local svc.two.local": "two.local",
      "search corp.example\nnameserver 192.0.2.53": undefined,
      "search svc.cluster.local cluster.local": undefined,
      "": undefined,
    };
    for (const [text, domain] of Object.entries(cases)) expect(clusterDomainOfResolvConf(text), text).toBe(domain);
  });
});
