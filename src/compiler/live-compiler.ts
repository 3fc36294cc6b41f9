/**
 * What `compile` makes of a topology, kept while the objects change: the same passes, run again for what a change can
 * concern, and the result written into the configuration in place.
 *
 * - A Service: when it, its endpoints or its place changed.
 * - The splits of a namespace, together: when one of them changed, a group there, or of a Service there what splits look
 *   at (that it is served, its ports, whether they have endpoints). No split reaches out of its namespace.
 * - A target: when it changed, or an identity, group or route that it names.
 */
import { type Change, ConfigWriter } from "../config/changes.ts";
import type { MeshConfig, Route, ServicePort } from "../config/mesh-config.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { ObjectRef, TrafficSplit, TrafficTarget } from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";
import { byAge, type TopologyOptions } from "../topology/build-topology.ts";
import { LiveTopology, type TopologyChanges } from "../topology/live-topology.ts";
import { ReadIndex } from "../topology/read-index.ts";
import type { TopologyService } from "../topology/topology.ts";
import { accessRule, reportNobodys, restingPortsOf, servedPlaces } from "./access-pass.ts";
import { type Compiled, type CompileOptions, newDraft } from "./compile.ts";
import { PortCounts } from "./port-counts.ts";
import { ProblemBook } from "./problem-book.ts";
import { RouteMatches } from "./route-matches.ts";
import { type Placement, reportUnserved, type ServiceRouters, serviceRouters } from "./service-pass.ts";
import { splitRoutes } from "./split-pass.ts";

export type LiveCompilerOptions = Omit<CompileOptions, "placement"> & TopologyOptions;

export interface LiveCompiled extends Compiled {
  /** What is another than after the update before. */
  readonly changes: readonly Change[];
}

/** What an update has to do after the Services. */
interface Work {
  readonly targets: Set<string>;
  readonly splitNamespaces: Set<string>;
  /** Services of which it must be said anew whether anybody serves. */
  readonly services: Set<string>;
}

export class LiveCompiler {
  readonly #options: LiveCompilerOptions;
  readonly #topology: LiveTopology;
  readonly #writer: ConfigWriter;
  readonly #problems = new ProblemBook();
  readonly #matches = new RouteMatches();
  /** What the mesh serves; `topology` is what it was worked out from. */
  readonly #routers = new Map<string, ServiceRouters>();
  readonly #resolved = new Map<string, TopologyService>();
  /** By namespace. */
  readonly #splits = new Map<string, Map<string, TrafficSplit>>();
  /** By namespace, the routes of service ports. */
  readonly #routes = new Map<string, ReadonlyMap<string, Route[]>>();
  /** Of identities, where their Pods serve; of namespaces, where Pods would. */
  readonly #podPorts = new PortCounts();
  readonly #restingPorts = new PortCounts();
  readonly #targetReads = new ReadIndex();

  constructor(options: LiveCompilerOptions) {
    this.#options = options;
    this.#topology = new LiveTopology(options);
    this.#writer = new ConfigWriter(newDraft(options));
  }

  /**
   * @param changed refs of all that was put into the state or removed since the last time
   * @param moved keys of Services that are placed elsewhere than before
   * @returns the configuration, which the next update changes in place
   */
  update(
    state: ClusterStateView,
    changed: Iterable<ObjectRef>,
    placement: Placement,
    moved: Iterable<string> = [],
  ): LiveCompiled {
    const found = this.#topology.update(state, changed, (unit, problems) => this.#problems.set(unit, problems));
    const work: Work = { targets: new Set(found.targets), splitNamespaces: new Set(), services: new Set() };
    for (const key of new Set([...found.services, ...moved])) this.#updateService(key, placement, work);
    this.#updateGroups(found, work);
    this.#noteSplits(found, work);
    for (const namespace of work.splitNamespaces) this.#updateSplits(namespace, work);
    for (const key of work.services) this.#tellUnserved(key);
    this.#noteReaders(found, work);
    for (const key of work.targets) this.#updateTarget(key);
    for (const address of found.addresses)
      this.#writer.put("workloads", address, this.#topology.workloads.get(address));
    return { config: this.#writer.config, problems: this.#problems.all(), changes: this.#writer.take() };
  }

  get #config(): MeshConfig {
    return this.#writer.config;
  }

