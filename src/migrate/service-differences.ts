/** What is different for a Service: its name, its ports, its annotations. */
import { parseBreaker } from "../compiler/breaker-parser.ts";
import { keyOf, type ObjectRef, refOf, type Service } from "../model/objects.ts";
import type { Topology } from "../topology/topology.ts";
import { type Difference, difference } from "./difference.ts";
import type { OriginalSettings } from "./original-settings.ts";

const PREFIX = "mesh.traefik.io/";
const LEGACY_PREFIX = "maesh.containo.us/";

/** As the original reads it, of a Service. */
export function originalAnnotation({ meta }: Service, key: string): string | undefined {
  return meta.annotations[PREFIX + key] ?? meta.annotations[LEGACY_PREFIX + key];
}

export function trafficTypeOf(service: Service, { defaultMode }: OriginalSettings): string {
  return originalAnnotation(service, "traffic-type") ?? defaultMode;
}

/** Names of mesh namespace, namespace and Service together, beside the separators. */
const MAX_NAMES = 50;

export function serviceDifferences(topology: Topology, settings: OriginalSettings): Difference[] {
  const services = [...topology.services.values()].map(({ service }) => service);
  return [
    ...services.flatMap((service) => [
      ...ofName(service, settings),
      ...ofHttpPorts(service, settings),
      ...ofAnnotations(service, settings),
      ...ofCertificate(service, settings),
    ]),
    ...ofRanges(services, settings),
    ...ofKeys(services),
  ];
}

function ofName(service: Service, { namespace: mesh }: OriginalSettings): Difference[] {
  const { namespace, name } = service.meta;
  const length = mesh.length + namespace.length + name.length;
  if (mesh === "" || length <= MAX_NAMES) return [];
  const detail = `with ${mesh} they have ${length} characters, and could have ${MAX_NAMES}`;
  return [difference("NameGained", refOf(service), "metadata.name", detail)];
}

function ofHttpPorts(service: Service, settings: OriginalSettings): Difference[] {
  if (trafficTypeOf(service, settings) !== "http") return [];
  const { http: limit } = settings.limits;
  return service.ports.flatMap(({ port, protocol }, index) =>
    protocol === "TCP" && index >= limit
      ? [
          difference(
            "PortGained",
            refOf(service),
            `spec.ports[${index}]`,
            `port ${port} comes after the first ${limit}`,
          ),
        ]
      : [],
  );
}

/** Ports of TCP and UDP were of the whole cluster; which of them had one, nobody can tell any more. */
function ofRanges(services: readonly Service[], settings: OriginalSettings): Difference[] {
  return (["tcp", "udp"] as const).flatMap((type) => {
    const using = services.filter((service) => trafficTypeOf(service, settings) === type);
    const ports = using.flatMap(({ ports }) => ports.filter(({ protocol }) => protocol === type.toUpperCase()));
    const limit = settings.limits[type];
    const [first] = using;
    if (ports.length <= limit || first === undefined) return [];
    const detail = `Services of type ${type} have ${ports.length} ports together, and ${limit} were served`;
    return [difference("PortGained", CLUSTER, "", detail)];
  });
}

const CLUSTER: ObjectRef = { kind: "Cluster", namespace: "", name: "Services" };

/** `a-b`/`c` and `a`/`b-c`. */
function ofKeys(services: readonly Service[]): Difference[] {
  const byKey = new Map<string, Service[]>();
  for (const service of services) {
    const key = `${service.meta.namespace}-${service.meta.name}`;
    byKey.set(key, [...(byKey.get(key) ?? []), service]);
  }
  return [...byKey.values()].flatMap((same) =>
    same.length < 2
      ? []
      : same.map((service) => {
          const others = same.filter((each) => each !== service).map(({ meta }) => keyOf(meta));
          return difference("KeysCollided", refOf(service), "metadata.name", `with ${others.join(", ")}`);
        }),
  );
}

/** Whether the original left it out of the mesh for a wrong annotation: of its calls none can break. */
export function wasLeftOut(service: Service, settings: OriginalSettings): boolean {
  return wrongAnnotations(service, settings).length > 0;
}

function ofAnnotations(service: Service, settings: OriginalSettings): Difference[] {
  return wrongAnnotations(service, settings).map((key) =>
    difference(
      "AnnotationDropped",
      refOf(service),
      `metadata.annotations["${fullName(service, key)}"]`,
      `"${originalAnnotation(service, key)}"`,
    ),
  );
}

/** What made the original leave out a Service of HTTP, where Tulle leaves out the annotation alone. */
function wrongAnnotations(service: Service, settings: OriginalSettings): string[] {
  if (trafficTypeOf(service, settings) !== "http") return [];
  const wrong = (key: string, is: (text: string) => boolean) => {
    const text = originalAnnotation(service, key);
    return text !== undefined && !is(text) ? [key] : [];
  };
  const isCount = (text: string) => /^[+]?\d+$/.test(text) && Number(text) > 0;
  return [
    ...wrong("retry-attempts", isCount),
    ...(originalAnnotation(service, "ratelimit-average") !== undefined &&
    originalAnnotation(service, "ratelimit-burst") !== undefined
      ? [...wrong("ratelimit-average", isCount), ...wrong("ratelimit-burst", isCount)]
      : []),
    // Traefik makes no router with any other.
    ...wrong("circuit-breaker-expression", (text) => "expression" in parseBreaker(text)),
  ];
}

function fullName({ meta }: Service, key: string): string {
  return (meta.annotations[PREFIX + key] === undefined ? LEGACY_PREFIX : PREFIX) + key;
}

function ofCertificate(service: Service, settings: OriginalSettings): Difference[] {
  if (originalAnnotation(service, "scheme") !== "https" || trafficTypeOf(service, settings) !== "http") return [];
  if (wasLeftOut(service, settings)) return [];
  const detail = settings.insecureSkipVerify ? "so far nothing was checked (insecureSkipVerify)" : "";
  return [difference("CertificateChecked", refOf(service), "metadata.annotations", detail)];
}
