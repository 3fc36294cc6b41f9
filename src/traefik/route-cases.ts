/**
 * Where a call may go, told apart by all that routes match: of a split of a split, both splits' matches. Traefik's rules
 * stand at the way in, and its weighted services match nothing, so each outcome of the matches is a case of its own, and
 * the first that fits decides.
 */
import type { HttpMatch, MeshConfig, Origin, Route, ServicePort } from "../config/mesh-config.ts";

/** One backend with a share of the calls. */
export interface CaseBackend {
  /** Key of its service port. */
  readonly key: string;
  readonly weight: number;
  /** Where it is split itself. */
  readonly split?: Case;
}

export interface Case {
  /** Of which service port. */
  readonly key: string;
  /** Its number among the service port's cases, from 0. */
  readonly index: number;
  /** All of these hold; in each, one match does, and an empty list holds always. */
  readonly conditions: readonly { readonly matches: readonly HttpMatch[]; readonly origin: Origin }[];
  readonly origin: Origin;
  /** `own`: to its own endpoints. */
  readonly target: "own" | readonly CaseBackend[];
  /** Why Traefik cannot do it, as the start of a sentence; absent: it can. */
  readonly obstacle?: string;
}

/** Of a service port; more are nobody's need, and would be a wall of routers. */
const MAX_CASES = 32;
const TOO_MANY = `the matches of its splits come to more than ${MAX_CASES} cases`;
/** Splits of splits; the compiler lets no cycle through. */
const MAX_DEPTH = 16;

export class RouteCases {
  readonly #servicePorts: MeshConfig["servicePorts"];
  readonly #known = new Map<string, readonly Case[]>();

  constructor(servicePorts: MeshConfig["servicePorts"]) {
    this.#servicePorts = servicePorts;
  }

  /** In the order in which they are tried. */
  of(key: string, depth = 0): readonly Case[] {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const servicePort = this.#servicePorts[key] as ServicePort;
    const routes = servicePort.routes ?? [ownRoute(key, servicePort)];
    const drafts = routes.flatMap((route) => this.#casesOf(key, route, depth));
    const cases =
      drafts.length > MAX_CASES
        ? [{ ...refused(key, routes[0] as Route, TOO_MANY), conditions: [] }]
        : drafts.map((draft, index) => ({ ...draft, index }));
    this.#known.set(key, cases);
    return cases;
  }

  #casesOf(key: string, route: Route, depth: number): Case[] {
    const { origin, matches, backends } = route;
    const why = depth < MAX_DEPTH ? obstacle(route) : `it is split more than ${MAX_DEPTH} times`;
    const condition = { matches, origin };
    if (why !== undefined) return [{ ...refused(key, route, why), conditions: [condition] }];
    const weighted = backends.filter(({ weight }) => weight > 0);
    if (weighted.length === 1 && weighted[0]?.servicePort === key)
      return [{ key, index: 0, conditions: [condition], origin, target: "own" }];
    // One list of backends for each outcome of the matches of those that are split themselves.
    let outcomes: { conditions: Case["conditions"]; backends: readonly CaseBackend[] }[] = [
      { conditions: [condition], backends: [] },
    ];
    for (const { servicePort, weight, routed } of weighted) {
      const isSplit = routed === true && servicePort !== key && this.#servicePorts[servicePort] !== undefined;
      const inner: readonly (Case | undefined)[] = isSplit ? this.of(servicePort, depth + 1) : [undefined];
      outcomes = outcomes.flatMap((outcome) =>
        inner.map((split) => ({
          conditions: [...outcome.conditions, ...(split?.conditions ?? [])],
          backends: [...outcome.backends, { key: servicePort, weight, ...(split === undefined ? {} : { split }) }],
        })),
      );
      if (outcomes.length > MAX_CASES) return [refused(key, route, TOO_MANY)];
    }
    return outcomes.map((outcome) => {
      const fault = outcome.backends.find(({ split }) => split?.obstacle !== undefined)?.split?.obstacle;
      return {
        key,
        index: 0,
        conditions: outcome.conditions,
        origin,
        target: outcome.backends,
        ...(fault === undefined ? {} : { obstacle: fault }),
      };
    });
  }
}

function ownRoute(key: string, { namespace, service }: ServicePort): Route {
  const origin = { kind: "Service", namespace, name: service };
  return { origin, matches: [], backends: [{ servicePort: key, weight: 1 }] };
}

/** What no front end of today asks for together with Traefik is refused, never done by half. */
function obstacle({ filters = [], callerNamespaces, requestTimeoutMs, backends }: Route): string | undefined {
  if (filters.length > 0 || backends.some((backend) => backend.filters !== undefined)) return "it changes requests";
  if (callerNamespaces !== undefined) return "it holds for callers of some namespaces only";
  if (requestTimeoutMs !== undefined) return "it limits how long a request may take";
  return undefined;
}

function refused(key: string, { origin, matches }: Route, why: string): Case {
  return { key, index: 0, conditions: [{ matches, origin }], origin, target: [], obstacle: why };
}
