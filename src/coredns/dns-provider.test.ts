/** What distributions look like as a whole is in the golden cases; here is what is told from single fields. */
import { describe, expect, test } from "vitest";
import { configMapsToRead, detectDns, versionOfImage, type WorkloadJson } from "./dns-provider.ts";

describe("the version of CoreDNS", () => {
  test("is told from the tag, whatever the distribution adds to it", () => {
    const cases: Readonly<Record<string, string>> = {
      "coredns/coredns:1.8.0": "1.8.0",
      "registry.k8s.io/coredns/coredns:v1.11.1": "1.11.1",
      "602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/coredns:v1.11.1-eksbuild.2": "1.11.1",
      "registry.k8s.io/coredns/coredns:1.9.3@sha256:8e352a029d304ca7431c6507b56800636c321cb52289686a581ab70aaa8a2e2a":
        "1.9.3",
      "rancher/hardened-coredns:1.10.1-build20230406": "1.10.1",
      "mcr.microsoft.com/oss/kubernetes/coredns:v1.9.4-hotfix.20240520": "1.9.4",
      "registry.local:5000/coredns:1.12": "1.12.0",
      "coredns:1.3.1+distro1": "1.3.1",
    };
    for (const [image, version] of Object.entries(cases)) {
      const { major, minor, patch } = versionOfImage(image) ?? {};
      expect(`${major}.${minor}.${patch}`, image).toBe(version);
    }
  });

  test("is not known without one", () => {
    for (const image of [
      "coredns/coredns",
      "coredns/coredns:latest",
      "registry.local:5000/coredns",
      "coredns@sha256:8e352a029d304ca7431c6507b56800636c321cb52289686a581ab70aaa8a2e2a",
      "coredns:20230406",
      "coredns:1.2.3.4",
      "coredns:main-1.2",
      "",
    ])
      expect(versionOfImage(image), image).toBeUndefined();
  });
});

function workload(
  name: string,
  more: { kind?: string; labels?: Record<string, string>; image?: string; container?: string },
) {
  const { kind = "Deployment", labels = {}, image = "coredns/coredns:1.11.1", container = "coredns" } = more;
  return {
    kind,
    metadata: { name, namespace: "kube-system", labels },
    spec: {
      template: {
        spec: {
          containers: [{ name: container, image }],
          volumes: [{ name: "config", projected: { sources: [{ configMap: { name: "dns-config" } }] } }],
        },
      },
    },
  } satisfies WorkloadJson;
}

const configMaps = { "dns-config": { data: { Corefile: ".:53 {\n}\n" } } };
const LABEL = { "k8s-app": "kube-dns" };

