/**
 * What Kubernetes makes of a folder of manifests: Pods of the workload templates, addresses, and an EndpointSlice for
 * each Service with a selector. Everything depends on the objects alone, never on their order, so that a restart gives
 * the same names.
 *
 * An export of a running cluster (`kubectl get -o yaml`) holds Pods and slices beside the templates that made them:
 * where both are there, the templates' own count.
 */

import type { DecodedObject } from "../model/decode/decode-object.ts";
import type { WorkloadTemplate } from "../model/decode/workload-template.ts";
import {
  type EndpointSlice,
  formatRef,
  keyOf,
  type MeshObject,
  type ObjectRef,
  type Pod,
  refOf,
  type Service,
  type ServicePort,
  type SlicePort,
} from "../model/objects.ts";
import { type Problem, problem } from "../model/problems.ts";
import { workloadKind, workloadName } from "../model/workload-name.ts";
import type { LoopbackAddresses } from "./loopback-addresses.ts";
import { stableSuffix } from "./stable-name.ts";

const SERVICE_LABEL = "kubernetes.io/service-name";
const MANAGED_LABEL = "endpointslice.kubernetes.io/managed-by";
const MANAGER = "endpointslice-controller.k8s.io";
/** Pods of one template; more is a slip of the finger that would use up the machine. */
const MAX_REPLICAS = 1000;

export interface Materialized {
  readonly objects: readonly MeshObject[];
  readonly problems: readonly Problem[];
  /** Of Pods that were made, by their keys: the template. */
  readonly templates: ReadonlyMap<string, ObjectRef>;
}

const isTemplate = (object: DecodedObject): object is WorkloadTemplate =>
  object.kind === "Deployment" ||
  object.kind === "ReplicaSet" ||
  object.kind === "StatefulSet" ||
  object.kind === "DaemonSet" ||
  object.kind === "Job";

const byKey = (a: DecodedObject, b: DecodedObject) => (keyOf(a.meta) < keyOf(b.meta) ? -1 : 1);

export function materialize(decoded: readonly DecodedObject[], addresses: LoopbackAddresses): Materialized {
  const problems: Problem[] = [];
  const templates = decoded.filter(isTemplate).sort(byKey);
  const plain = decoded.filter((object): object is MeshObject => !isTemplate(object)).sort(byKey);
  const nodes = plain.filter((object) => object.kind === "Node").map(({ meta }) => meta.name);

  const made: Pod[] = [];
  const templateOf = new Map<string, ObjectRef>();
  for (const template of templates) {
    if (isOwned(template, templates)) continue;
    for (const pod of podsOf(template, nodes, problems)) {
      made.push(pod);
      templateOf.set(keyOf(pod.meta), refOfTemplate(template));
    }
  }
  const bare = plain
    .filter((object) => object.kind === "Pod")
    .filter((pod) => !templateOf.has(keyOf(pod.meta)) && !isOwned(pod, templates))
    .map(started);
  const pods = withPodAddresses([...bare, ...made].sort(byKey) as Pod[], addresses, problems);
  const services = withServiceAddresses(
    plain.filter((object) => object.kind === "Service"),
    addresses,
    problems,
  );
  const selecting = new Set(services.filter(({ selector }) => selector !== undefined).map(({ meta }) => keyOf(meta)));
  const portless: PortlessPods = (service, index, pod, sought) => {
    const made = formatRef(templateOf.get(keyOf(pod.meta)) ?? refOf(pod));
    const detail = `no container of ${made} has a ${sought}`;
    problems.push(problem("TargetPortUnresolved", refOf(service), `spec.ports[${index}].targetPort`, detail));
  };
  const byLabel = podsByLabel(pods);
  const slices = services.flatMap((service) => slicesOf(service, byLabel, portless));
  const others = plain.filter((object) => {
    if (object.kind === "Pod" || object.kind === "Service") return false;
    // The slices of a Service with a selector are made here, not taken from an export.
    return !(object.kind === "EndpointSlice" && selecting.has(`${object.meta.namespace}/${object.service}`));
  });
  const names = new Set(services.map(({ meta }) => keyOf(meta)));
  for (const object of others)
    if (object.kind === "EndpointSlice" && !names.has(keyOf(serviceOf(object)))) problems.push(...ownerless(object));
  addresses.keep(new Set(pods.map(({ meta }) => keyOf(meta))), names);
  return { objects: [...others, ...pods, ...services, ...slices], problems, templates: templateOf };
}

function serviceOf({ meta, service }: EndpointSlice) {
  return { namespace: meta.namespace, name: service };
}

/** Said once of Endpoints, of which each subset is a slice. */
function ownerless(slice: EndpointSlice): Problem[] {
  const { meta, service } = slice;
  const absent = `there is no Service ${service} in namespace ${meta.namespace}`;
  if (service !== "" && meta.labels[SERVICE_LABEL] === undefined) {
    const ref = { kind: "Endpoints", ...serviceOf(slice) };
    return meta.name === service ? [problem("SliceWithoutService", ref, "metadata.name", absent)] : [];
  }
  const detail = service === "" ? `it has no label ${SERVICE_LABEL}` : absent;
  return [problem("SliceWithoutService", refOf(slice), `metadata.labels["${SERVICE_LABEL}"]`, detail)];
}

