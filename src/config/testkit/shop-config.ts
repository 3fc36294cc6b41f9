/** Configurations of HTTP Services in the namespace `shop`, port 80, for tests to which it is all the same. */
import { emptyMeshConfig, type MeshConfig, type ServicePort } from "../mesh-config.ts";

/** @param endpoints `address:port` */
export function shopServicePort(
  service: string,
  endpoints: readonly string[],
  more: Partial<ServicePort> = {},
): ServicePort {
  return {
    namespace: "shop",
    service,
    port: 80,
    trafficType: "http",
    scheme: "http",
    middlewares: {},
    endpoints: Object.fromEntries(endpoints.map((key) => [key, {}])),
    ...more,
  };
}

/** It is called at this port of 127.0.0.1. */
export function shopEntrypoint(port: number, service: string): MeshConfig["entrypoints"] {
  const address = "127.0.0.1";
  return { [`${address}:${port}/tcp`]: { address, port, transport: "tcp", servicePort: `shop/${service}:80` } };
}

/** One Service, `web`, which is called at this port. */
export function webConfig(port: number, endpoint: string): MeshConfig {
  return {
    ...emptyMeshConfig(),
    entrypoints: shopEntrypoint(port, "web"),
    servicePorts: { "shop/web:80": shopServicePort("web", [endpoint]) },
  };
}
