/**
 * TrafficTargets: who may call whom, as rules between identities. They add up; a target of which any part cannot be
 * resolved opens nothing, so that a mistake never opens more than what was meant.
 */
import type { AccessRule, HttpMatch } from "../config/mesh-config.ts";
import {
  refOf,
  type TargetRule,
  type TargetSubject,
  type TCPRoute,
  type TrafficTarget,
  type UDPRoute,
} from "../model/objects.ts";
import { type Problem, type ProblemCode, problem } from "../model/problems.ts";
import type { TopologyService } from "../topology/topology.ts";
import type { RouteMatches } from "./route-matches.ts";

/** What targets are read with. */
export interface TargetSurroundings {
  /** `namespace/serviceAccount` of the Pods that run. */
  readonly identities: { has(identity: string): boolean };
  within(namespace: string): boolean;
  readonly tcpRoutes: ReadonlyMap<string, TCPRoute>;
  readonly udpRoutes: ReadonlyMap<string, UDPRoute>;
  readonly matches: RouteMatches;
  /** On which of its own ports the Pods of an identity serve. */
  podPorts(identity: string): ReadonlySet<number> | undefined;
  /** Where Pods of the namespace's Services would serve that have none now. */
  restingPorts(namespace: string): ReadonlySet<number>;
}

/** @returns undefined where it opens nothing */
export function accessRule(
  target: TrafficTarget,
  around: TargetSurroundings,
  problems: Problem[],
): AccessRule | undefined {
  return new TargetReader(target, around, problems).read();
}

/** Endpoints that no rule can open. */
export function reportNobodys({ service, ports }: TopologyService, problems: Problem[]): void {
  const nobodys = ports.flatMap(({ endpoints }) => endpoints).filter(({ identity }) => identity === undefined);
  if (nobodys.length === 0) return;
  const addresses = [...new Set(nobodys.map(({ address }) => address))].join(", ");
  problems.push(
    problem(
      "EndpointWithoutIdentity",
      refOf(service),
      "spec.selector",
      `no Pod with an identity is behind endpoint ${addresses}`,
    ),
  );
}

/** Where Pods of a Service serve: identity and port of each of its endpoints. */
export function* servedPlaces({ ports }: TopologyService): Iterable<readonly [identity: string, port: number]> {
  for (const { endpoints } of ports)
    for (const { identity, port } of endpoints) if (identity !== undefined) yield [identity, port];
}

/** Where Pods of a Service would serve, if it has none now. */
export function restingPortsOf({ service, ports: served }: TopologyService): number[] {
  if (served.some(({ endpoints }) => endpoints.length > 0)) return [];
  return service.ports.flatMap(({ targetPort }) => (typeof targetPort === "number" ? targetPort : []));
}

/** What a target's rules open. Ports of the Pod; undefined: all of them. */
interface Opened {
  http: HttpMatch[] | undefined;
  tcp: PortSet;
  udp: PortSet;
}
/** `false`: nothing is opened. */
type PortSet = readonly number[] | undefined | false;

class TargetReader {
  readonly #target: TrafficTarget;
  readonly #around: TargetSurroundings;
  readonly #problems: Problem[];
  /** v1alpha1 has its fields at the top. */
  readonly #at: string;

  constructor(target: TrafficTarget, around: TargetSurroundings, problems: Problem[]) {
    this.#target = target;
    this.#around = around;
    this.#problems = problems;
    this.#at = target.version === "v1alpha1" ? "" : "spec.";
  }

