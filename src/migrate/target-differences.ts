/** What is different for access control by TrafficTargets. */
import {
  type HTTPRouteGroup,
  type HttpRouteMatch,
  keyOf,
  refOf,
  type Service,
  type TrafficTarget,
} from "../model/objects.ts";
import type { Topology, TopologyService } from "../topology/topology.ts";
import { type Difference, difference } from "./difference.ts";
import type { OriginalSettings } from "./original-settings.ts";
import { trafficTypeOf, wasLeftOut } from "./service-differences.ts";

/** The only versions that the original reads. */
const READ = { TrafficTarget: "v1alpha2", HTTPRouteGroup: "v1alpha3", TCPRoute: "v1alpha3" } as const;

/** With the Services that have Pods of its destination among their endpoints. */
interface Attached {
  readonly target: TrafficTarget;
  readonly services: readonly TopologyService[];
}

/** Without access control the original does not look at targets, and neither does Tulle. */
export function targetDifferences(topology: Topology, settings: OriginalSettings): Difference[] {
  if (!settings.acl) return [];
  const attached = topology.targets.map((target): Attached => {
    const { destination, meta } = target;
    const identity = `${destination.namespace ?? meta.namespace}/${destination.name}`;
    const serves = ({ ports }: TopologyService) =>
      ports.some(({ endpoints }) => endpoints.some((endpoint) => endpoint.identity === identity));
    return { target, services: [...topology.services.values()].filter(serves) };
  });
  return [
    ...attached.flatMap((each) => ofTarget(each, topology, settings)),
    ...ofServices(attached, settings),
    ...ofVersions(topology),
  ];
}

function ofTarget(attached: Attached, topology: Topology, settings: OriginalSettings): Difference[] {
  const { target, services } = attached;
  // Not read at all so far, so nothing about it is different.
  if (target.version !== READ.TrafficTarget) return [];
  const served = services.filter(({ service }) => !wasLeftOut(service, settings));
  const types = served.map(({ service }) => ({ service, type: trafficTypeOf(service, settings) }));
  const ofType = (wanted: string) => types.filter(({ type }) => type === wanted).map(({ service }) => service);
  return [
    ...ofRules(target, ofType("http"), ofType("tcp")),
    ...ofPort(target, served),
    ...(served.length === 0 && services.length > 0 ? [] : ofSubjects(target)),
    ...ofMatches(target, topology),
  ];
}

function ofRules(target: TrafficTarget, http: readonly Service[], tcp: readonly Service[]): Difference[] {
  const rules = target.rules ?? [];
  const object = refOf(target);
  if (rules.length === 0) return [difference("TargetWithoutRules", object, "spec.rules", "")];
  const kinds = new Set(rules.map(({ kind }) => kind));
  const onlyTcp = kinds.size === 1 && kinds.has("TCPRoute");
  return [
    ...(onlyTcp && http.length > 0 ? [difference("HttpNeedsHttpRoute", object, "spec.rules", forServices(http))] : []),
    ...(kinds.has("TCPRoute") && tcp.length > 0
      ? [difference("TcpSourcesChecked", object, "spec.sources", forServices(tcp))]
      : []),
  ];
}

function ofPort(target: TrafficTarget, services: readonly TopologyService[]): Difference[] {
  const { port } = target.destination;
  if (port === undefined || port === 0) return [];
  const touched = services.filter(
    ({ service }) => service.ports.length > 1 || service.ports.some(({ targetPort }) => typeof targetPort === "string"),
  );
  if (touched.length === 0) return [];
  const detail = `${forServices(touched.map(({ service }) => service))}, port ${port}`;
  return [difference("PortOfPod", refOf(target), "spec.destination.port", detail)];
}

