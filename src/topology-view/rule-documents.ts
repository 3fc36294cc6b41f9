/** Routes that targets and splits name, in the form of the SMI version that Traefik Mesh read, v1alpha3. */
import type { HTTPRouteGroup, HttpRouteMatch, TargetRule, TCPRoute, UDPRoute } from "../model/objects.ts";
import type { Topology } from "../topology/topology.ts";

export interface MatchDocument {
  readonly name: string;
  readonly methods?: readonly string[];
  readonly pathRegex?: string;
  /** Objects of one key each. */
  readonly headers?: readonly Readonly<Record<string, string>>[];
}

interface RouteDocument<Kind extends string, Spec> {
  readonly kind: Kind;
  readonly apiVersion: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: Spec;
}

interface PortsSpec {
  readonly matches?: { readonly ports: readonly number[] };
}

export interface RuleDocument {
  readonly httpRouteGroup?: RouteDocument<"HTTPRouteGroup", { readonly matches: readonly MatchDocument[] }>;
  readonly tcpRoute?: RouteDocument<"TCPRoute", PortsSpec>;
  /** The original knew none. */
  readonly udpRoute?: RouteDocument<"UDPRoute", PortsSpec>;
  /** Of the group, those that the rule names; all where it names none. */
  readonly httpMatches?: readonly MatchDocument[];
}

type Routes = Pick<Topology, "httpRouteGroups" | "tcpRoutes" | "udpRoutes">;

/** @param namespace of who names them. Routes that are not there are left out: they are among its errors. */
export function ruleDocuments(rules: readonly TargetRule[], namespace: string, routes: Routes): RuleDocument[] {
  return rules.flatMap(({ kind, name, matches = [] }): RuleDocument[] => {
    const key = `${namespace}/${name}`;
    const group = kind === "HTTPRouteGroup" ? routes.httpRouteGroups.get(key) : undefined;
    if (group !== undefined) return [groupRule(group, matches)];
    const tcpRoute = kind === "TCPRoute" ? routes.tcpRoutes.get(key) : undefined;
    if (tcpRoute !== undefined) return [{ tcpRoute: portRoute("TCPRoute", tcpRoute) }];
    const udpRoute = kind === "UDPRoute" ? routes.udpRoutes.get(key) : undefined;
    return udpRoute === undefined ? [] : [{ udpRoute: portRoute("UDPRoute", udpRoute) }];
  });
}

function groupRule(group: HTTPRouteGroup, names: readonly string[]): RuleDocument {
  // Of several matches of one name, the first is meant.
  const first = group.matches.filter(
    ({ name }, index) => group.matches.findIndex((each) => each.name === name) === index,
  );
  const meant = names.length === 0 ? group.matches : first.filter(({ name }) => names.includes(name));
  return {
    httpRouteGroup: {
      kind: "HTTPRouteGroup",
      apiVersion: "specs.smi-spec.io/v1alpha3",
      metadata: { name: group.meta.name, namespace: group.meta.namespace },
      spec: { matches: group.matches.map(matchDocument) },
    },
    ...(meant.length === 0 ? {} : { httpMatches: meant.map(matchDocument) }),
  };
}

function matchDocument({ name, methods, pathRegex, headers }: HttpRouteMatch): MatchDocument {
  return {
    name,
    ...(methods === undefined ? {} : { methods }),
    ...(pathRegex === undefined ? {} : { pathRegex }),
    ...(headers === undefined ? {} : { headers: headers.map((header) => ({ [header.name]: header.value })) }),
  };
}

function portRoute<Kind extends "TCPRoute" | "UDPRoute">(
  kind: Kind,
  { meta, ports = [] }: TCPRoute | UDPRoute,
): RouteDocument<Kind, PortsSpec> {
  return {
    kind,
    // Ports came with v1alpha4, as UDPRoute did.
    apiVersion: `specs.smi-spec.io/${ports.length === 0 && kind === "TCPRoute" ? "v1alpha3" : "v1alpha4"}`,
    metadata: { name: meta.name, namespace: meta.namespace },
    spec: ports.length === 0 ? {} : { matches: { ports } },
  };
}