  /** @returns undefined where it opens nothing. All that is wrong is reported, not the first thing alone. */
  read(): AccessRule | undefined {
    const { meta } = this.#target;
    const destination = this.#destination();
    const sources = this.#sources();
    const opened = this.#rules();
    if (destination === undefined || sources.length === 0 || opened === undefined) return undefined;
    const { port } = this.#target.destination;
    const all = port === undefined || port === 0 ? undefined : [port];
    const portField = `${this.#at}destination.port`;
    if (all !== undefined) this.#checkPorts(destination, all, portField);
    // So it is after an object of v1alpha2 was edited by way of v1alpha3. Without the port it would open the others.
    if (all !== undefined && this.#target.version === "v1alpha3")
      this.#report("TargetPortMisplaced", portField, "v1alpha3 of TrafficTarget has no such field");
    for (const ports of [opened.tcp, opened.udp])
      if (Array.isArray(ports)) this.#checkPorts(destination, ports, this.#rulesField);
    const http =
      opened.http === undefined ? false : this.#conjunction && opened.tcp !== false ? intersect(all, opened.tcp) : all;
    const tcp = this.#conjunction && opened.http !== undefined ? false : intersect(all, opened.tcp);
    const udp = intersect(all, opened.udp);
    if (http === false && tcp === false && udp === false) return undefined;
    return {
      origin: { kind: "TrafficTarget", namespace: meta.namespace, name: meta.name },
      destination,
      sources,
      ...(http === false ? {} : { http: { ...portsOf(http), matches: opened.http ?? [] } }),
      ...(tcp === false ? {} : { tcp: portsOf(tcp) }),
      ...(udp === false ? {} : { udp: portsOf(udp) }),
    };
  }

  /**
   * From v1alpha3 on, ports (TCPRoute) and requests (HTTPRouteGroup) of one target are meant together. Bytes that are
   * not read as HTTP cannot be matched, so such a target opens no TCP.
   */
  get #conjunction(): boolean {
    return this.#target.version !== "v1alpha1" && this.#target.version !== "v1alpha2";
  }

