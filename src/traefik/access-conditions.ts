/**
 * Access rules as conditions. A caller is who its address belongs to, as everywhere in the mesh; targets add up, since
 * what one does not let through is left to the router of the next.
 */
import { type AccessRule, type MeshConfig, type ServicePort, splitAddressPort } from "../config/mesh-config.ts";
import { inKeyOrder } from "../model/in-key-order.ts";
import { ALWAYS, allOf, anyOf, type Condition, matcher, NEVER } from "./condition.ts";
import { matchesCondition, type Unsupported } from "./http-match-condition.ts";

export type Transport = "http" | "tcp";

/** What one access rule opens of a service port. */
export interface Opening {
  /** `namespace/target` */
  readonly key: string;
  readonly rule: AccessRule;
  readonly condition: Condition;
  /** Keys of the endpoints. */
  readonly endpoints: readonly string[];
}

/** Who may make a call that may come to any endpoint of a service port. */
export interface WholeAccess {
  readonly condition: Condition;
  /** Keys of the endpoints that anybody may reach. */
  readonly endpoints: readonly string[];
  /** Some callers may reach a part of them only: these are not let in. */
  readonly stricter: boolean;
}

export class AccessConditions {
  readonly #byDestination = new Map<string, (readonly [key: string, rule: AccessRule])[]>();
  readonly #callers = new Map<string, Condition[]>();
  readonly #conditions = new Map<AccessRule, { sources: Condition; http: Condition }>();
  readonly #whole = { http: new Map<ServicePort, WholeAccess>(), tcp: new Map<ServicePort, WholeAccess>() };
  readonly #unsupported: (rule: AccessRule, match: string, why: Unsupported) => void;

  /** @param unsupported is told once of each match that fits nothing in Traefik */
  constructor(
    { accessRules, workloads }: MeshConfig,
    unsupported: (rule: AccessRule, match: string, why: Unsupported) => void,
  ) {
    this.#unsupported = unsupported;
    for (const key of Object.keys(accessRules).sort()) {
      const rule = accessRules[key] as AccessRule;
      const known = this.#byDestination.get(rule.destination);
      if (known === undefined) this.#byDestination.set(rule.destination, [[key, rule]]);
      else known.push([key, rule]);
    }
    for (const address of Object.keys(workloads).sort()) {
      const { namespace, serviceAccount } = workloads[address] as MeshConfig["workloads"][string];
      const identity = `${namespace}/${serviceAccount}`;
      const known = this.#callers.get(identity);
      const condition = matcher("ClientIP", address);
      if (known === undefined) this.#callers.set(identity, [condition]);
      else known.push(condition);
    }
  }

  /** What each rule opens, those left out that open nothing to anybody. */
  openings(servicePort: ServicePort, transport: Transport): Opening[] {
    const openings = new Map<string, { rule: AccessRule; endpoints: string[] }>();
    for (const [endpoint, identity, port] of identified(servicePort))
      for (const [key, rule] of this.#opening(identity, port, transport)) {
        const known = openings.get(key);
        if (known === undefined) openings.set(key, { rule, endpoints: [endpoint] });
        else known.endpoints.push(endpoint);
      }
    return inKeyOrder(openings)
      .map(([key, { rule, endpoints }]) => ({ key, rule, endpoints, condition: this.#condition(rule, transport) }))
      .filter(({ condition }) => condition !== NEVER);
  }

  whole(servicePort: ServicePort, transport: Transport): WholeAccess {
    const known = this.#whole[transport].get(servicePort) ?? this.#wholeOf(servicePort, transport);
    this.#whole[transport].set(servicePort, known);
    return known;
  }

  /** Without endpoints a service port protects nothing: everybody is told that there is none. */
  #wholeOf(servicePort: ServicePort, transport: Transport): WholeAccess {
    if (Object.keys(servicePort.endpoints).length === 0) return { condition: ALWAYS, endpoints: [], stricter: false };
    const groups = new Map<string, { condition: Condition; endpoints: string[] }>();
    for (const [endpoint, identity, port] of identified(servicePort)) {
      const rules = this.#opening(identity, port, transport);
      const condition = anyOf(rules.map(([, rule]) => this.#condition(rule, transport)));
      if (condition === NEVER) continue;
      const known = groups.get(condition.text);
      if (known === undefined) groups.set(condition.text, { condition, endpoints: [endpoint] });
      else known.endpoints.push(endpoint);
    }
    const all = [...groups.values()];
    return {
      condition: all.length === 0 ? NEVER : allOf(all.map(({ condition }) => condition)),
      endpoints: all.flatMap(({ endpoints }) => endpoints).sort(),
      stricter: all.length > 1,
    };
  }

  #opening(identity: string, port: number, transport: Transport): (readonly [key: string, rule: AccessRule])[] {
    return (this.#byDestination.get(identity) ?? []).filter(([, rule]) => {
      const section = rule[transport];
      return section !== undefined && (section.ports === undefined || section.ports.includes(port));
    });
  }

  #condition(rule: AccessRule, transport: Transport): Condition {
    let known = this.#conditions.get(rule);
    if (known === undefined) {
      const sources = anyOf(rule.sources.flatMap((identity) => this.#callers.get(identity) ?? []));
      const http = matchesCondition(rule.http?.matches ?? [], true, ({ name = "" }, why) =>
        this.#unsupported(rule, name, why),
      );
      known = { sources, http };
      this.#conditions.set(rule, known);
    }
    return transport === "http" ? allOf([known.sources, known.http]) : known.sources;
  }
}

/** Endpoints that are somebody's, with whose and on which port of the Pod. In the order of their keys. */
function identified({ endpoints }: ServicePort): (readonly [key: string, identity: string, port: number])[] {
  return Object.keys(endpoints)
    .sort()
    .flatMap((key) => {
      const identity = endpoints[key]?.identity;
      return identity === undefined ? [] : [[key, identity, splitAddressPort(key).port] as const];
    });
}