/** An exported Pod or ReplicaSet of a template that is here too: named after it, with all of its labels. */
function isOwned(object: WorkloadTemplate | Pod, templates: readonly WorkloadTemplate[]): boolean {
  const labels = object.kind === "Pod" ? object.meta.labels : (object as WorkloadTemplate).labels;
  if (!hasGeneratedMark(labels)) return false;
  return templates.some(
    (template) =>
      template !== object &&
      template.meta.namespace === object.meta.namespace &&
      object.meta.name.startsWith(`${template.meta.name}-`) &&
      (object.kind === "Pod" || template.kind === "Deployment") &&
      Object.keys(template.labels).length > 0 &&
      Object.entries(template.labels).every(([name, value]) => labels[name] === value),
  );
}

/** Labels that only controllers write. */
function hasGeneratedMark(labels: Readonly<Record<string, string>>): boolean {
  return (
    labels["pod-template-hash"] !== undefined ||
    labels["controller-revision-hash"] !== undefined ||
    labels["controller-uid"] !== undefined ||
    labels["batch.kubernetes.io/controller-uid"] !== undefined ||
    labels["statefulset.kubernetes.io/pod-name"] !== undefined
  );
}

/** A Pod from a manifest has no status yet; it is started and ready at once. */
function started(pod: Pod): Pod {
  const ended = pod.phase === "Succeeded" || pod.phase === "Failed";
  return ended ? pod : { ...pod, phase: "Running", ready: true };
}

function refOfTemplate({ kind, meta }: WorkloadTemplate): ObjectRef {
  return { kind, namespace: meta.namespace, name: meta.name };
}

function podsOf(template: WorkloadTemplate, nodes: readonly string[], problems: Problem[]): Pod[] {
  if (template.replicas > MAX_REPLICAS) {
    const detail = `${template.replicas} are more than the ${MAX_REPLICAS} that one template can have on one machine`;
    problems.push(problem("ManifestInvalid", refOfTemplate(template), "spec.replicas", detail));
    return [];
  }
  const { kind, meta } = template;
  return podNames(template, nodes).map(
    ({ name, nodeName }): Pod => ({
      kind: "Pod",
      meta: {
        namespace: template.meta.namespace,
        name,
        labels: template.labels,
        annotations: template.annotations,
        createdAt: template.meta.createdAt,
      },
      ips: [],
      phase: template.completed ? "Succeeded" : "Running",
      ready: !template.completed,
      hostNetwork: template.hostNetwork,
      serviceAccount: template.serviceAccount,
      workload: workloadName({ kind, name: meta.name }, template.labels) ?? meta.name,
      workloadKind: workloadKind({ kind, name: meta.name }, template.labels) ?? kind,
      owners: [
        { apiVersion: kind === "Job" ? "batch/v1" : "apps/v1", kind, name: meta.name, uid: "", controller: true },
      ],
      ...(nodeName === undefined ? {} : { nodeName }),
      containers: template.containers,
    }),
  );
}

/** As Kubernetes names them: a hash of the template, then letters for each Pod; a StatefulSet counts. */
function podNames(
  template: WorkloadTemplate,
  nodes: readonly string[],
): { name: string; nodeName: string | undefined }[] {
  const { kind, replicas, meta, nodeName } = template;
  const numbers = Array.from({ length: replicas }, (_, index) => index);
  if (kind === "StatefulSet") return numbers.map((index) => ({ name: `${meta.name}-${index}`, nodeName }));
  if (kind === "DaemonSet") {
    const wanted =
      nodes.length === 0 ? [nodeName] : nodeName === undefined ? nodes : nodes.filter((node) => node === nodeName);
    return wanted.map((node) => ({
      name: `${meta.name}-${stableSuffix(`${keyOf(meta)} ${node}`, 5)}`,
      nodeName: node,
    }));
  }
  const { labels, annotations, serviceAccount, hostNetwork, containers } = template;
  const hash = stableSuffix(
    JSON.stringify([labels, annotations, serviceAccount, hostNetwork, nodeName, containers]),
    9,
  );
  const prefix = kind === "Deployment" ? `${meta.name}-${hash}` : meta.name;
  const seen = new Set<string>();
  return numbers.map((index) => {
    let name = `${prefix}-${stableSuffix(`${keyOf(meta)} ${hash} ${index}`, 5)}`;
    // Two of a thousand may have the same five letters.
    for (let again = 1; seen.has(name); again++)
      name = `${prefix}-${stableSuffix(`${keyOf(meta)} ${hash} ${index} ${again}`, 5)}`;
    seen.add(name);
    return { name, nodeName };
  });
}

const isLoopback = (address: string) => address.startsWith("127.");