  get #rulesField(): string {
    return this.#target.version === "v1alpha1" ? "specs" : "spec.rules";
  }

  #report(code: ProblemCode, field: string, detail: string): void {
    this.#problems.push(problem(code, refOf(this.#target), field, detail));
  }

  #destination(): string | undefined {
    const subject = this.#target.destination;
    if (!this.#isAccount(subject, `${this.#at}destination.kind`)) return undefined;
    const identity = `${subject.namespace ?? this.#target.meta.namespace}/${subject.name}`;
    if (!this.#around.identities.has(identity))
      this.#report(
        "TargetDestinationUnmatched",
        `${this.#at}destination.name`,
        `no running Pod has ServiceAccount ${identity}`,
      );
    return identity;
  }

  #sources(): string[] {
    const { sources } = this.#target;
    if (sources.length === 0) this.#report("TargetSourcesMissing", `${this.#at}sources`, "it names no source");
    const identities = new Set<string>();
    sources.forEach((source, index) => {
      const field = `${this.#at}sources[${index}]`;
      if (!this.#isAccount(source, `${field}.kind`)) return;
      if (source.namespace === undefined) {
        this.#report("TargetSourceNamespaceMissing", `${field}.namespace`, `source "${source.name}" has no namespace`);
        return;
      }
      const identity = `${source.namespace}/${source.name}`;
      if (!this.#around.identities.has(identity))
        this.#report("TargetSourceUnmatched", `${field}.name`, this.#whyNobody(source.namespace, identity));
      identities.add(identity);
    });
    return [...identities].sort();
  }

  #whyNobody(namespace: string, identity: string): string {
    return this.#around.within(namespace)
      ? `no running Pod has ServiceAccount ${identity}`
      : `namespace ${namespace} is left out of the mesh (watched or ignored namespaces), so its Pods are nobody`;
  }

  #isAccount(subject: TargetSubject, field: string): boolean {
    if (subject.kind === "ServiceAccount") return true;
    this.#report("TargetSubjectKind", field, `"${subject.kind}" ${subject.name} is no ServiceAccount`);
    return false;
  }

  #rules(): Opened | undefined {
    const rules = this.#target.rules ?? [];
    if (rules.length === 0) {
      if (this.#target.version !== "v1alpha2") {
        this.#report("TargetRulesMissing", this.#rulesField, "it names no route");
        return undefined;
      }
      // As the original reads it. Kept for those who rely on it; a later version of the kind forbids it.
      this.#report("TargetWithoutRules", this.#rulesField, "it names no route");
      return { http: [], tcp: false, udp: false };
    }
    const opened: Opened = { http: undefined, tcp: false, udp: false };
    let resolved = true;
    const http: HttpMatch[] = [];
    let namesGroup = false;
    rules.forEach((rule, index) => {
      if (rule.kind === "HTTPRouteGroup") namesGroup = true;
      if (!this.#addRule(rule, `${this.#rulesField}[${index}]`, http, opened)) resolved = false;
    });
    if (!resolved) return undefined;
    // No match that can fit is no HTTP at all; an empty list would mean every request.
    if (namesGroup && http.length > 0) opened.http = http;
    // Ports were meant together with requests of which none can fit.
    else if (namesGroup && this.#conjunction) opened.tcp = false;
    return opened;
  }

  /** @returns whether the rule could be resolved */
  #addRule(rule: TargetRule, field: string, http: HttpMatch[], opened: Opened): boolean {
    const key = `${this.#target.meta.namespace}/${rule.name}`;
    switch (rule.kind) {
      case "HTTPRouteGroup":
        return this.#addMatches(rule, key, field, http);
      case "TCPRoute": {
        const route = this.#around.tcpRoutes.get(key);
        if (route === undefined) return this.#unresolved(rule, key, field);
        opened.tcp = union(opened.tcp, route.ports);
        return true;
      }
      case "UDPRoute": {
        const route = this.#around.udpRoutes.get(key);
        if (route === undefined) return this.#unresolved(rule, key, field);
        opened.udp = union(opened.udp, route.ports);
        return true;
      }
      default:
        this.#report(
          "TargetRuleUnresolved",
          `${field}.kind`,
          `"${rule.kind}" is none of HTTPRouteGroup, TCPRoute, UDPRoute`,
        );
        return false;
    }
  }

  #unresolved(rule: TargetRule, key: string, field: string): false {
    this.#report("TargetRuleUnresolved", `${field}.name`, `there is no ${rule.kind} ${key}`);
    return false;
  }

  #addMatches(rule: TargetRule, key: string, field: string, http: HttpMatch[]): boolean {
    const group = this.#around.matches.of(key);
    if (group === undefined) return this.#unresolved(rule, key, field);
    if (rule.matches === undefined || rule.matches.length === 0) {
      http.push(...this.#around.matches.all(key));
      return true;
    }
    let resolved = true;
    rule.matches.forEach((name, index) => {
      if (!group.has(name)) {
        this.#report(
          "TargetRuleUnresolved",
          `${field}.matches[${index}]`,
          `HTTPRouteGroup ${key} has no match "${name}"`,
        );
        resolved = false;
      }
      const match = group.get(name);
      if (match !== undefined) http.push(match);
    });
    return resolved;
  }

  #checkPorts(destination: string, ports: readonly number[], field: string): void {
    const served = this.#around.podPorts(destination);
    const unmatched = served === undefined ? [] : ports.filter((port) => !served.has(port));
    if (served === undefined || unmatched.length === 0) return;
    // A Service without Pods at this moment may have meant it.
    const resting = this.#around.restingPorts(destination.slice(0, destination.indexOf("/")));
    for (const port of unmatched)
      if (!resting.has(port))
        this.#report(
          "TargetPortUnmatched",
          field,
          `Pods of ServiceAccount ${destination} serve on ${[...served].sort((a, b) => a - b).join(", ")}, not on ${port}`,
        );
  }
}

/** TCPRoutes and UDPRoutes add up; one without ports opens all. */
function union(opened: PortSet, ports: readonly number[] | undefined): PortSet {
  if (ports === undefined || ports.length === 0 || opened === undefined) return undefined;
  return [...new Set([...(opened === false ? [] : opened), ...ports])].sort((a, b) => a - b);
}

function intersect(a: readonly number[] | undefined, b: PortSet): PortSet {
  if (b === false || a === undefined) return b;
  if (b === undefined) return a;
  const both = a.filter((port) => b.includes(port));
  return both.length === 0 ? false : both;
}

function portsOf(ports: readonly number[] | undefined): { ports?: number[] } {
  return ports === undefined ? {} : { ports: [...ports] };
}
