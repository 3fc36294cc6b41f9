/** Kinds of Kubernetes itself. */
import { z } from "zod";
import type { Container, EndpointSlice, OwnerReference, Pod, Service } from "../objects.ts";
import { workloadKind, workloadName } from "../workload-name.ts";
import type { KindDecoder } from "./decode-object.ts";
import { dnsLabel, dnsSubdomain, MetaSchema, metaOf, orEmpty, portName, portNumber, protocol } from "./schemas.ts";

const meta = MetaSchema;

const ContainerSchema = z
  .looseObject({
    name: dnsLabel,
    image: z.string().default(""),
    command: orEmpty(z.array(z.string())),
    args: orEmpty(z.array(z.string())),
    env: orEmpty(z.array(z.looseObject({ name: z.string(), value: z.string().nullish() }))),
    ports: orEmpty(z.array(z.looseObject({ name: portName.nullish(), containerPort: portNumber, protocol }))),
  })
  .transform(
    (raw): Container => ({
      name: raw.name,
      image: raw.image,
      command: raw.command ?? [],
      args: raw.args ?? [],
      env: Object.fromEntries((raw.env ?? []).map(({ name, value }) => [name, value ?? ""])),
      ports: (raw.ports ?? []).map((port) => ({
        name: port.name ?? "",
        containerPort: port.containerPort,
        protocol: port.protocol,
      })),
    }),
  );

export const PodSpecSchema = z.looseObject({
  containers: z.array(ContainerSchema).min(1),
  serviceAccountName: z.string().nullish(),
  /** The old name of the same field. */
  serviceAccount: z.string().nullish(),
  hostNetwork: z.boolean().nullish(),
  nodeName: z.string().nullish(),
});

/** It names a Pod to those who look on, and decides nothing: what is not understood is nobody. */
const OwnerSchema = z
  .looseObject({
    apiVersion: z.string().nullish(),
    kind: z.string(),
    name: z.string(),
    uid: z.string().nullish(),
    controller: z.boolean().nullish(),
  })
  .transform(
    ({ apiVersion, kind, name, uid, controller }): OwnerReference => ({
      apiVersion: apiVersion ?? "",
      kind,
      name,
      uid: uid ?? "",
      controller: controller ?? false,
    }),
  );

const PodSchema = z
  .looseObject({
    metadata: meta.extend({ ownerReferences: orEmpty(z.array(OwnerSchema)).catch([]) }),
    spec: PodSpecSchema,
    status: orEmpty(
      z.looseObject({
        phase: z.enum(["Pending", "Running", "Succeeded", "Failed", "Unknown"]).nullish(),
        podIP: z.string().nullish(),
        podIPs: orEmpty(z.array(z.looseObject({ ip: z.string() }))),
        conditions: orEmpty(z.array(z.looseObject({ type: z.string(), status: z.string() }))),
      }),
    ),
  })
  .transform(({ metadata, spec, status }): Pod => {
    const ips = new Set((status?.podIPs ?? []).map(({ ip }) => ip));
    if (status?.podIP) ips.add(status.podIP);
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    const owners = metadata.ownerReferences ?? [];
    const owner = owners.find(({ controller }) => controller);
    const workload = workloadName(owner, metadata.labels ?? {});
    const kind = workloadKind(owner, metadata.labels ?? {});
    return {
      kind: "Pod",
      meta: metaOf(metadata),
      ips: [...ips],
      phase: status?.phase ?? "Pending",
      ready: ready?.status === "True",
      hostNetwork: spec.hostNetwork ?? false,
      serviceAccount: spec.serviceAccountName || spec.serviceAccount || "default",
      ...(workload === undefined ? {} : { workload }),
      ...(kind === undefined ? {} : { workloadKind: kind }),
      ...(owners.length === 0 ? {} : { owners }),
      ...(spec.nodeName ? { nodeName: spec.nodeName } : {}),
      containers: spec.containers,
    };
  });

const ServicePortSchema = z.looseObject({
  // Unlike a container's port, a DNS label (core/v1 validation): up to 63 characters, and digits alone will do.
  name: z.union([z.literal(""), dnsLabel]).nullish(),
  port: portNumber,
  protocol,
  targetPort: z.union([portNumber, portName], "a port number or a port's name is expected").nullish(),
  appProtocol: z.string().nullish(),
});

const isOther = (value: string | null | undefined, usual: string): value is string => Boolean(value) && value !== usual;