function ofSubjects(target: TrafficTarget): Difference[] {
  const wrong = (kind: string, field: string) =>
    kind === "ServiceAccount" ? [] : [difference("SubjectKindChecked", refOf(target), field, `"${kind}"`)];
  return [
    ...wrong(target.destination.kind, "spec.destination.kind"),
    ...target.sources.flatMap(({ kind }, index) => wrong(kind, `spec.sources[${index}].kind`)),
  ];
}

function ofMatches(target: TrafficTarget, topology: Topology): Difference[] {
  const used = (target.rules ?? []).flatMap(({ kind, name, matches: names = [] }) => {
    const group = topology.httpRouteGroups.get(`${target.meta.namespace}/${name}`);
    if (kind !== "HTTPRouteGroup" || group === undefined) return [];
    return group.matches
      .map((match, index) => ({ group, match, index }))
      .filter(({ match }) => names.length === 0 || names.includes(match.name));
  });
  const others = used.filter(({ match }) => !matchesAll(match)).length > 0;
  const by = `for TrafficTarget ${keyOf(target.meta)}`;
  return used.flatMap(({ group, match, index }) => [
    ...(others && matchesAll(match) && (match.methods ?? []).includes("*")
      ? [difference("MatchAllMethods", refOf(group), `spec.matches[${index}]`, `match "${match.name}" ${by}`)]
      : []),
    ...ofPath(group, match, index, by),
  ]);
}

function matchesAll({ pathRegex = "", methods = [], headers = [] }: HttpRouteMatch): boolean {
  return pathRegex === "" && headers.length === 0 && (methods.length === 0 || methods.includes("*"));
}

function ofPath(group: HTTPRouteGroup, { pathRegex = "" }: HttpRouteMatch, index: number, by: string): Difference[] {
  const field = `spec.matches[${index}].pathRegex`;
  if (pathRegex === "/" || pathRegex.includes("`") || /^\/?\^/.test(pathRegex))
    return [difference("PathNowMatches", refOf(group), field, `"${pathRegex}" ${by}`)];
  // Within parentheses the slash stands before all of them, as it is meant.
  if (/\|/.test(pathRegex.replace(/\([^()]*\)|\[[^\]]*\]|\\./g, "")))
    return [difference("PathAlternatives", refOf(group), field, `"${pathRegex}" ${by}`)];
  return [];
}

/** Targets that decided against each other for a Service. */
function ofServices(attached: readonly Attached[], settings: OriginalSettings): Difference[] {
  const byService = new Map<string, { service: Service; targets: TrafficTarget[] }>();
  for (const { target, services } of attached)
    for (const { key, service } of services) {
      const known = byService.get(key) ?? { service, targets: [] };
      known.targets.push(target);
      byService.set(key, known);
    }
  return [...byService.values()].flatMap(({ service, targets }) => {
    const read = targets.filter(({ version }) => version === READ.TrafficTarget);
    if (read.length < 2 || trafficTypeOf(service, settings) === "udp") return [];
    const names = read.map(({ meta }) => keyOf(meta)).sort();
    return [difference("TargetsAddUp", refOf(service), "", `TrafficTargets ${names.join(", ")}`)];
  });
}

function ofVersions({ targets, httpRouteGroups, tcpRoutes, udpRoutes }: Topology): Difference[] {
  const objects = [...targets, ...httpRouteGroups.values(), ...tcpRoutes.values(), ...udpRoutes.values()];
  return objects.flatMap((object) => {
    const read: string | undefined = object.kind === "UDPRoute" ? undefined : READ[object.kind];
    if (object.version === read) return [];
    const detail = read === undefined ? "the kind itself was not read" : `${object.version}, where ${read} was read`;
    return [difference("VersionNowRead", refOf(object), "apiVersion", detail)];
  });
}

function forServices(services: readonly Service[]): string {
  const keys = services.map(({ meta }) => keyOf(meta)).sort();
  const shown = keys.slice(0, 3).join(", ");
  return `for Service ${keys.length > 3 ? `${shown} and ${keys.length - 3} more` : shown}`;
}