  #updateService(key: string, placement: Placement, work: Work): void {
    const each = this.#topology.services.get(key);
    const problems: Problem[] = [];
    const before = this.#routers.get(key);
    const after =
      each === undefined ? undefined : serviceRouters(each, this.#options.defaultTrafficType, placement, problems);
    this.#problems.set(`routers ${key}`, problems);
    this.#countPorts(this.#resolved.get(key), each, work);
    const shape = shapeOf(this.#resolved.has(key), before);
    if (each === undefined) this.#resolved.delete(key);
    else this.#resolved.set(key, each);
    if (after === undefined) this.#routers.delete(key);
    else this.#routers.set(key, after);
    this.#write(key, before, after);
    this.#tellNobodys(key, each);
    work.services.add(key);
    if (shape !== shapeOf(each !== undefined, after)) work.splitNamespaces.add(namespaceOf(key));
  }

  #write(key: string, before: ServiceRouters | undefined, after: ServiceRouters | undefined): void {
    this.#writer.put("names", key, after?.addresses);
    for (const [place, { servicePort }] of Object.entries(before?.entrypoints ?? {})) {
      // Another Service may have been given the place in this very update.
      const stands = this.#config.entrypoints[place]?.servicePort === servicePort;
      if (stands && after?.entrypoints[place] === undefined) this.#writer.put("entrypoints", place, undefined);
    }
    for (const [place, entrypoint] of Object.entries(after?.entrypoints ?? {}))
      this.#writer.put("entrypoints", place, entrypoint);
    for (const port of new Set([...Object.keys(before?.servicePorts ?? {}), ...Object.keys(after?.servicePorts ?? {})]))
      this.#writePort(port, after?.servicePorts[port]);
  }

