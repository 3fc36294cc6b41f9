/**
 * The topology as Traefik Mesh's admin API tells it (`/api/topology/current`), so that what reads that goes on. Objects
 * are keyed `name@namespace`, and refer to each other by these keys. A TrafficTarget is there once for each Service that
 * Pods of its destination serve, keyed `service@namespace:target@namespace`; with access control off there is none,
 * because none is in force.
 */
import type { MeshConfig } from "../config/mesh-config.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import { inKeyOrder } from "../model/in-key-order.ts";
import type { OwnerReference, Pod, Protocol, Service, TargetSubject, TrafficTarget } from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";
import { isOfMesh } from "../topology/build-topology.ts";
import type { Topology, TopologyService } from "../topology/topology.ts";
import { ObjectErrors } from "./object-errors.ts";
import { type RuleDocument, ruleDocuments } from "./rule-documents.ts";
import { SplitCallers, splitsInForce } from "./split-callers.ts";

/** `name@namespace` */
export type ObjectKey = string;
/** `service@namespace:target@namespace` */
export type PairKey = string;

export interface ServicePortDocument {
  readonly name?: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly targetPort: number | string;
}

export interface ServiceDocument {
  readonly name: string;
  readonly namespace: string;
  readonly selector: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly ports?: readonly ServicePortDocument[];
  /** `None` for a headless Service; empty before one is given. */
  readonly clusterIp: string;
  /** Behind it, and ready. */
  readonly pods?: readonly ObjectKey[];
  readonly trafficTargets?: readonly PairKey[];
  /** In force with this Service as their root. */
  readonly trafficSplits?: readonly ObjectKey[];
  /** In force, and with this Service as a backend. */
  readonly backendOf?: readonly ObjectKey[];
  readonly errors: readonly string[] | null;
}

export interface PodDocument {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly containerPorts?: readonly {
    readonly name?: string;
    readonly containerPort: number;
    readonly protocol: string;
  }[];
  readonly ip: string;
  readonly sourceOf?: readonly PairKey[];
  readonly destinationOf?: readonly PairKey[];
}

export interface TargetSourceDocument {
  readonly serviceAccount: string;
  readonly namespace: string;
  readonly pods?: readonly ObjectKey[];
}

export interface TargetDocument {
  readonly service: ObjectKey;
  readonly name: string;
  readonly namespace: string;
  readonly sources?: readonly TargetSourceDocument[];
  readonly destination: TargetSourceDocument & {
    /** Of the Service, those that the target is for. */
    readonly ports?: readonly ServicePortDocument[];
  };
  readonly rules?: readonly RuleDocument[];
  readonly errors: readonly string[] | null;
}

export interface SplitDocument {
  readonly name: string;
  readonly namespace: string;
  readonly service: ObjectKey;
  /** Those that can be used. */
  readonly backends?: readonly { readonly weight: number; readonly service: ObjectKey }[];
  readonly rules?: readonly RuleDocument[];
  /** In force: Pods that some target admits at every backend. Nobody with access control off, where all are. */
  readonly incoming?: readonly ObjectKey[];
  readonly errors: readonly string[] | null;
}

export interface TopologyDocument {
  readonly services: Readonly<Record<ObjectKey, ServiceDocument>>;
  readonly pods: Readonly<Record<ObjectKey, PodDocument>>;
  readonly serviceTrafficTargets: Readonly<Record<PairKey, TargetDocument>>;
  readonly trafficSplits: Readonly<Record<ObjectKey, SplitDocument>>;
}

/** What is told of: all of one moment. */
export interface ToldMesh {
  readonly state: ClusterStateView;
  readonly topology: Topology;
  /** What is in force of it. */
  readonly config: MeshConfig;
  readonly problems: readonly Problem[];
}

export function topologyDocument(mesh: ToldMesh): TopologyDocument {
  return new DocumentWriter(mesh).write();
}

const keyIn = (namespace: string, name: string): ObjectKey => `${name}@${namespace}`;
/** From `namespace/name`. */
const turned = (key: string): ObjectKey => {
  const slash = key.indexOf("/");
  return keyIn(key.slice(0, slash), key.slice(slash + 1));
};
const pairOf = (service: ObjectKey, { meta }: TrafficTarget): PairKey =>
  `${service}:${keyIn(meta.namespace, meta.name)}`;
const identityOf = ({ name, namespace }: TargetSubject, otherwise = "") => `${namespace ?? otherwise}/${name}`;
/** In order, each once. */
const distinct = (keys: Iterable<string>) => [...new Set(keys)].sort();
/** A field that is left out when it is empty. */
const filled = <K extends string, T>(name: K, list: readonly T[]) =>
  (list.length === 0 ? {} : { [name]: list }) as { readonly [key in K]?: readonly T[] };

