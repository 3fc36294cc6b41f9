/**
 * `svc.cluster.local` on one machine: what kube-proxy does on a node, each Service port forwarded to its ready
 * endpoints, past the mesh and its rules. It is a second proxy with a configuration of TCP and UDP alone.
 */
import { addressPort, emptyMeshConfig, type MeshConfig, type ServicePort } from "../config/mesh-config.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import { type EndpointSlice, keyOf, type Service, type ServicePort as ServicePortSpec } from "../model/objects.ts";

export function plainForwarding(state: ClusterStateView): MeshConfig {
  const config = emptyMeshConfig();
  const slices = slicesByService(state);
  for (const service of state.list("Service")) {
    for (const address of service.clusterIPs) {
      for (const port of service.ports) {
        if (port.protocol === "SCTP") continue;
        const transport = port.protocol === "TCP" ? "tcp" : "udp";
        const servicePort = `${keyOf(service.meta)}:${port.port}/${transport}`;
        config.servicePorts[servicePort] = forward(service, port, slices.get(keyOf(service.meta)) ?? []);
        config.entrypoints[`${addressPort(address, port.port)}/${transport}`] = {
          address,
          port: port.port,
          transport,
          servicePort,
        };
      }
    }
  }
  return config;
}

function slicesByService(state: ClusterStateView): Map<string, EndpointSlice[]> {
  const slices = new Map<string, EndpointSlice[]>();
  for (const slice of state.list("EndpointSlice")) {
    const key = keyOf({ namespace: slice.meta.namespace, name: slice.service });
    const known = slices.get(key);
    if (known === undefined) slices.set(key, [slice]);
    else known.push(slice);
  }
  return slices;
}

function forward(service: Service, port: ServicePortSpec, slices: readonly EndpointSlice[]): ServicePort {
  const endpoints: ServicePort["endpoints"] = {};
  for (const slice of slices) {
    for (const slicePort of slice.ports) {
      if (slicePort.name !== port.name || slicePort.protocol !== port.protocol) continue;
      for (const endpoint of slice.endpoints) {
        if (!endpoint.ready && !service.publishNotReadyAddresses) continue;
        for (const address of endpoint.addresses) endpoints[addressPort(address, slicePort.port)] = {};
      }
    }
  }
  return {
    namespace: service.meta.namespace,
    service: service.meta.name,
    port: port.port,
    trafficType: port.protocol === "UDP" ? "udp" : "tcp",
    scheme: "http",
    middlewares: {},
    endpoints,
  };
}