function withPodAddresses(pods: readonly Pod[], addresses: LoopbackAddresses, problems: Problem[]): Pod[] {
  // Those that name an address first, so that none of theirs is given to another.
  const reserved = new Set<Pod>();
  for (const pod of pods) {
    const [asked] = pod.ips;
    if (asked === undefined || !isLoopback(asked)) continue;
    if (addresses.reservePod(keyOf(pod.meta), asked)) reserved.add(pod);
    else
      problems.push(
        problem("PodAddressShared", refOf(pod), "status.podIP", `address ${asked} is another Pod's already`),
      );
  }
  return pods.map((pod) => {
    if (reserved.has(pod)) return pod;
    const address = addresses.podAddress(keyOf(pod.meta));
    if (address === undefined)
      problems.push(problem("AddressesExhausted", refOf(pod), "", "no address is left in 127.1.0.0/16"));
    return { ...pod, ips: address === undefined ? [] : [address] };
  });
}

function withServiceAddresses(
  services: readonly Service[],
  addresses: LoopbackAddresses,
  problems: Problem[],
): Service[] {
  const reserved = new Set<Service>();
  for (const service of services) {
    const [asked] = service.clusterIPs;
    if (asked !== undefined && isLoopback(asked) && addresses.reserveService(keyOf(service.meta), asked))
      reserved.add(service);
  }
  return services.map((service) => {
    if (service.headless || service.type === "ExternalName") return service;
    if (reserved.has(service)) return { ...service, clusterIPs: service.clusterIPs.slice(0, 1) };
    const address = addresses.serviceAddress(keyOf(service.meta));
    if (address === undefined)
      problems.push(problem("AddressesExhausted", refOf(service), "", "no address is left in 127.2.0.0/16"));
    return { ...service, clusterIPs: address === undefined ? [] : [address] };
  });
}

type PodsByLabel = ReadonlyMap<string, readonly Pod[]>;

const labelKey = (namespace: string, name: string, value: string) => `${namespace} ${name}=${value}`;

/** Of all Pods, a selector is held only against those that have one of its labels. */
function podsByLabel(pods: readonly Pod[]): PodsByLabel {
  const index = new Map<string, Pod[]>();
  for (const pod of pods) {
    for (const [name, value] of Object.entries(pod.meta.labels)) {
      const key = labelKey(pod.meta.namespace, name, value);
      const known = index.get(key);
      if (known === undefined) index.set(key, [pod]);
      else known.push(pod);
    }
  }
  return index;
}

/** As the endpoint slice controller: Pods that resolve a port's name to different numbers are in different slices. */
function slicesOf(service: Service, byLabel: PodsByLabel, portless: PortlessPods): EndpointSlice[] {
  const { selector, meta } = service;
  const [label] = Object.entries(selector ?? {});
  if (selector === undefined || label === undefined || service.type === "ExternalName") return [];
  const groups = new Map<string, { ports: SlicePort[]; pods: Pod[] }>();
  for (const pod of byLabel.get(labelKey(meta.namespace, ...label)) ?? []) {
    if (pod.ips.length === 0 || pod.phase !== "Running") continue;
    if (!Object.entries(selector).every(([name, value]) => pod.meta.labels[name] === value)) continue;
    const ports = service.ports.flatMap((port, index) => resolvePort(service, port, index, pod, portless));
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, pods: [] };
    groups.set(key, group);
    group.pods.push(pod);
  }
  return [...groups.keys()].sort().map((key): EndpointSlice => {
    const group = groups.get(key) as { ports: SlicePort[]; pods: Pod[] };
    return {
      kind: "EndpointSlice",
      meta: {
        namespace: meta.namespace,
        name: `${meta.name}-${stableSuffix(`${keyOf(meta)} ${key}`, 5)}`,
        labels: { [SERVICE_LABEL]: meta.name, [MANAGED_LABEL]: MANAGER },
        annotations: {},
        createdAt: meta.createdAt,
      },
      service: meta.name,
      addressType: "IPv4",
      endpoints: group.pods.map((pod) => ({
        addresses: [...pod.ips],
        ready: pod.ready,
        serving: pod.ready,
        terminating: false,
        ...(pod.nodeName === undefined ? {} : { nodeName: pod.nodeName }),
        pod: { namespace: pod.meta.namespace, name: pod.meta.name },
      })),
      ports: group.ports,
    };
  });
}

/** Told of a Pod without the port that the Service's port of this index names. */
type PortlessPods = (service: Service, index: number, pod: Pod, sought: string) => void;

function resolvePort(
  service: Service,
  port: ServicePort,
  index: number,
  pod: Pod,
  portless: PortlessPods,
): SlicePort[] {
  const { name, protocol, targetPort } = port;
  if (typeof targetPort === "number") return [{ name, port: targetPort, protocol }];
  const declared = pod.containers
    .flatMap(({ ports }) => ports)
    .find((candidate) => candidate.name === targetPort && candidate.protocol === protocol);
  if (declared !== undefined) return [{ name, port: declared.containerPort, protocol }];
  portless(service, index, pod, `${protocol} port named "${targetPort}"`);
  return [];
}
