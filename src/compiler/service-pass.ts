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
import type { TopologyEndpoint, TopologyPort, TopologyService } from "../topology/topology.ts";
import { readAnnotations, type UpstreamSettings } from "./annotations.ts";

/** How mesh names are reached. On one machine each has an address; on a cluster each service port has a port. */
export interface Placement {
  /** @param serviceKey `namespace/service` */
  addresses(serviceKey: string): readonly string[];
  /** Where the proxy listens for a port of it. */
  entrypoints(serviceKey: string, port: number, transport: "tcp" | "udp"): readonly EntrypointPlace[];
}

export interface EntrypointPlace {
  readonly address: string;
  readonly port: number;
  /** Other Services have the same, and the call says which it is for: Traefik's entry points of HTTP. */
  readonly shared?: true;
}

/** A Service that the mesh serves, with the ports that fit its traffic type. */
export interface ServedService {
  readonly trafficType: TrafficType;
  readonly ports: readonly number[];
}

/** Of one Service: its part of the configuration, without routes. */
export interface ServiceRouters extends ServedService {
  readonly addresses: string[];
  readonly entrypoints: MeshConfig["entrypoints"];
  readonly servicePorts: MeshConfig["servicePorts"];
}

/** @returns undefined for what the mesh cannot serve */
export function serviceRouters(
  each: TopologyService,
  defaultTrafficType: TrafficType,
  placement: Placement,
  problems: Problem[],
): ServiceRouters | undefined {
  const { key, service } = each;
  const intent = readAnnotations(service, defaultTrafficType, problems);
  if (intent === undefined) return undefined;
  const { trafficType, scheme, tls, middlewares } = intent;
  const fitting = fittingPorts(each, trafficType, problems);
  if (fitting.length === 0) return undefined;
  const { namespace, name } = service.meta;
  const settings = withPreference(service, intent.settings, problems);
  const transport = trafficType === "udp" ? "udp" : "tcp";
  const servicePorts: MeshConfig["servicePorts"] = {};
  const entrypoints: MeshConfig["entrypoints"] = {};
  for (const { port, endpoints } of fitting) {
    const servicePort = servicePortKeyOf(namespace, name, port);
    servicePorts[servicePort] = {
      namespace,
      service: name,
      port,
      trafficType,
      scheme,
      ...(tls === undefined ? {} : { tls }),
      middlewares,
      ...settings,
      endpoints: endpointRecords(endpoints),
    };
    for (const { address, port: number, shared } of placement.entrypoints(key, port, transport)) {
      const place = `${addressPort(address, number)}/${transport}`;
      const entrypoint = { address, port: number, transport, servicePort } as const;
      entrypoints[shared === true ? `${place}/${servicePort}` : place] = entrypoint;
    }
  }
  const ports = fitting.map(({ port }) => port);
  return { trafficType, ports, addresses: [...placement.addresses(key)], entrypoints, servicePorts };
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

/** A Service whose calls find nobody. Said after the splits are known: a root that is split away needs no Pods. */
export function reportUnserved(
  { key, service }: TopologyService,
  { ports }: ServedService,
  servicePorts: MeshConfig["servicePorts"],
  problems: Problem[],
): void {
  const lacking = ports.filter((port) => {
    const servicePort = servicePorts[`${key}:${port}`];
    return (
      servicePort !== undefined &&
      Object.keys(servicePort.endpoints).length === 0 &&
      usesOwnEndpoints(servicePort, `${key}:${port}`)
    );
  });
  if (lacking.length === 0) return;
  const which =
    lacking.length === ports.length ? "it has no ready endpoint" : `port ${lacking.join(", ")} has no ready endpoint`;
  problems.push(problem("ServiceWithoutEndpoints", refOf(service), "spec.selector", which));
}

function usesOwnEndpoints({ routes }: MeshConfig["servicePorts"][string], key: string): boolean {
  return routes === undefined || routes.some((route) => route.backends.some((backend) => backend.servicePort === key));
}
