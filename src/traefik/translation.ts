/** What the parts of a translation share: the mesh, and a book of what Traefik cannot do. */
import type { AccessRule, MeshConfig, Origin, ServicePort } from "../config/mesh-config.ts";
import type { ObjectRef } from "../model/objects.ts";
import { type Problem, type ProblemCode, problem } from "../model/problems.ts";
import { AccessConditions, type Opening } from "./access-conditions.ts";
import type { FindService } from "./entrypoint-numbers.ts";
import { type Case, RouteCases } from "./route-cases.ts";

export class Translation {
  readonly config: MeshConfig;
  readonly service: FindService;
  readonly cases: RouteCases;
  /** Undefined: everybody may call. */
  readonly access: AccessConditions | undefined;
  /** By all that they say, once each. */
  readonly #problems = new Map<string, Problem>();

  constructor(config: MeshConfig, service: FindService) {
    this.config = config;
    this.service = service;
    this.cases = new RouteCases(config.servicePorts);
    const unsupported = ({ origin }: AccessRule, match: string, why: string) => this.reportMatch(origin, match, why);
    this.access = config.accessControl === "on" ? new AccessConditions(config, unsupported) : undefined;
  }

  get problems(): Problem[] {
    return [...this.#problems.values()];
  }

  report(code: ProblemCode, object: ObjectRef, field: string, detail: string): void {
    const found = problem(code, object, field, detail);
    this.#problems.set([code, object.kind, object.namespace, object.name, field, found.message].join("\n"), found);
  }

  reportPort(servicePort: ServicePort): void {
    const { port, trafficType } = servicePort;
    const field = this.#portField(servicePort);
    this.report(
      "TraefikPortMissing",
      refOf(servicePort),
      field,
      `no entry point of ${trafficType} is left for ${port}`,
    );
  }

  reportUdp(servicePort: ServicePort): void {
    const detail = `port ${servicePort.port} is UDP, whose callers Traefik does not tell apart`;
    this.report("TraefikUdpDenied", refOf(servicePort), this.#portField(servicePort), detail);
  }

  reportMatch(origin: Origin, match: string, why: string): void {
    const field = origin.kind === "TrafficTarget" ? "spec.rules" : "spec.matches";
    this.report("TraefikMatchUnsupported", origin, field, `match "${match}" cannot be said to Traefik: ${why}`);
  }

  reportObstacle(origin: Origin, why: string): void {
    this.report("TraefikRouteUnsupported", origin, "spec", why);
  }

  /** @param leaf key of a service port to which not every caller may go in whole */
  reportStricter(origin: Origin, leaf: string): void {
    const detail = `targets open different endpoints of ${leaf}`;
    this.report("TraefikSplitStricter", origin, "spec.backends", detail);
  }

  /** Where targets open different endpoints of one service port. */
  reportEndpointsApart(key: string, openings: readonly Opening[]): void {
    const [first, ...others] = openings;
    if (first === undefined) return;
    const other = others.find(({ endpoints }) => endpoints.join() !== first.endpoints.join());
    const servicePort = this.config.servicePorts[key];
    if (other === undefined || servicePort === undefined) return;
    const detail = `TrafficTargets ${first.key} and ${other.key} open different endpoints of port ${servicePort.port}`;
    this.report("TraefikEndpointsApart", refOf(servicePort), "spec.selector", detail);
  }

  /** @param routers how many let calls through */
  reportApart(servicePort: ServicePort, routers: number): void {
    const { rateLimit, circuitBreaker } = servicePort.middlewares;
    if (routers < 2 || (rateLimit === undefined && circuitBreaker === undefined)) return;
    const detail = `its targets and splits make ${routers} routers of port ${servicePort.port}`;
    this.report("TraefikLimitsApart", refOf(servicePort), "metadata.annotations", detail);
  }

  /** What the backends of a split ask for themselves, and only their own routers would do. */
  reportBackends(each: Case, root: ServicePort): void {
    for (const key of each.leaves) {
      const backend = this.config.servicePorts[key];
      if (backend === undefined || (backend.namespace === root.namespace && backend.service === root.service)) continue;
      if (Object.keys(backend.middlewares).length === 0) continue;
      const detail = `"${backend.service}" asks for a rate limit, a circuit breaker or retries`;
      this.report("TraefikBackendMiddlewares", each.origin, "spec.backends", detail);
    }
  }

  #portField({ namespace, service, port }: ServicePort): string {
    const index = this.service(`${namespace}/${service}`)?.ports.findIndex((each) => each.port === port) ?? -1;
    return index < 0 ? "spec.ports" : `spec.ports[${index}]`;
  }
}

export function refOf({ namespace, service }: ServicePort): ObjectRef {
  return { kind: "Service", namespace, name: service };
}
