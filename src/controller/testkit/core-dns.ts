import type { FakeApi } from "./fake-api.ts";

export const CORE_DNS_MAPS = "/api/v1/namespaces/kube-system/configmaps";
export const DEPLOYMENTS = "/apis/apps/v1/namespaces/kube-system/deployments";

/** Status of its workload, with each Pod ready, and with the first new one that does not get ready. */
export const READY = { observedGeneration: 1, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
export const STUCK = { ...READY, replicas: 3, updatedReplicas: 1, unavailableReplicas: 1 };

/** CoreDNS, as kubeadm installs it. @param workloads the collection of what runs it; @param metadata of that */
export function putCoreDns(api: FakeApi, corefile: string, metadata: object = {}, workloads = DEPLOYMENTS): void {
  const named = { name: "coredns", namespace: "kube-system" };
  api.put(CORE_DNS_MAPS, { metadata: named, data: { Corefile: corefile } });
  api.put(workloads, {
    metadata: { ...named, ...metadata },
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
}
