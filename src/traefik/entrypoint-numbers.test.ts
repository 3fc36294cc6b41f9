import { expect, test } from "vitest";
import { emptyMeshConfig, type MeshConfig, type ServicePort } from "../config/mesh-config.ts";
import type { Service } from "../model/objects.ts";
import { AssignedNumbers, httpNumber, placedNumbers } from "./entrypoint-numbers.ts";

const servicePort = (service: string, port: number, trafficType: ServicePort["trafficType"]): ServicePort => ({
  namespace: "n",
  service,
  port,
  trafficType,
  scheme: "http",
  middlewares: {},
  endpoints: {},
});
const web: Service = {
  kind: "Service",
  meta: { namespace: "n", name: "web", labels: {}, annotations: {}, createdAt: 0 },
  type: "ClusterIP",
  clusterIPs: [],
  headless: false,
  publishNotReadyAddresses: false,
  ports: [
    { name: "dns", port: 53, protocol: "UDP", targetPort: 53 },
    { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: 53 },
    { name: "web", port: 80, protocol: "TCP", targetPort: 80 },
  ],
};
const find = (key: string) => (key === "n/web" ? web : undefined);

test("a port of HTTP has the entry point of its place in the Service, as far as there are any", () => {
  expect([httpNumber(web, 53, 10), httpNumber(web, 80, 10), httpNumber(web, 80, 2)]).toEqual([5001, 5002, undefined]);
  expect(httpNumber(web, 81, 10)).toBeUndefined();
});

test("on a cluster a port of TCP or UDP has the one that it was allotted, and none before", () => {
  const entrypoint = (servicePortKey: string, transport: "tcp" | "udp") =>
    ({ address: "::", port: 1, transport, servicePort: servicePortKey }) as const;
  const config: MeshConfig = {
    ...emptyMeshConfig(),
    entrypoints: { "[::]:10007/tcp": entrypoint("n/db:5432", "tcp"), "[::]:10009/udp": entrypoint("n/dns:53", "udp") },
  };
  const numbers = placedNumbers(config, find);
  expect(numbers("n/db:5432", servicePort("db", 5432, "tcp"))).toBe(10007);
  expect(numbers("n/dns:53", servicePort("dns", 53, "udp"))).toBe(10009);
  expect(numbers("n/new:1", servicePort("new", 1, "tcp"))).toBeUndefined();
  expect(numbers("n/web:80", servicePort("web", 80, "http"))).toBe(5002);
  expect(numbers("n/gone:80", servicePort("gone", 80, "http"))).toBeUndefined();
});

test("assigned numbers stay whoever comes and goes", () => {
  const assigned = new AssignedNumbers();
  const [db, mq, dns] = [servicePort("db", 1, "tcp"), servicePort("mq", 1, "tcp"), servicePort("dns", 1, "udp")];
  expect([assigned.of(find)("n/mq:1", mq), assigned.of(find)("n/dns:1", dns)]).toEqual([10000, 15000]);
  expect([assigned.of(find)("n/db:1", db), assigned.of(find)("n/mq:1", mq)]).toEqual([10001, 10000]);
});
