/**
 * Clusters of any objects: few names, so that they meet, and of each kind what is right beside what is wrong. All are
 * as a source gives them: what cannot be decoded never comes this far.
 */
import fc from "fast-check";
import { SHADOW_LABELS, SHADOW_OF } from "../../src/controller/own-objects.ts";
import {
  type EndpointSlice,
  type HTTPRouteGroup,
  keyOf,
  type MeshObject,
  type Meta,
  type Node,
  type ObjectRef,
  type Pod,
  refOf,
  type Service,
  type TCPRoute,
  type TrafficSplit,
  type TrafficTarget,
  type UDPRoute,
} from "../../src/model/objects.ts";

export const MESH_NAMESPACE = "mesh";
const NAMESPACES = ["a", "b"];
const SERVICES = ["s0", "s1", "s2", "s3"];
const ACCOUNTS = ["x", "y", "z"];
const NODES = ["n1", "n2"];
export const ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "fd00::6"];
const PODS = ["p0", "p1", "p2", "p3", "p4", "p5"];
const SERVICE_PORTS = [80, 81];
const POD_PORTS = [8080, 8081];
export const PATHS = ["/", "/a", "/ab", "/b/c", "/x", "/y", "/a/../b"];
/** With those that are no expressions, and those whose two readings differ. */
const PATTERNS = ["", ".*", "/a", "/a$", "^/b", "b", "/x|y", "(x|z)", "(a", "[", "/a)|(/b"];
export const METHODS = ["GET", "POST"];

const oneOf = <T>(values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
/** Mostly the first, which is right. */
const mostly = <T>(right: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ arbitrary: fc.constant(right), weight: 12 }, { arbitrary: oneOf(others), weight: 1 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });

/** A record without the fields that are undefined: they are absent in what sources give. */
function record<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc
    .record(model)
    .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as T);
}

const ANNOTATIONS: readonly (readonly [string, readonly string[]])[] = [
  ["mesh.traefik.io/traffic-type", ["http", "tcp", "udp", "smtp"]],
  ["maesh.containo.us/traffic-type", ["tcp"]],
  ["mesh.traefik.io/scheme", ["http", "https", "h2c", "gopher"]],
  ["mesh.traefik.io/retry-attempts", ["2", "-1"]],
  ["mesh.traefik.io/circuit-breaker-expression", ["NetworkErrorRatio() > 0.3", "Network("]],
  ["mesh.traefik.io/ratelimit-average", ["10", "many"]],
  ["mesh.traefik.io/ratelimit-burst", ["10"]],
  ["tulle.dev/max-connections", ["5", "0"]],
  ["tulle.dev/request-timeout", ["1s", "soon"]],
  ["tulle.dev/load-balancing", ["ewma", "dice"]],
  ["mesh.traefik.io/retries", ["1"]],
];
const annotations = fc
  .array(
    oneOf(ANNOTATIONS).chain(([name, values]) => oneOf(values).map((value) => [name, value] as const)),
    { maxLength: 3 },
  )
  .map((entries): Record<string, string> => Object.fromEntries(entries));

const createdAt = fc.nat(2);
const namespace = mostly("a", "b", "b", "kube-system", "ignored");
/** Of the user's own, of the mesh, of the original. */
const labels = mostly<Record<string, string>>({}, { "app.kubernetes.io/part-of": "tulle" }, { app: "maesh" });
const metaOf = (names: readonly string[], more: fc.Arbitrary<Record<string, string>> = fc.constant({})) =>
  record<Meta>({ namespace, name: oneOf(names), labels, annotations: more, createdAt });
const kind = <K extends string>(name: K): fc.Arbitrary<K> => fc.constant(name);

const node: fc.Arbitrary<Node> = record({
  kind: kind("Node"),
  meta: oneOf(NODES).map((name): Meta => ({ namespace: "", name, labels: {}, annotations: {}, createdAt: 0 })),
  zone: maybe(oneOf(["z1", "z2"])) as fc.Arbitrary<string>,
});

const servicePorts = fc.array(
  record<Service["ports"][number]>({
    name: oneOf(["", "web"]),
    port: oneOf(SERVICE_PORTS),
    protocol: mostly("TCP", "UDP", "SCTP"),
    targetPort: fc.oneof(oneOf(POD_PORTS), fc.constant("web")),
  }),
  { maxLength: 3 },
);
const service: fc.Arbitrary<Service> = record({
  kind: kind("Service"),
  meta: metaOf(SERVICES, annotations),
  type: mostly("ClusterIP", "ExternalName"),
  clusterIPs: fc.constant([]),
  headless: fc.boolean(),
  publishNotReadyAddresses: mostly(false, true),
  trafficDistribution: maybe(oneOf(["PreferSameNode", "PreferClose", "Elsewhere"])) as fc.Arbitrary<string>,
  ports: servicePorts,
});