class DocumentWriter {
  readonly #mesh: ToldMesh;
  readonly #errors: ObjectErrors;
  readonly #enforced: boolean;
  readonly #pods: ReadonlyMap<ObjectKey, Pod>;
  /** By `namespace/serviceAccount`. */
  readonly #podsOf = new Map<string, ObjectKey[]>();
  readonly #targetsOf = new Map<string, TrafficTarget[]>();
  readonly #pairs = new Map<PairKey, TargetDocument>();
  readonly #pairsOf = new Map<ObjectKey, PairKey[]>();
  readonly #sourceOf = new Map<ObjectKey, PairKey[]>();
  readonly #destinationOf = new Map<ObjectKey, PairKey[]>();
  readonly #splitsOf = new Map<ObjectKey, ObjectKey[]>();
  readonly #backendOf = new Map<ObjectKey, ObjectKey[]>();

  constructor(mesh: ToldMesh) {
    const { topology, state, config, problems } = mesh;
    this.#mesh = mesh;
    this.#errors = new ObjectErrors(problems);
    this.#enforced = config.accessControl !== "off";
    this.#pods = podsIn(state, topology.within);
    for (const { namespace, pod, serviceAccount } of topology.workloads.values())
      add(this.#podsOf, `${namespace}/${serviceAccount}`, keyIn(namespace, pod));
    for (const target of topology.targets)
      add(this.#targetsOf, identityOf(target.destination, target.meta.namespace), target);
  }

  write(): TopologyDocument {
    const { services } = this.#mesh.topology;
    if (this.#enforced) for (const each of services.values()) this.#addPairs(each);
    const splits = this.#splits();
    return {
      services: Object.fromEntries([...services].map(([key, each]) => [turned(key), this.#service(each)])),
      pods: Object.fromEntries([...this.#pods].map(([key, pod]) => [key, this.#pod(key, pod)])),
      serviceTrafficTargets: Object.fromEntries(this.#pairs),
      trafficSplits: splits,
    };
  }

  #service(each: TopologyService): ServiceDocument {
    const { service } = each;
    const { namespace, name, annotations } = service.meta;
    const key = keyIn(namespace, name);
    return {
      name,
      namespace,
      selector: service.selector ?? {},
      annotations,
      ...filled("ports", service.ports.map(portDocument)),
      clusterIp: service.headless ? "None" : (service.clusterIPs[0] ?? ""),
      ...filled("pods", this.#podsBehind(each)),
      ...filled("trafficTargets", this.#pairsOf.get(key) ?? []),
      ...filled("trafficSplits", this.#splitsOf.get(key) ?? []),
      ...filled("backendOf", this.#backendOf.get(key) ?? []),
      errors: this.#errors.of("Service", namespace, name),
    };
  }

  /** @param identity only those that run as it */
  #podsBehind({ ports }: TopologyService, identity?: string): ObjectKey[] {
    const keys = ports.flatMap(({ endpoints }) =>
      endpoints.flatMap((endpoint) =>
        endpoint.pod !== undefined && (identity === undefined || endpoint.identity === identity)
          ? turned(endpoint.pod)
          : [],
      ),
    );
    return distinct(keys.filter((key) => this.#pods.has(key)));
  }

  #pod(key: ObjectKey, { meta, serviceAccount, owners = [], containers, ips }: Pod): PodDocument {
    const ports = containers.flatMap((container) => container.ports);
    return {
      name: meta.name,
      namespace: meta.namespace,
      serviceAccount,
      ...filled("ownerReferences", owners),
      ...filled(
        "containerPorts",
        ports.map(({ name, ...port }) => ({ ...(name === "" ? {} : { name }), ...port })),
      ),
      ip: ips[0] ?? "",
      ...filled("sourceOf", this.#sourceOf.get(key) ?? []),
      ...filled("destinationOf", this.#destinationOf.get(key) ?? []),
    };
  }

  /** Of a Service with each target whose destination serves it. */
  #addPairs(each: TopologyService): void {
    const identities = distinct(
      each.ports.flatMap(({ endpoints }) => endpoints.flatMap(({ identity }) => identity ?? [])),
    );
    const service = turned(each.key);
    const targets = identities.flatMap((identity) => this.#targetsOf.get(identity) ?? []);
    const pairs = new Map(targets.map((target) => [pairOf(service, target), target] as const));
    for (const key of distinct(pairs.keys())) {
      const document = this.#pair(each, service, pairs.get(key) as TrafficTarget);
      this.#pairs.set(key, document);
      add(this.#pairsOf, service, key);
      for (const pod of document.destination.pods ?? []) add(this.#destinationOf, pod, key);
      for (const pod of distinct((document.sources ?? []).flatMap(({ pods = [] }) => pods)))
        add(this.#sourceOf, pod, key);
    }
  }

  #pair(each: TopologyService, service: ObjectKey, target: TrafficTarget): TargetDocument {
    const { meta, destination, sources, rules = [] } = target;
    const identity = identityOf(destination, meta.namespace);
    const sourceDocuments = sources.map(
      ({ kind, name, namespace = "" }): TargetSourceDocument => ({
        serviceAccount: name,
        namespace,
        ...filled("pods", kind === "ServiceAccount" ? distinct(this.#podsOf.get(`${namespace}/${name}`) ?? []) : []),
      }),
    );
    return {
      service,
      name: meta.name,
      namespace: meta.namespace,
      ...filled("sources", sourceDocuments),
      destination: {
        serviceAccount: destination.name,
        namespace: destination.namespace ?? meta.namespace,
        ...filled("ports", targetPorts(each, destination.port ?? 0).map(portDocument)),
        ...filled("pods", this.#podsBehind(each, identity)),
      },
      ...filled("rules", ruleDocuments(rules, meta.namespace, this.#mesh.topology)),
      errors: this.#errors.of("TrafficTarget", meta.namespace, meta.name),
    };
  }

  #splits(): Readonly<Record<ObjectKey, SplitDocument>> {
    const { topology } = this.#mesh;
    const documents: Record<ObjectKey, SplitDocument> = {};
    for (const { meta, service, backends, matches } of topology.splits) {
      const { namespace, name } = meta;
      const usable = backends.filter(
        (backend, index) =>
          topology.services.has(`${namespace}/${backend.service}`) &&
          !this.#errors.at("TrafficSplit", namespace, name, `spec.backends[${index}].service`),
      );
      documents[keyIn(namespace, name)] = {
        name,
        namespace,
        service: keyIn(namespace, service),
        ...filled(
          "backends",
          usable.map((backend) => ({ weight: backend.weight, service: keyIn(namespace, backend.service) })),
        ),
        ...filled("rules", ruleDocuments(matches, namespace, topology)),
        errors: this.#errors.of("TrafficSplit", namespace, name),
      };
    }
    const inForce = splitsInForce(this.#mesh.config);
    const callers = new SplitCallers(documents, inForce, (service) => this.#admittedAt(service));
    const keys = distinct(Object.keys(documents));
    for (const key of keys) {
      const { service, backends = [] } = documents[key] as SplitDocument;
      if (!inForce.has(key)) continue;
      add(this.#splitsOf, service, key);
      for (const backend of distinct(backends.map((each) => each.service))) add(this.#backendOf, backend, key);
    }
    return Object.fromEntries(
      keys.map((key) => {
        const { errors, ...split } = documents[key] as SplitDocument;
        const incoming = inForce.has(key) ? distinct(callers.of(key)) : [];
        return [key, { ...split, ...filled("incoming", incoming), errors }];
      }),
    );
  }

  /** Pods that some target admits at a Service. */
  #admittedAt(service: ObjectKey): ReadonlySet<ObjectKey> {
    const pairs = this.#pairsOf.get(service) ?? [];
    return new Set(pairs.flatMap((key) => (this.#pairs.get(key)?.sources ?? []).flatMap(({ pods = [] }) => pods)));
  }
}

function add<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** That run and have an address, those on their node's network too: these can be behind a Service. */
function podsIn(state: ClusterStateView, within: (namespace: string) => boolean): Map<ObjectKey, Pod> {
  const pods = [...state.list("Pod")].filter(
    (pod) => isOfMesh(pod, within) && pod.ips.length > 0 && pod.phase !== "Succeeded" && pod.phase !== "Failed",
  );
  const keyed = new Map(pods.map((pod) => [keyIn(pod.meta.namespace, pod.meta.name), pod] as const));
  return new Map(inKeyOrder(keyed));
}

function portDocument({ name, port, protocol, targetPort }: Service["ports"][number]): ServicePortDocument {
  return { ...(name === "" ? {} : { name }), protocol, port, targetPort };
}

/** @param podPort of the target's destination; 0: all */
function targetPorts({ service, ports }: TopologyService, podPort: number): Service["ports"] {
  if (podPort === 0) return service.ports;
  return service.ports.filter(
    ({ targetPort }, index) =>
      targetPort === podPort || ports[index]?.endpoints.some((endpoint) => endpoint.port === podPort) === true,
  );
}