const ServiceSchema = z
  .looseObject({
    metadata: meta,
    spec: z
      .looseObject({
        type: z.enum(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]).default("ClusterIP"),
        clusterIP: z.string().nullish(),
        clusterIPs: orEmpty(z.array(z.string())),
        externalName: z.string().nullish(),
        selector: orEmpty(z.record(z.string(), z.string())),
        publishNotReadyAddresses: z.boolean().nullish(),
        ipFamilyPolicy: z.string().nullish(),
        trafficDistribution: z.string().nullish(),
        internalTrafficPolicy: z.string().nullish(),
        sessionAffinity: z.string().nullish(),
        externalIPs: orEmpty(z.array(z.string())),
        ports: orEmpty(z.array(ServicePortSchema)),
      })
      .superRefine((spec, context) => checkPorts(spec.ports ?? [], context)),
  })
  .transform(({ metadata, spec }): Service => {
    const given = new Set([spec.clusterIP, ...(spec.clusterIPs ?? [])].filter((ip): ip is string => Boolean(ip)));
    const headless = given.has("None");
    return {
      kind: "Service",
      meta: metaOf(metadata),
      type: spec.type,
      clusterIPs: headless || spec.type === "ExternalName" ? [] : [...given],
      headless,
      ...(spec.externalName ? { externalName: spec.externalName } : {}),
      ...(spec.selector && Object.keys(spec.selector).length > 0 ? { selector: spec.selector } : {}),
      publishNotReadyAddresses: spec.publishNotReadyAddresses ?? false,
      ...(spec.ipFamilyPolicy ? { ipFamilyPolicy: spec.ipFamilyPolicy } : {}),
      ...(spec.trafficDistribution ? { trafficDistribution: spec.trafficDistribution } : {}),
      ...(isOther(spec.internalTrafficPolicy, "Cluster") ? { internalTrafficPolicy: spec.internalTrafficPolicy } : {}),
      ...(isOther(spec.sessionAffinity, "None") ? { sessionAffinity: spec.sessionAffinity } : {}),
      ...((spec.externalIPs ?? []).length > 0 ? { externalIPs: spec.externalIPs ?? [] } : {}),
      ports: (spec.ports ?? []).map((port) => ({
        name: port.name ?? "",
        port: port.port,
        protocol: port.protocol,
        targetPort: port.targetPort ?? port.port,
        ...(port.appProtocol ? { appProtocol: port.appProtocol } : {}),
      })),
    };
  });

/** As the API server refuses them: several ports need names of their own, and a number is there once a protocol. */
function checkPorts(ports: readonly z.infer<typeof ServicePortSchema>[], context: z.core.$RefinementCtx): void {
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, { name, port, protocol: transport }] of ports.entries()) {
    if (ports.length > 1 && !name)
      context.addIssue({
        code: "custom",
        path: ["ports", index, "name"],
        message: "of several ports each needs a name",
      });
    if (name && names.has(name))
      context.addIssue({ code: "custom", path: ["ports", index, "name"], message: "another port has this name" });
    if (numbers.has(`${port}/${transport}`))
      context.addIssue({
        code: "custom",
        path: ["ports", index, "port"],
        message: `another port is ${port}/${transport} too`,
      });
    if (name) names.add(name);
    numbers.add(`${port}/${transport}`);
  }
}

const ADDRESSES = { IPv4: z.ipv4(), IPv6: z.ipv6(), FQDN: dnsSubdomain } as const;

const EndpointSliceSchema = z
  .looseObject({
    metadata: meta,
    addressType: z.enum(["IPv4", "IPv6", "FQDN"]).default("IPv4"),
    endpoints: orEmpty(
      z.array(
        z.looseObject({
          addresses: z.array(z.string()).min(1),
          conditions: orEmpty(
            z.looseObject({
              ready: z.boolean().nullish(),
              serving: z.boolean().nullish(),
              terminating: z.boolean().nullish(),
            }),
          ),
          nodeName: z.string().nullish(),
          zone: z.string().nullish(),
          targetRef: orEmpty(
            z.looseObject({ kind: z.string().nullish(), namespace: z.string().nullish(), name: z.string().nullish() }),
          ),
        }),
      ),
    ),
    ports: orEmpty(z.array(z.looseObject({ name: z.string().nullish(), port: portNumber.nullish(), protocol }))),
  })
  .superRefine(({ addressType, endpoints }, context) => {
    for (const [index, { addresses }] of (endpoints ?? []).entries())
      for (const [place, address] of addresses.entries())
        if (!ADDRESSES[addressType].safeParse(address).success)
          context.addIssue({
            code: "custom",
            path: ["endpoints", index, "addresses", place],
            message: `an address of addressType ${addressType} is expected`,
          });
  })
  .transform((raw): EndpointSlice => {
    const metadata = metaOf(raw.metadata);
    return {
      kind: "EndpointSlice",
      meta: metadata,
      service: metadata.labels["kubernetes.io/service-name"] ?? "",
      addressType: raw.addressType,
      endpoints: (raw.endpoints ?? []).map((endpoint) => {
        // Absent conditions are to be read as ready (discovery.k8s.io/v1).
        const ready = endpoint.conditions?.ready ?? true;
        return {
          addresses: endpoint.addresses,
          ready,
          serving: endpoint.conditions?.serving ?? ready,
          terminating: endpoint.conditions?.terminating ?? false,
          ...(endpoint.nodeName ? { nodeName: endpoint.nodeName } : {}),
          ...(endpoint.zone ? { zone: endpoint.zone } : {}),
          ...podOf(endpoint.targetRef, metadata.namespace),
        };
      }),
      ports: (raw.ports ?? []).flatMap(({ name, port, protocol: transport }) =>
        port ? [{ name: name ?? "", port, protocol: transport }] : [],
      ),
    };
  });

