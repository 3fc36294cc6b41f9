/**
 * Which entry point of Traefik a service port has. All HTTP Services share those from 5000 on, as the Host tells them
 * apart: the first port of each has `http-5000`, the second `http-5001`. A port of TCP or UDP has one to itself
 * (`tcp-10000`, `udp-15000`).
 */
import { type MeshConfig, type ServicePort, splitAddressPort } from "../config/mesh-config.ts";
import type { Service } from "../model/objects.ts";

const FIRST_HTTP = 5_000;
const FIRST_TCP = 10_000;
const FIRST_UDP = 15_000;

/**
 * The number in the entry point's name; undefined: Traefik has none for it, and does not serve it.
 * @param key `namespace/service:port`
 */
export type EntrypointNumbers = (key: string, servicePort: ServicePort) => number | undefined;

/** Of ClusterState, or any other place that has Services by `namespace/name`. */
export type FindService = (key: string) => Service | undefined;

/**
 * Of a service port of HTTP: by its place in its Service's list, as the original has it.
 * @param count how many entry points of HTTP there are
 */
export function httpNumber(service: Service, port: number, count: number): number | undefined {
  const index = service.ports.findIndex((each) => each.port === port && each.protocol === "TCP");
  return index < 0 || index >= count ? undefined : FIRST_HTTP + index;
}

/** The ports that the configuration's entrypoints have: those of a cluster, where each service port has one. */
export function placedNumbers(config: MeshConfig, service: FindService): EntrypointNumbers {
  const ports = new Map<string, number>();
  for (const [place, entrypoint] of Object.entries(config.entrypoints))
    ports.set(entrypoint.servicePort, splitAddressPort(place.slice(0, place.indexOf("/"))).port);
  return numbersWith(service, (key) => ports.get(key));
}

/**
 * Numbers where nothing else gives any: in the order in which service ports are first asked for. Whatever keeps one of
 * these keeps the numbers.
 */
export class AssignedNumbers {
  readonly #flows = { tcp: new Map<string, number>(), udp: new Map<string, number>() };

  of(service: FindService): EntrypointNumbers {
    return numbersWith(service, (key, { trafficType }) => this.#assign(key, trafficType === "udp" ? "udp" : "tcp"));
  }

  #assign(key: string, transport: "tcp" | "udp"): number {
    const known = this.#flows[transport];
    const number = known.get(key) ?? (transport === "udp" ? FIRST_UDP : FIRST_TCP) + known.size;
    known.set(key, number);
    return number;
  }
}

function numbersWith(service: FindService, flow: EntrypointNumbers): EntrypointNumbers {
  return (key, servicePort) => {
    if (servicePort.trafficType !== "http") return flow(key, servicePort);
    const owner = service(`${servicePort.namespace}/${servicePort.service}`);
    return owner === undefined ? undefined : httpNumber(owner, servicePort.port, Number.POSITIVE_INFINITY);
  };
}
