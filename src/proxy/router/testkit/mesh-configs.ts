/** Small configurations and requests for tests. */
import {
  type AccessMode,
  type AccessRule,
  type Backend,
  type Endpoint,
  emptyMeshConfig,
  type MeshConfig,
  type Route,
  type ServicePort,
  type Workload,
} from "../../../config/mesh-config.ts";
import type { Clock } from "../../../model/clock.ts";
import { headerLines } from "../header-lines.ts";
import type { RequestView } from "../types.ts";

export class HandClock implements Clock {
  ms = 0;
  now = () => this.ms;
  wall = () => this.ms;
  after = () => ({ cancel() {} });
}

/** @param endpoints `address:port` to identity, or to undefined where it has none */
export function servicePort(
  endpoints: Readonly<Record<string, string | undefined>>,
  rest: Partial<ServicePort> = {},
): ServicePort {
  const entries = Object.entries(endpoints).map(([key, identity]): [string, Endpoint] => [
    key,
    identity === undefined ? {} : { identity },
  ]);
  return {
    namespace: "n",
    service: "s",
    port: 80,
    trafficType: "http",
    scheme: "http",
    middlewares: {},
    endpoints: Object.fromEntries(entries),
    ...rest,
  };
}

/** A split named `name`. */
export function route(name: string, backends: readonly Backend[], rest: Partial<Route> = {}): Route {
  return {
    origin: { kind: "TrafficSplit", namespace: "n", name },
    matches: [],
    backends: [...backends],
    ...rest,
  };
}

export function rule(
  name: string,
  destination: string,
  sources: readonly string[],
  opens: Pick<AccessRule, "http" | "tcp" | "udp">,
): AccessRule {
  return { origin: { kind: "TrafficTarget", namespace: "n", name }, destination, sources: [...sources], ...opens };
}

/** `namespace/serviceAccount` as the workload of one address. */
export function workload(identity: string): Workload {
  const [namespace = "", serviceAccount = ""] = identity.split("/");
  return { namespace, pod: `${serviceAccount}-1`, serviceAccount };
}

export function mesh(
  accessControl: AccessMode,
  servicePorts: Readonly<Record<string, ServicePort>>,
  rules: readonly AccessRule[] = [],
  callers: Readonly<Record<string, string>> = {},
): MeshConfig {
  return {
    ...emptyMeshConfig(),
    accessControl,
    servicePorts: { ...servicePorts },
    accessRules: Object.fromEntries(rules.map((each) => [`n/${each.origin.name}`, each])),
    workloads: Object.fromEntries(Object.entries(callers).map(([address, identity]) => [address, workload(identity)])),
  };
}

export function request(
  path: string,
  method = "GET",
  headers: Readonly<Record<string, string | readonly string[]>> = {},
  query = "",
): RequestView {
  const lines = Object.entries(headers).flatMap(([name, values]) => [values].flat().map((value) => ({ name, value })));
  return { method, path, query, ...headerLines(lines) };
}