  #writePort(key: string, port: ServicePort | undefined): void {
    const routes = this.#routes.get(namespaceOf(key))?.get(key);
    this.#writer.put("servicePorts", key, port === undefined || routes === undefined ? port : { ...port, routes });
  }

  #countPorts(before: TopologyService | undefined, after: TopologyService | undefined, work: Work): void {
    // What comes before what goes: a port that stays has not changed.
    if (after !== undefined) {
      for (const [identity, port] of servedPlaces(after)) this.#podPorts.add(identity, port, 1);
      for (const port of restingPortsOf(after)) this.#restingPorts.add(after.service.meta.namespace, port, 1);
    }
    if (before !== undefined) {
      for (const [identity, port] of servedPlaces(before)) this.#podPorts.add(identity, port, -1);
      for (const port of restingPortsOf(before)) this.#restingPorts.add(before.service.meta.namespace, port, -1);
    }
    for (const identity of this.#podPorts.takeChanged()) this.#addReaders(serves(identity), work);
    for (const namespace of this.#restingPorts.takeChanged()) this.#addReaders(rests(namespace), work);
  }

  #addReaders(name: string, work: Work): void {
    for (const target of this.#targetReads.of(name)) work.targets.add(target);
  }

  #updateGroups({ httpRouteGroups }: TopologyChanges, work: Work): void {
    for (const key of httpRouteGroups) {
      const group = this.#topology.httpRouteGroups.get(key);
      const problems: Problem[] = [];
      if (group === undefined) this.#matches.delete(key);
      else this.#matches.set(group, problems);
      this.#problems.set(`HTTPRouteGroup ${key}`, problems);
      work.splitNamespaces.add(namespaceOf(key));
    }
  }

  #noteSplits({ splits }: TopologyChanges, work: Work): void {
    for (const key of splits) {
      const namespace = namespaceOf(key);
      const split = this.#topology.splits.get(key);
      const known = this.#splits.get(namespace) ?? new Map<string, TrafficSplit>();
      this.#splits.set(namespace, known);
      if (split === undefined) known.delete(key);
      else known.set(key, split);
      work.splitNamespaces.add(namespace);
    }
  }

  #updateSplits(namespace: string, work: Work): void {
    const splits = this.#splits.get(namespace);
    const before = this.#routes.get(namespace);
    if (splits === undefined) return;
    const problems: Problem[] = [];
    const routes = splitRoutes(
      [...splits.values()].sort(byAge),
      {
        services: this.#topology.services,
        served: this.#routers,
        matches: this.#matches,
        servicePorts: this.#config.servicePorts,
      },
      problems,
    );
    this.#problems.set(`splits ${namespace}`, problems);
    this.#routes.set(namespace, routes);
    if (splits.size === 0) this.#splits.delete(namespace);
    if (routes.size === 0) this.#routes.delete(namespace);
    for (const port of new Set([...(before?.keys() ?? []), ...routes.keys()])) {
      const key = port.slice(0, port.lastIndexOf(":"));
      this.#writePort(port, this.#routers.get(key)?.servicePorts[port]);
      work.services.add(key);
    }
  }

  #tellUnserved(key: string): void {
    const problems: Problem[] = [];
    const routers = this.#routers.get(key);
    const each = this.#topology.services.get(key);
    if (each !== undefined && routers !== undefined) reportUnserved(each, routers, this.#config.servicePorts, problems);
    this.#problems.set(`unserved ${key}`, problems);
  }

  #tellNobodys(key: string, each: TopologyService | undefined): void {
    if (this.#options.accessControl === "off") return;
    const problems: Problem[] = [];
    if (each !== undefined) reportNobodys(each, problems);
    this.#problems.set(`nobodys ${key}`, problems);
  }

  #noteReaders({ identities, httpRouteGroups, tcpRoutes, udpRoutes }: TopologyChanges, work: Work): void {
    for (const identity of identities) this.#addReaders(runs(identity), work);
    for (const key of httpRouteGroups) this.#addReaders(route("HTTPRouteGroup", key), work);
    for (const key of tcpRoutes) this.#addReaders(route("TCPRoute", key), work);
    for (const key of udpRoutes) this.#addReaders(route("UDPRoute", key), work);
  }

  #updateTarget(key: string): void {
    const target = this.#topology.targets.get(key);
    this.#targetReads.set(key, target === undefined ? [] : readsOf(target));
    const problems: Problem[] = [];
    const { identities, within, tcpRoutes, udpRoutes } = this.#topology;
    const around = {
      identities,
      within,
      tcpRoutes,
      udpRoutes,
      matches: this.#matches,
      podPorts: (identity: string) => this.#podPorts.of(identity),
      restingPorts: (namespace: string) => this.#restingPorts.of(namespace) ?? NO_PORTS,
    };
    const rule = target === undefined ? undefined : accessRule(target, around, problems);
    this.#problems.set(`TrafficTarget ${key}`, problems);
    this.#writer.put("accessRules", key, this.#options.accessControl === "off" ? undefined : rule);
  }
}

const NO_PORTS: ReadonlySet<number> = new Set();

const namespaceOf = (key: string) => key.slice(0, key.indexOf("/"));

/** What splits see of a Service. */
function shapeOf(exists: boolean, routers: ServiceRouters | undefined): string {
  if (routers === undefined) return String(exists);
  const { trafficType, ports, servicePorts } = routers;
  const empty = Object.entries(servicePorts).filter(([, { endpoints }]) => Object.keys(endpoints).length === 0);
  return `${trafficType} ${ports.join()} ${empty.map(([key]) => key).join()}`;
}

const runs = (identity: string) => `runs ${identity}`;
const serves = (identity: string) => `serves ${identity}`;
const rests = (namespace: string) => `rests ${namespace}`;
const route = (kind: string, key: string) => `${kind} ${key}`;

/** All that its rule and its problems can depend on, besides itself. */
function readsOf({ meta, destination, sources, rules = [] }: TrafficTarget): string[] {
  const home = destination.namespace ?? meta.namespace;
  const served = `${home}/${destination.name}`;
  return [
    runs(served),
    serves(served),
    rests(home),
    ...sources.map(({ namespace, name }) => runs(`${namespace}/${name}`)),
    ...rules.map(({ kind, name }) => route(kind, `${meta.namespace}/${name}`)),
  ];
}