/** What stands for a Service in the mesh's namespace. Several may claim a Service, or a port of the proxies. */
const shadow: fc.Arbitrary<Service> = fc
  .tuple(
    fc.nat(5),
    oneOf(NAMESPACES),
    oneOf(SERVICES),
    fc.array(fc.tuple(oneOf(SERVICE_PORTS), fc.nat(6), mostly("TCP" as const, "UDP" as const)), { maxLength: 3 }),
    createdAt,
    mostly<readonly string[]>(["172.20.0.1"], [], ["fd01::1"]),
  )
  .map(([number, ns, name, ports, created, clusterIPs]) => ({
    kind: "Service",
    meta: {
      namespace: MESH_NAMESPACE,
      name: `shadow-${number}`,
      labels: SHADOW_LABELS,
      annotations: { [SHADOW_OF]: `${ns}/${name}` },
      createdAt: created,
    },
    type: "ClusterIP",
    clusterIPs,
    headless: false,
    publishNotReadyAddresses: false,
    ports: ports.map(([port, target, protocol]) => ({ name: "", port, protocol, targetPort: 10_000 + target })),
  }));

const slice: fc.Arbitrary<EndpointSlice> = record({
  kind: kind("EndpointSlice"),
  meta: metaOf(["e0", "e1", "e2", "e3", "e4"]),
  service: oneOf(SERVICES),
  addressType: kind("IPv4"),
  endpoints: fc.array(
    record<EndpointSlice["endpoints"][number]>({
      addresses: fc.array(oneOf(ADDRESSES), { minLength: 1, maxLength: 2 }),
      ready: mostly(true, false),
      serving: fc.boolean(),
      terminating: fc.boolean(),
      nodeName: maybe(oneOf(NODES)) as fc.Arbitrary<string>,
      zone: maybe(oneOf(["z1", "z2"])) as fc.Arbitrary<string>,
      pod: maybe(record({ namespace: oneOf(NAMESPACES), name: oneOf(PODS) })) as fc.Arbitrary<{
        namespace: string;
        name: string;
      }>,
    }),
    { maxLength: 4 },
  ),
  ports: fc.array(
    record<EndpointSlice["ports"][number]>({
      name: oneOf(["", "web"]),
      port: oneOf(POD_PORTS),
      protocol: mostly("TCP", "UDP"),
    }),
    { maxLength: 2 },
  ),
});

const pod: fc.Arbitrary<Pod> = record({
  kind: kind("Pod"),
  meta: metaOf(PODS),
  ips: fc.array(oneOf(ADDRESSES), { maxLength: 2 }),
  phase: mostly("Running", "Pending", "Succeeded", "Failed", "Unknown"),
  ready: fc.boolean(),
  hostNetwork: mostly(false, true),
  serviceAccount: oneOf(ACCOUNTS),
  nodeName: maybe(oneOf(NODES)) as fc.Arbitrary<string>,
  containers: fc.constant([]),
});

const version = oneOf(["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"]);
const keyHeader = record({ name: mostly("X-Key", "x key"), value: mostly("yes", "^y", "(") });
/** Such as Traefik's rules do not see it. */
const hostHeader = record({ name: fc.constant("Host"), value: oneOf([".*", "^s0", ":81$"]) });
const group: fc.Arbitrary<HTTPRouteGroup> = record({
  kind: kind("HTTPRouteGroup"),
  meta: metaOf(["g0", "g1"]),
  version,
  matches: fc.array(
    record<HTTPRouteGroup["matches"][number]>({
      name: oneOf(["m0", "m1"]),
      pathRegex: maybe(oneOf(PATTERNS)) as fc.Arbitrary<string>,
      methods: maybe(fc.array(mostly("GET", "POST", "post", "*", "BREW"), { maxLength: 2 })) as fc.Arbitrary<string[]>,
      headers: maybe(
        fc.array(fc.oneof({ arbitrary: keyHeader, weight: 4 }, { arbitrary: hostHeader, weight: 1 }), { maxLength: 2 }),
      ) as fc.Arbitrary<{ name: string; value: string }[]>,
    }),
    { maxLength: 3 },
  ),
});

