/**
 * A cluster of any size, as the objects that a controller has read. For each Service: its shadow in the mesh's
 * namespace, an EndpointSlice and three Pods; a split for every tenth, a target for every fifth. Ten Services share a
 * namespace, and one Service is in the splits and targets of its neighbours only, as teams have it.
 */
import { SHADOW_LABELS, SHADOW_OF } from "../dist/controller/own-objects.js";

export const MESH_NAMESPACE = "tulle";
const PODS = 3;
const SERVICES_OF_A_NAMESPACE = 10;

const meta = (namespace, name, more = {}) => ({
  namespace,
  name,
  labels: {},
  annotations: {},
  createdAt: 0,
  ...more,
});

const namespaceOf = (index) => `team-${Math.floor(index / SERVICES_OF_A_NAMESPACE)}`;
const nameOf = (index) => `service-${index}`;
const addressOf = (index, pod) => {
  const number = index * 4 + pod;
  return `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
};
const shadowAddressOf = (index) => `172.20.${index >> 8}.${index & 255}`;

const serviceOf = (index) => ({
  kind: "Service",
  meta: meta(namespaceOf(index), nameOf(index)),
  type: "ClusterIP",
  clusterIPs: [],
  headless: false,
  publishNotReadyAddresses: false,
  ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }],
});

const shadowOf = (index) => ({
  ...serviceOf(index),
  meta: meta(MESH_NAMESPACE, `shadow-${index}`, {
    labels: SHADOW_LABELS,
    annotations: { [SHADOW_OF]: `${namespaceOf(index)}/${nameOf(index)}` },
  }),
  clusterIPs: [shadowAddressOf(index)],
  ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: 10_000 + index }],
});

export const podOf = (index, pod) => ({
  kind: "Pod",
  meta: meta(namespaceOf(index), `${nameOf(index)}-${pod}`),
  ips: [addressOf(index, pod)],
  phase: "Running",
  ready: true,
  hostNetwork: false,
  serviceAccount: nameOf(index),
  nodeName: `node-${(index + pod) % 100}`,
  containers: [],
});

/** @param ready of its endpoints, the first so many */
export const sliceOf = (index, ready = PODS) => ({
  kind: "EndpointSlice",
  meta: meta(namespaceOf(index), `${nameOf(index)}-slice`),
  service: nameOf(index),
  addressType: "IPv4",
  endpoints: Array.from({ length: PODS }, (_, pod) => ({
    addresses: [addressOf(index, pod)],
    ready: pod < ready,
    serving: pod < ready,
    terminating: false,
    nodeName: `node-${(index + pod) % 100}`,
    pod: { namespace: namespaceOf(index), name: `${nameOf(index)}-${pod}` },
  })),
  ports: [{ name: "http", port: 8080, protocol: "TCP" }],
});

/** Of a Service to the two after it. */
export const splitOf = (index, weight = 80) => ({
  kind: "TrafficSplit",
  meta: meta(namespaceOf(index), `split-${index}`),
  version: "v1alpha4",
  service: nameOf(index),
  backends: [
    { service: nameOf(index + 1), weight },
    { service: nameOf(index + 2), weight: 100 - weight },
  ],
  matches: [],
});

/** From a Service to the one after it. */
export const targetOf = (index, matches = ["read"]) => ({
  kind: "TrafficTarget",
  meta: meta(namespaceOf(index), `target-${index}`),
  version: "v1alpha3",
  destination: { kind: "ServiceAccount", name: nameOf(index + 1), namespace: namespaceOf(index) },
  rules: [{ kind: "HTTPRouteGroup", name: "requests", matches }],
  sources: [{ kind: "ServiceAccount", name: nameOf(index), namespace: namespaceOf(index) }],
});

const groupOf = (index) => ({
  kind: "HTTPRouteGroup",
  meta: meta(namespaceOf(index), "requests"),
  version: "v1alpha4",
  matches: [
    { name: "read", pathRegex: "/api/.*", methods: ["GET", "HEAD"] },
    { name: "write", pathRegex: "/api/.*", methods: ["POST", "PUT"], headers: [{ name: "x-write", value: "yes" }] },
  ],
});

/** @param services a multiple of ten */
export function clusterOf(services) {
  const objects = [];
  for (let index = 0; index < services; index++) {
    objects.push(serviceOf(index), shadowOf(index), sliceOf(index));
    for (let pod = 0; pod < PODS; pod++) objects.push(podOf(index, pod));
    if (index % 10 === 0) objects.push(splitOf(index), groupOf(index));
    if (index % 5 === 0) objects.push(targetOf(index));
  }
  return objects;
}
