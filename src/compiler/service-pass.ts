/** Service ports: what each Service asks for, the endpoints behind it, and where its mesh name leads. */
import {
  addressPort,
  type Endpoint,
  type MeshConfig,
  servicePortKeyOf,
  type TrafficType,
} from "../config/mesh-config.ts";
import { refOf, type Service } from "../model/objects.ts";
import { type Problem, problem } from "../model/problems.ts";
import type { Topology, TopologyEndpoint, TopologyPort, TopologyService } from "../topology/topology.ts";
import { readAnnotations, type UpstreamSettings } from "./annotations.ts";

/** How mesh names are reached. On one machine each has an address; on a cluster each service port has a port. */
export interface Placement {
  /** @param serviceKey `namespace/service` */
  addresses(serviceKey: string): readonly string[];
  /** Where the proxy listens for a port of it. */
  entrypoints(
    serviceKey: string,
    port: number,
    transport: "tcp" | "udp",
  ): readonly { readonly address: string; readonly port: number }[];
}

/** Services by key that the mesh serves, with the ports that fit their traffic type. */
export type ServedServices = ReadonlyMap<string, ServedService>;

export interface ServedService {
  readonly trafficType: TrafficType;
  readonly ports: readonly number[];
}

/** Fills `names`, `entrypoints` and `servicePorts` of the draft. */
export function serviceRouters(
  topology: Topology,
  defaultTrafficType: TrafficType,
  placement: Placement,
  draft: MeshConfig,
  problems: Problem[],
): ServedServices {
  const served = new Map<string, ServedService>();
  for (const each of topology.services.values()) {
    const { key, service } = each;
    const intent = readAnnotations(service, defaultTrafficType, problems);
    if (intent === undefined) continue;
    const ports = fittingPorts(each, intent.trafficType, problems);
    if (ports.length === 0) continue;
    const { namespace, name } = service.meta;
    const settings = withPreference(service, intent.settings, problems);
    const transport = intent.trafficType === "udp" ? "udp" : "tcp";
    for (const { port, endpoints } of ports) {
      const servicePort = servicePortKeyOf(namespace, name, port);
      draft.servicePorts[servicePort] = {
        namespace,
        service: name,
        port,
        trafficType: intent.trafficType,
        scheme: intent.scheme,
        ...(intent.tls === undefined ? {} : { tls: intent.tls }),
        middlewares: intent.middlewares,
        ...settings,
        endpoints: endpointRecords(endpoints),
      };
      for (const at of placement.entrypoints(key, port, transport))
        draft.entrypoints[`${addressPort(at.address, at.port)}/${transport}`] = { ...at, transport, servicePort };
    }
    draft.names[key] = [...placement.addresses(key)];
    served.set(key, { trafficType: intent.trafficType, ports: ports.map(({ port }) => port) });
  }
  return served;
}

const PREFERENCES: ReadonlyMap<string, "node" | "zone"> = new Map([
  ["PreferSameNode", "node"],
  ["PreferSameZone", "zone"],
  // The older name of the same (KEP-3015).
  ["PreferClose", "zone"],
]);

/** What the Service asks of Kubernetes' own proxies holds here too. */
function withPreference(service: Service, settings: UpstreamSettings, problems: Problem[]): UpstreamSettings {
  const { trafficDistribution } = service;
  if (trafficDistribution === undefined) return settings;
  const prefer = PREFERENCES.get(trafficDistribution);
  if (prefer !== undefined) return { ...settings, balancing: { ...settings.balancing, prefer } };
  const detail = `"${trafficDistribution}" is no way to distribute calls`;
  problems.push(problem("TrafficDistributionUnknown", refOf(service), "spec.trafficDistribution", detail));
  return settings;
}

function fittingPorts(each: TopologyService, trafficType: TrafficType, problems: Problem[]): TopologyPort[] {
  const { service, ports } = each;
  const protocol = trafficType === "udp" ? "UDP" : "TCP";
  const fitting = ports.filter((port) => port.protocol === protocol);
  if (fitting.length === 0) {
    problems.push(
      problem(
        "ServiceWithoutPorts",
        refOf(service),
        "spec.ports",
        `no port of it is ${protocol}, as traffic type ${trafficType} needs`,
      ),
    );
    return [];
  }
  ports.forEach((port, index) => {
    if (port.protocol !== protocol)
      problems.push(
        problem(
          "PortSkipped",
          refOf(service),
          `spec.ports[${index}]`,
          `port ${port.port} is ${port.protocol}, and traffic type ${trafficType} needs ${protocol}`,
        ),
      );
  });
  return fitting;
}

function endpointRecords(endpoints: readonly TopologyEndpoint[]): Record<string, Endpoint> {
  const records: Record<string, Endpoint> = {};
  for (const { address, port, ...about } of endpoints) records[addressPort(address, port)] = about;
  return records;
}

/** Services whose calls find nobody. Said after the splits are known: a root that is split away needs no Pods. */
export function reportUnserved(
  topology: Topology,
  served: ServedServices,
  draft: MeshConfig,
  problems: Problem[],
): void {
  for (const [key, { ports }] of served) {
    const { service } = topology.services.get(key) as TopologyService;
    const lacking = ports.filter((port) => {
      const servicePort = draft.servicePorts[`${key}:${port}`];
      return (
        servicePort !== undefined &&
        Object.keys(servicePort.endpoints).length === 0 &&
        usesOwnEndpoints(servicePort, `${key}:${port}`)
      );
    });
    if (lacking.length === 0) continue;
    const which =
      lacking.length === ports.length ? "it has no ready endpoint" : `port ${lacking.join(", ")} has no ready endpoint`;
    problems.push(problem("ServiceWithoutEndpoints", refOf(service), "spec.selector", which));
  }
}

function usesOwnEndpoints({ routes }: MeshConfig["servicePorts"][string], key: string): boolean {
  return routes === undefined || routes.some((route) => route.backends.some((backend) => backend.servicePort === key));
}