const ports = maybe(fc.array(oneOf(POD_PORTS), { maxLength: 2 })) as fc.Arbitrary<number[]>;
const tcpRoute: fc.Arbitrary<TCPRoute> = record({ kind: kind("TCPRoute"), meta: metaOf(["t0"]), version, ports });
const udpRoute: fc.Arbitrary<UDPRoute> = record({ kind: kind("UDPRoute"), meta: metaOf(["u0"]), version, ports });

const subject = record<TrafficTarget["sources"][number]>({
  kind: mostly("ServiceAccount", "Group"),
  name: oneOf(ACCOUNTS),
  namespace: fc.oneof({ arbitrary: oneOf(["a", "a", "b"]), weight: 6 }, fc.constant(undefined)) as fc.Arbitrary<string>,
});
const target: fc.Arbitrary<TrafficTarget> = record({
  kind: kind("TrafficTarget"),
  meta: metaOf(["tt0", "tt1", "tt2", "tt3"]),
  version,
  destination: fc
    .tuple(subject, maybe(oneOf([0, ...POD_PORTS])))
    .map(([of, port]) => (port === undefined ? of : { ...of, port })),
  rules: maybe(
    fc.array(
      record<NonNullable<TrafficTarget["rules"]>[number]>({
        kind: mostly("HTTPRouteGroup", "TCPRoute", "UDPRoute", "GRPCRoute"),
        name: fc.constant(""),
        matches: maybe(fc.array(mostly("m0", "m1", "m9"), { maxLength: 2 })) as fc.Arbitrary<string[]>,
      }).chain((rule) =>
        oneOf(rule.kind === "TCPRoute" ? ["t0"] : rule.kind === "UDPRoute" ? ["u0"] : ["g0", "g1"]).map((name) => ({
          ...rule,
          name,
        })),
      ),
      { maxLength: 3 },
    ),
  ) as fc.Arbitrary<NonNullable<TrafficTarget["rules"]>>,
  sources: fc.array(subject, { maxLength: 3 }),
});

const split: fc.Arbitrary<TrafficSplit> = record({
  kind: kind("TrafficSplit"),
  meta: metaOf(["ts0", "ts1", "ts2", "ts3"]),
  version,
  service: oneOf([...SERVICES, "gone"]),
  backends: fc.array(record({ service: oneOf([...SERVICES, "gone"]), weight: oneOf([0, 1, 3]) }), { maxLength: 3 }),
  matches: fc.oneof(
    { arbitrary: fc.constant([]), weight: 3 },
    {
      arbitrary: fc.array(record({ kind: mostly("HTTPRouteGroup", "TCPRoute"), name: oneOf(["g0", "g1"]) }), {
        maxLength: 2,
      }),
      weight: 1,
    },
  ),
});

/** What belongs together, so that calls come through: Pod `p0` has the first address, and so on. */
const soundMeta = (name: string, more: Record<string, string> = {}): Meta => ({
  namespace: "a",
  name,
  labels: {},
  annotations: more,
  createdAt: 0,
});
const ways = (...values: readonly string[]) =>
  oneOf(values.map((value): Record<string, string> => (value === "" ? {} : { "mesh.traefik.io/traffic-type": value })));
const soundService = fc
  .tuple(oneOf(SERVICES), ways("", "", "", "tcp", "udp"), fc.boolean())
  .map(([name, more, two]): Service => {
    const port = (protocol: "TCP" | "UDP") => ({ name: "", port: 80, protocol, targetPort: 8080 });
    const second = { name: "web", port: 81, protocol: "TCP" as const, targetPort: 8081 };
    return {
      kind: "Service",
      meta: soundMeta(name, more),
      type: "ClusterIP",
      clusterIPs: [],
      headless: false,
      publishNotReadyAddresses: false,
      ports: [port("TCP"), port("UDP"), ...(two ? [second] : [])],
    };
  });
