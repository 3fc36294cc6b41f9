/**
 * Where a call may go, told apart by all that routes match: of a split of a split, both splits' matches. Traefik's rules
 * stand at the way in, and its weighted services match nothing, so each outcome of the matches is a case of its own, and
 * the first that fits decides.
 */
import {
  type HttpMatch,
  MAX_PATH,
  type MeshConfig,
  type Origin,
  type Route,
  type ServicePort,
} from "../config/mesh-config.ts";
import { depthsOf } from "../model/depths.ts";

/** One backend with a share of the calls. */
export interface CaseBackend {
  /** Key of its service port. */
  readonly key: string;
  readonly weight: number;
  /** Where it is split itself. */
  readonly split?: Case;
}

/** Of one route; the same object wherever it is asked for. */
export interface RouteCondition {
  /** One of them holds. */
  readonly matches: readonly HttpMatch[];
  readonly origin: Origin;
}

export interface Case {
  /** Of which service port. */
  readonly key: string;
  /** Its number among the service port's cases, from 0. */
  readonly index: number;
  /** All of these hold, each of them once. */
  readonly conditions: readonly RouteCondition[];
  readonly origin: Origin;
  /** `own`: to its own endpoints. */
  readonly target: "own" | readonly CaseBackend[];
  /** Keys of the service ports whose endpoints answer, each once. */
  readonly leaves: readonly string[];
  /** Why Traefik cannot do it, as the start of a sentence; absent: it can. */
  readonly obstacle?: string;
}

/** Of a service port; more are nobody's need, and would be a wall of routers. */
const MAX_CASES = 32;
const TOO_MANY = `the matches of its splits come to more than ${MAX_CASES} cases`;
/** Of a case: the rule of its router names the callers of all of them. */
const MAX_LEAVES = 128;
const TOO_WIDE = `it leads to more than ${MAX_LEAVES} Services`;
/** The compiler lets none through. */
const TOO_DEEP = `its calls would pass more than ${MAX_PATH} Services`;

type Outcome = Pick<Case, "conditions"> & { readonly backends: readonly CaseBackend[] };

export class RouteCases {
  readonly #servicePorts: MeshConfig["servicePorts"];
  readonly #depths: ReadonlyMap<string, number>;
  readonly #known = new Map<string, readonly Case[]>();

  constructor(servicePorts: MeshConfig["servicePorts"]) {
    this.#servicePorts = servicePorts;
    this.#depths = depthsOf(splitsBehind(servicePorts));
  }

  /** In the order in which they are tried. */
  of(key: string): readonly Case[] {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const servicePort = this.#servicePorts[key] as ServicePort;
    const routes = servicePort.routes ?? [ownRoute(key, servicePort)];
    const drafts = routes.flatMap((route) => this.#casesOf(key, route));
    const cases =
      drafts.length > MAX_CASES
        ? [{ ...refused(key, routes[0] as Route, TOO_MANY), conditions: [] }]
        : drafts.map((draft, index) => ({ ...draft, index }));
    this.#known.set(key, cases);
    return cases;
  }

  #casesOf(key: string, route: Route): Case[] {
    const { origin, backends } = route;
    const why = (this.#depths.get(key) ?? 0) >= MAX_PATH ? TOO_DEEP : obstacle(route);
    if (why !== undefined) return [refused(key, route, why)];
    const conditions = conditionsOf(route);
    const weighted = backends.filter(({ weight }) => weight > 0);
    if (weighted.length === 1 && weighted[0]?.servicePort === key)
      return [{ key, index: 0, conditions, origin, target: "own", leaves: [key] }];
    // One list of backends for each outcome of the matches of those that are split themselves.
    let outcomes: Outcome[] = [{ conditions, backends: [] }];
    for (const { servicePort, weight, routed } of weighted) {
      const isSplit = routed === true && servicePort !== key && this.#servicePorts[servicePort] !== undefined;
      const backend = { key: servicePort, weight };
      outcomes = combined(outcomes, isSplit ? this.of(servicePort).map((split) => ({ ...backend, split })) : [backend]);
      if (outcomes.length > MAX_CASES) return [refused(key, route, TOO_MANY)];
    }
    return outcomes.map((outcome) => {
      const leaves = leavesOf(outcome.backends);
      if (leaves.length > MAX_LEAVES) return { ...refused(key, route, TOO_WIDE), conditions: outcome.conditions };
      const fault = outcome.backends.find(({ split }) => split?.obstacle !== undefined)?.split?.obstacle;
      return {
        key,
        index: 0,
        conditions: outcome.conditions,
        origin,
        target: outcome.backends,
        leaves,
        ...(fault === undefined ? {} : { obstacle: fault }),
      };
    });
  }
}

/** Of each service port that is split, those to which its calls go on by routes of theirs. */
function splitsBehind(servicePorts: MeshConfig["servicePorts"]): Map<string, ReadonlySet<string>> {
  const behind = new Map<string, ReadonlySet<string>>();
  for (const [key, { routes }] of Object.entries(servicePorts)) {
    const goingOn = (routes ?? []).flatMap(({ backends }) =>
      backends.filter(({ routed, weight, servicePort }) => routed === true && weight > 0 && servicePort !== key),
    );
    if (routes !== undefined) behind.set(key, new Set(goingOn.map(({ servicePort }) => servicePort)));
  }
  return behind;
}

/**
 * Each outcome with each case of one more backend, but for those that always come to an earlier one; no more than one
 * beyond those that may be.
 */
function combined(outcomes: readonly Outcome[], cases: readonly CaseBackend[]): Outcome[] {
  const found: Outcome[] = [];
  for (const outcome of outcomes)
    for (const backend of cases) {
      const conditions = new Set([...outcome.conditions, ...(backend.split?.conditions ?? [])]);
      if (found.some((earlier) => earlier.conditions.every((each) => conditions.has(each)))) continue;
      found.push({ conditions: [...conditions], backends: [...outcome.backends, backend] });
      if (found.length > MAX_CASES) return found;
    }
  return found;
}

function leavesOf(backends: readonly CaseBackend[]): string[] {
  return [...new Set(backends.flatMap(({ key, split }) => split?.leaves ?? [key]))];
}

/** Without matches it holds for every call. */
function conditionsOf({ matches, origin }: Route): RouteCondition[] {
  return matches.length === 0 ? [] : [{ matches, origin }];
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

function refused(key: string, route: Route, why: string): Case {
  const conditions = conditionsOf(route);
  return { key, index: 0, conditions, origin: route.origin, target: [], leaves: [], obstacle: why };
}