describe("CoreDNS", () => {
  const found = (...workloads: WorkloadJson[]) => {
    const { provider } = detectDns({ workloads, configMaps });
    return provider?.kind === "coredns" ? `${provider.workload.kind}/${provider.workload.name}` : provider?.kind;
  };

  test("is the Deployment coredns first, then RKE2's, then the one that is labelled", () => {
    const rke2 = workload("rke2-coredns-rke2-coredns", {});
    const labelled = workload("dns", { labels: LABEL });
    expect(found(labelled, rke2, workload("coredns", {}))).toBe("Deployment/coredns");
    expect(found(labelled, rke2)).toBe("Deployment/rke2-coredns-rke2-coredns");
    expect(found(workload("dns", { labels: { "kubernetes.io/name": "CoreDNS" } }))).toBe("Deployment/dns");
  });

  test("may be a DaemonSet, and a Deployment goes before it", () => {
    const daemons = workload("dns-daemons", { kind: "DaemonSet", labels: LABEL });
    expect(found(daemons)).toBe("DaemonSet/dns-daemons");
    expect(found(daemons, workload("dns", { labels: LABEL }))).toBe("Deployment/dns");
    expect(found(workload("coredns", { kind: "DaemonSet" }), workload("coredns", {}))).toBe("Deployment/coredns");
  });

  test("is known by its container or its image, not by a label alone", () => {
    expect(found(workload("a", { labels: LABEL, container: "x", image: "reg:5000/mirror/coredns@sha256:00" }))).toBe(
      "Deployment/a",
    );
    expect(
      found(workload("a", { labels: LABEL, container: "x", image: "reg/coredns-autoscaler:1.0" })),
    ).toBeUndefined();
  });

  test("goes before a kube-dns that is left beside it", () => {
    const kubeDns = workload("kube-dns", { container: "kubedns", image: "k8s-dns-kube-dns:1.22" });
    expect(found(kubeDns, workload("coredns", {}))).toBe("Deployment/coredns");
    expect(found(kubeDns)).toBe("kube-dns");
    // Some ship CoreDNS under the old name.
    expect(found(workload("kube-dns", { labels: LABEL }))).toBe("Deployment/kube-dns");
  });

  test("too old is named with its version, and KubeDNS is not tried then", () => {
    const old = workload("coredns", { image: "coredns/coredns:1.2.6" });
    const kubeDns = workload("kube-dns", { container: "kubedns", image: "k8s-dns-kube-dns:1.22" });
    const { provider, faults } = detectDns({ workloads: [kubeDns, old], configMaps });
    expect(provider?.kind).toBe("coredns");
    expect(faults).toEqual(["Deployment kube-system/coredns runs CoreDNS 1.2.6: Tulle needs 1.3 or later."]);
    expect(detectDns({ workloads: [workload("coredns", { image: "coredns:1.3.0" })], configMaps }).faults).toEqual([]);
  });
});

describe("coredns-custom", () => {
  const custom = (imports: string, mountPath: string) => {
    const corefile = `.:53 {\n import custom/*.override\n}\n${imports}\n`;
    const dns: WorkloadJson = {
      kind: "Deployment",
      metadata: { name: "coredns" },
      spec: {
        template: {
          spec: {
            containers: [{ name: "coredns", image: "coredns:1.11.1", volumeMounts: [{ name: "own", mountPath }] }],
            volumes: [
              { name: "config", configMap: { name: "coredns" } },
              { name: "own", configMap: { name: "coredns-custom", optional: true } },
            ],
          },
        },
      },
    };
    const { provider, warnings } = detectDns({
      workloads: [dns],
      configMaps: { coredns: { data: { Corefile: corefile } } },
    });
    return provider?.kind === "coredns" && provider.custom !== undefined ? provider.custom.suffix : warnings.length;
  };

  test("is used where the Corefile imports server blocks from where it is mounted", () => {
    expect(custom("import custom/*.server", "/etc/coredns/custom")).toBe(".server");
    expect(custom("import /etc/coredns/custom/*.server", "/etc/coredns/custom/")).toBe(".server");
    expect(custom("import /etc/coredns/zones.d/*.conf", "/etc/coredns/zones.d")).toBe(".conf");
  });

  test("is not used, with a warning, where it would have no effect", () => {
    expect(custom("", "/etc/coredns/custom")).toBe(1);
    expect(custom("# import custom/*.server", "/etc/coredns/custom")).toBe(1);
    expect(custom("import /etc/other/*.server", "/etc/coredns/custom")).toBe(1);
    expect(custom("import custom/mine.server", "/etc/coredns/custom")).toBe(1);
  });
});

test("OpenShift is known by its operator, whatever runs in kube-system", () => {
  const observed = { workloads: [workload("coredns", {})], configMaps, dnsOperator: { metadata: { name: "default" } } };
  expect(detectDns(observed).provider).toEqual({ kind: "openshift", name: "default" });
});

test("ConfigMaps to read are those of known names, and those that a CoreDNS mounts", () => {
  const others = workload("metrics-server", { container: "metrics", image: "metrics-server:0.7" });
  expect(configMapsToRead([workload("dns", {}), others])).toEqual([
    "coredns",
    "coredns-custom",
    "dns-config",
    "kube-dns",
    "rke2-coredns-rke2-coredns",
  ]);
  expect(configMapsToRead([others])).not.toContain("dns-config");
});