const soundSlice = fc.tuple(oneOf(SERVICES), fc.subarray(PODS, { minLength: 1, maxLength: 3 }), fc.boolean()).map(
  ([name, pods, named]): EndpointSlice => ({
    kind: "EndpointSlice",
    meta: soundMeta(`e${name.slice(1)}`),
    service: name,
    addressType: "IPv4",
    endpoints: pods.map((pod) => ({
      addresses: [ADDRESSES[PODS.indexOf(pod)] as string],
      ready: true,
      serving: true,
      terminating: false,
      ...(named ? { pod: { namespace: "a", name: pod } } : {}),
    })),
    ports: [
      { name: "", port: 8080, protocol: "TCP" },
      { name: "", port: 8080, protocol: "UDP" },
      { name: "web", port: 8081, protocol: "TCP" },
    ],
  }),
);
const soundPod = fc.tuple(oneOf(PODS), oneOf(ACCOUNTS), maybe(oneOf(NODES))).map(
  ([name, serviceAccount, nodeName]): Pod => ({
    kind: "Pod",
    meta: soundMeta(name),
    ips: [ADDRESSES[PODS.indexOf(name)] as string],
    phase: "Running",
    ready: true,
    hostNetwork: false,
    serviceAccount,
    ...(nodeName === undefined ? {} : { nodeName }),
    containers: [],
  }),
);
const soundSubject = (name: string) => ({ kind: "ServiceAccount", name, namespace: "a" });
const soundTarget = fc
  .tuple(
    oneOf(["tt0", "tt1", "tt2", "tt3"]),
    version,
    oneOf(ACCOUNTS),
    fc.subarray(ACCOUNTS, { minLength: 1 }),
    fc.subarray(["HTTPRouteGroup g0", "HTTPRouteGroup g1", "TCPRoute t0", "UDPRoute u0"], { maxLength: 3 }),
  )
  .map(
    ([name, of, destination, sources, rules]): TrafficTarget => ({
      kind: "TrafficTarget",
      meta: soundMeta(name),
      version: of,
      destination: soundSubject(destination),
      rules: rules.map((rule) => ({ kind: rule.slice(0, rule.indexOf(" ")), name: rule.slice(-2) })),
      sources: sources.map(soundSubject),
    }),
  );
const soundSplit = fc
  .tuple(oneOf(["ts0", "ts1", "ts2", "ts3"]), fc.shuffledSubarray(SERVICES, { minLength: 2 }), fc.nat(2), fc.nat(2))
  .map(
    ([name, [root = "", ...backends], createdAt, matched]): TrafficSplit => ({
      kind: "TrafficSplit",
      meta: { ...soundMeta(name), createdAt },
      version: "v1alpha4",
      service: root,
      backends: backends.map((backend, weight) => ({ service: backend, weight: 2 - weight })),
      matches: matched < 2 ? [] : [{ kind: "HTTPRouteGroup", name: "g0" }],
    }),
  );
const soundGroup = fc
  .tuple(
    oneOf(["g0", "g1"]),
    oneOf(["", "/a", "/b", "/x|y"]),
    fc.subarray(METHODS),
    fc.option(hostHeader, { nil: undefined, freq: 4 }),
  )
  .map(
    ([name, pathRegex, methods, host]): HTTPRouteGroup => ({
      kind: "HTTPRouteGroup",
      meta: soundMeta(name),
      version: "v1alpha4",
      matches: [{ name: "m0", pathRegex, methods, ...(host === undefined ? {} : { headers: [host] }) }],
    }),
  );

/** Of a kind: three that fit in with others, and one of any form. */
const some = <T extends MeshObject>(weight: number, sound: fc.Arbitrary<T>, any: fc.Arbitrary<T>) => [
  { arbitrary: sound, weight: weight * 3 },
  { arbitrary: any, weight },
];

export const anyObject: fc.Arbitrary<MeshObject> = fc.oneof(
  { arbitrary: node, weight: 3 },
  { arbitrary: shadow, weight: 8 },
  { arbitrary: tcpRoute, weight: 4 },
  { arbitrary: udpRoute, weight: 4 },
  ...some<MeshObject>(5, soundService, service),
  ...some<MeshObject>(6, soundSlice, slice),
  ...some<MeshObject>(7, soundPod, pod),
  ...some<MeshObject>(3, soundGroup, group),
  ...some<MeshObject>(6, soundTarget, target),
  ...some<MeshObject>(3, soundSplit, split),
);

export const idOf = (object: MeshObject) => `${object.kind} ${keyOf(object.meta)}`;

/** At most one object of a kind and name. */
export const anyCluster: fc.Arbitrary<MeshObject[]> = fc.uniqueArray(anyObject, {
  selector: idOf,
  minLength: 10,
  maxLength: 50,
  size: "max",
});

/** An object as it is from now on, or one that is gone. */
export type Event = { readonly put: MeshObject } | { readonly remove: ObjectRef };

export const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  { arbitrary: anyObject.map((put): Event => ({ put })), weight: 3 },
  { arbitrary: anyObject.map((object): Event => ({ remove: refOf(object) })), weight: 1 },
);
