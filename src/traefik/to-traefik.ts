/**
 * From MeshConfig to Traefik's dynamic configuration, in the shape and with the names of Traefik Mesh. Splits are
 * weighted services over the endpoints themselves, so a call passes one Traefik and is known by its own address. What
 * Traefik cannot do is a problem of the object that asks for it, and nobody gets further for that.
 */
import type { MeshConfig, ServicePort } from "../config/mesh-config.ts";
import type { Problem } from "../model/problems.ts";
import type { EntrypointNumbers, FindService } from "./entrypoint-numbers.ts";
import { TcpPart, UdpPart } from "./flow-part.ts";
import { HttpPart } from "./http-part.ts";
import { ignoredSettings } from "./ignored-settings.ts";
import type { TraefikConfiguration } from "./traefik-configuration.ts";
import { refOf, Translation } from "./translation.ts";

export interface TraefikMesh {
  readonly config: MeshConfig;
  /** ClusterIPs and the order of ports, which MeshConfig lacks. */
  readonly service: FindService;
  readonly numbers: EntrypointNumbers;
}

export interface Translated {
  readonly configuration: TraefikConfiguration;
  /** What Traefik cannot do, beside what is wrong with the objects themselves. */
  readonly problems: readonly Problem[];
}

export function toTraefik({ config, service, numbers }: TraefikMesh): Translated {
  const mesh = new Translation(config, service);
  const parts = { http: new HttpPart(mesh), tcp: new TcpPart(mesh), udp: new UdpPart(mesh) };
  for (const key of Object.keys(config.servicePorts).sort()) {
    const servicePort = config.servicePorts[key] as ServicePort;
    const number = numbers(key, servicePort);
    if (number === undefined) mesh.reportPort(servicePort);
    else parts[servicePort.trafficType].add(key, servicePort, number);
    for (const { field, says } of ignoredSettings(servicePort))
      mesh.report("TraefikSettingIgnored", refOf(servicePort), field, says);
  }
  if (config.accessControl === "audit")
    for (const { origin } of Object.values(config.accessRules))
      mesh.report("TraefikAuditUnsupported", origin, "", "access control is in audit mode");
  const [http, tcp, udp] = [parts.http.finish(), parts.tcp.finish(), parts.udp.finish()];
  return {
    configuration: { http, ...(tcp === undefined ? {} : { tcp }), ...(udp === undefined ? {} : { udp }) },
    problems: mesh.problems,
  };
}