type TargetRef = {
  kind?: string | null | undefined;
  namespace?: string | null | undefined;
  name?: string | null | undefined;
};

function podOf(target: TargetRef | null | undefined, namespace: string): { pod?: { namespace: string; name: string } } {
  if (target?.kind !== "Pod" || !target.name) return {};
  return { pod: { namespace: target.namespace ?? namespace, name: target.name } };
}

const EndpointAddressSchema = z.looseObject({
  ip: z.union([z.ipv4(), z.ipv6()], "an IP address is expected"),
  nodeName: z.string().nullish(),
  targetRef: orEmpty(
    z.looseObject({ kind: z.string().nullish(), namespace: z.string().nullish(), name: z.string().nullish() }),
  ),
});

/** One slice of all subsets would mix their ports; the mirroring controller makes one for each, and so do we. */
const EndpointsSchema = z
  .looseObject({
    metadata: meta,
    subsets: orEmpty(
      z.array(
        z.looseObject({
          addresses: orEmpty(z.array(EndpointAddressSchema)),
          notReadyAddresses: orEmpty(z.array(EndpointAddressSchema)),
          ports: orEmpty(z.array(z.looseObject({ name: z.string().nullish(), port: portNumber, protocol }))),
        }),
      ),
    ),
  })
  .transform((raw): EndpointSlice[] => {
    const metadata = metaOf(raw.metadata);
    return (raw.subsets ?? []).map((subset, index) => {
      const endpoint = (ready: boolean) => (address: z.infer<typeof EndpointAddressSchema>) => ({
        addresses: [address.ip],
        ready,
        serving: ready,
        terminating: false,
        ...(address.nodeName ? { nodeName: address.nodeName } : {}),
        ...podOf(address.targetRef, metadata.namespace),
      });
      return {
        kind: "EndpointSlice",
        meta: { ...metadata, name: index === 0 ? metadata.name : `${metadata.name}-${index}` },
        service: metadata.name,
        addressType: "IPv4",
        endpoints: [
          ...(subset.addresses ?? []).map(endpoint(true)),
          ...(subset.notReadyAddresses ?? []).map(endpoint(false)),
        ],
        ports: (subset.ports ?? []).map(({ name, port, protocol: transport }) => ({
          name: name ?? "",
          port,
          protocol: transport,
        })),
      };
    });
  });

const NamespaceSchema = z
  .looseObject({ metadata: meta })
  .transform(({ metadata }) => ({ kind: "Namespace" as const, meta: metaOf(metadata, false) }));

const ServiceAccountSchema = z
  .looseObject({ metadata: meta })
  .transform(({ metadata }) => ({ kind: "ServiceAccount" as const, meta: metaOf(metadata) }));

const NodeSchema = z.looseObject({ metadata: meta }).transform(({ metadata }) => {
  const node = metaOf(metadata, false);
  const zone = node.labels["topology.kubernetes.io/zone"];
  return { kind: "Node" as const, meta: node, ...(zone === undefined ? {} : { zone }) };
});

const core = { group: "", versions: ["v1"], namespaced: true } as const;

export const CORE_KINDS = {
  Namespace: { ...core, namespaced: false, decode: (raw) => NamespaceSchema.safeParse(raw) },
  Node: { ...core, namespaced: false, decode: (raw) => NodeSchema.safeParse(raw) },
  ServiceAccount: { ...core, decode: (raw) => ServiceAccountSchema.safeParse(raw) },
  Service: { ...core, decode: (raw) => ServiceSchema.safeParse(raw) },
  Endpoints: { ...core, decode: (raw) => EndpointsSchema.safeParse(raw) },
  Pod: { ...core, decode: (raw) => PodSchema.safeParse(raw) },
  EndpointSlice: {
    group: "discovery.k8s.io",
    versions: ["v1", "v1beta1"],
    namespaced: true,
    decode: (raw) => EndpointSliceSchema.safeParse(raw),
  },
} as const satisfies Record<string, KindDecoder>;
