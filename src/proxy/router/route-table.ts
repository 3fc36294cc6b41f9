/**
 * What a call means: the service ports that it passes, and the endpoints that it may reach. Everything that can be
 * worked out from the configuration alone is, when that arrives or at the first call that needs it; what is left for a
 * call is to match it, and without access control and routes there is nothing to match.
 *
 * Access comes before the split: a caller that may not reach one of the backends reaches none, and takes no turn.
 */
import { type Change, changedKeys, entryOf } from "../../config/changes.ts";
import {
  type AccessMode,
  type Backend,
  MAX_PATH,
  type MeshConfig,
  type ServicePort,
  type Workload,
} from "../../config/mesh-config.ts";
import type { Clock, Random } from "../../model/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import { type AccessDescription, describeAccess } from "./access-description.ts";
import { AccessRules } from "./access-rules.ts";
import { Call } from "./call.ts";
import { CallerTable } from "./caller-table.ts";
import type { CompiledRoute } from "./compiled-route.ts";
import { RegexPrograms } from "./regex-programs.ts";
import { type EntryContext, ServicePortEntry } from "./service-port-entry.ts";
import type { Caller, Decision, EndpointState, RequestView, RouteTable, ServicePortState } from "./types.ts";

const NO_ENDPOINTS: readonly EndpointState[] = [];

export interface RouteTableOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The node it runs on; absent: no endpoint is nearer than others. */
  readonly node?: string;
}

/** What an application of a configuration changed. */
export interface RouteChanges {
  readonly addedServicePorts: readonly ServicePortState[];
  readonly removedServicePorts: readonly ServicePortState[];
  readonly addedEndpoints: readonly EndpointState[];
  readonly removedEndpoints: readonly EndpointState[];
}

export function newDecision(): Decision {
  return {
    failure: "",
    path: [],
    endpoints: NO_ENDPOINTS,
    route: undefined,
    routes: [],
    prefixes: [],
    backends: [],
    changes: false,
    origin: undefined,
    wouldDeny: false,
  };
}

export class MeshRouteTable implements RouteTable {
  readonly #context: EntryContext;
  readonly #entries = new Map<string, ServicePortEntry>();
  readonly #callers = new CallerTable();
  readonly #rules: AccessRules;
  readonly #call = new Call();
  #mode: AccessMode = "off";
  #generation = 0;

  constructor({ clock, random, log, node }: RouteTableOptions) {
    const programs = new RegexPrograms(log);
    this.#context = { clock, random, log, programs, place: { node, zone: undefined } };
    this.#rules = new AccessRules(programs);
  }

  get generation(): number {
    return this.#generation;
  }

  servicePorts(): Iterable<ServicePortState> {
    return this.#entries.values();
  }

  servicePort(key: string): ServicePortState | undefined {
    return this.#entries.get(key);
  }

  caller(address: string): Caller {
    return this.#callers.lookUp(address);
  }

  pick(endpoints: readonly EndpointState[], tried?: readonly EndpointState[]): EndpointState | undefined {
    return endpoints[0]?.owner.balancer.pick(endpoints, tried);
  }

  routeHttp(entry: ServicePortState, caller: Caller, request: RequestView, into: Decision): void {
    this.#call.begin(caller, request);
    this.#decide(entry as ServicePortEntry, into);
  }

  routeFlow(entry: ServicePortState, caller: Caller, into: Decision): void {
    this.#call.begin(caller, undefined);
    this.#decide(entry as ServicePortEntry, into);
  }

  /**
   * The rules on a service port's own endpoints, and why each of them does not allow this call. It does not follow a
   * split: ask for each of its backends.
   * @param request absent: a flow
   */
  describeAccess(entry: ServicePortState, caller: Caller, request: RequestView | undefined): AccessDescription {
    this.#call.begin(caller, request);
    return describeAccess(entry as ServicePortEntry, this.#rules, this.#call);
  }

  /**
   * Puts a configuration in force. Of what is the same object as before nothing is looked at; states of service ports
   * and endpoints stay the same objects. Endpoints that are gone are told last, when the table is whole again.
   * @param changed since the one before; absent: anything may be another, and all of it is gone through
   */
  apply(config: MeshConfig, changed?: readonly Change[]): RouteChanges {
    const changes: NewChanges = {
      addedServicePorts: [],
      removedServicePorts: [],
      addedEndpoints: [],
      removedEndpoints: [],
    };
    this.#mode = config.accessControl;
    this.#callers.apply(config.workloads, changed);
    this.#rules.apply(config.accessRules, changed);
    if (this.#findPlace(config, changed)) for (const entry of this.#entries.values()) entry.place(this.#context.place);
    const updated: ServicePortEntry[] = [];
    for (const key of changedKeys(changed, "servicePorts", config.servicePorts, this.#entries.keys())) {
      const entry = this.#updateEntry(key, entryOf(config, "servicePorts", key) as ServicePort | undefined, changes);
      if (entry !== undefined) updated.push(entry);
    }
    // Where service ports come or go, routes of others may mean them.
    const same = changes.addedServicePorts.length === 0 && changes.removedServicePorts.length === 0;
    const find = ({ servicePort }: Backend) => this.#entries.get(servicePort);
    for (const entry of same ? updated : this.#entries.values()) for (const route of entry.routes) route.resolve(find);
    this.#generation++;
    for (const endpoint of changes.removedEndpoints) {
      for (const tell of endpoint.onRemoved.splice(0)) tell();
    }
    return changes;
  }

  /** @returns the entry, where something of it changed */
  #updateEntry(key: string, config: ServicePort | undefined, changes: NewChanges): ServicePortEntry | undefined {
    const known = this.#entries.get(key);
    if (config === undefined) {
      if (known === undefined) return undefined;
      this.#entries.delete(key);
      known.remove(this.#context.programs, changes);
      changes.removedServicePorts.push(known);
      return undefined;
    }
    if (known?.config === config) return undefined;
    const entry = known ?? new ServicePortEntry(key, config, this.#context);
    if (known === undefined) {
      this.#entries.set(key, entry);
      changes.addedServicePorts.push(entry);
    }
    entry.update(config, known === undefined, this.#context, changes);
    return entry;
  }

  /**
   * A Pod is not told its node's zone, but the configuration says it of others on that node.
   * @returns whether the zone is another one than before
   */
  #findPlace(config: MeshConfig, changed: readonly Change[] | undefined): boolean {
    const { node, zone } = this.#context.place;
    if (node === undefined) return false;
    const found = (changed === undefined ? zoneIn(config, node) : zoneAmong(config, changed, node)) ?? zone;
    if (found === zone) return false;
    this.#context.place = { node, zone: found };
    return true;
  }

  #decide(entry: ServicePortEntry, into: Decision): void {
    into.failure = "";
    into.path[0] = entry;
    into.endpoints = NO_ENDPOINTS;
    into.changes = false;
    into.origin = undefined;
    into.wouldDeny = false;
    if (this.#mode !== "off" && !this.#allows(entry)) {
      if (this.#mode === "on") {
        into.failure = this.#call.blockedByPath ? "AmbiguousPath" : "AccessDenied";
        into.route = undefined;
        cut(into, 1, 0, 0);
        return;
      }
      into.wouldDeny = true;
    }
    const last = this.#follow(entry, into);
    if (last !== undefined) this.#reach(last, into);
  }

  /** Follows routes to the service port that serves the call. @returns undefined where it does not come to one */
  #follow(entry: ServicePortEntry, into: Decision): ServicePortEntry | undefined {
    let last: ServicePortEntry | undefined;
    let hops = 1;
    let routes = 0;
    let backends = 0;
    let at = entry;
    for (;;) {
      if (at.routes.length === 0) {
        last = at;
        break;
      }
      const route = at.fittingRoute(this.#call);
      if (route === undefined) {
        into.failure = "NoRoute";
        break;
      }
      into.routes[routes] = route.source;
      into.prefixes[routes++] = route.fittedPrefix;
      into.changes ||= route.changes;
      into.origin = route.source.origin;
      if (route.redirects) break;
      const index = route.split.next();
      const target: ServicePortEntry | undefined = index < 0 || hops >= MAX_PATH ? undefined : route.targets[index];
      if (target === undefined) {
        into.failure = "NoEndpoint";
        break;
      }
      const backend = route.source.backends[index] as Backend;
      into.backends[backends++] = backend;
      if (target !== at) into.path[hops++] = target;
      if (target === at || backend.routed !== true) {
        last = target;
        break;
      }
      at = target;
    }
    cut(into, hops, routes, backends);
    into.route = into.routes[0];
    return last;
  }

  #reach(last: ServicePortEntry, into: Decision): void {
    if (this.#mode === "off") into.endpoints = last.endpoints;
    else {
      const view = last.view(this.#call.caller.identity, this.#rules);
      const reached = view.reached(this.#call);
      into.endpoints = this.#mode === "on" ? reached : last.endpoints;
      // A split decided after the rules did.
      if (into.path.length === 1 && view.origin !== undefined) into.origin = view.origin;
    }
    if (into.endpoints.length === 0) into.failure = "NoEndpoint";
  }

  /**
   * Whether the caller may make this call, wherever a split may send it. A service port without endpoints protects
   * nothing: its share is told that there is none.
   */
  #allows(entry: ServicePortEntry): boolean {
    const call = this.#call;
    if (entry.routes.length === 0) return this.#allowsOwn(entry);
    if (entry.allowedSerial === call.serial) return entry.allowed;
    entry.allowedSerial = call.serial;
    // What leads back here is judged here.
    entry.allowed = true;
    entry.allowed = this.#allowsRoute(entry, entry.fittingRoute(call));
    return entry.allowed;
  }

  #allowsRoute(entry: ServicePortEntry, route: CompiledRoute | undefined): boolean {
    if (route === undefined || route.redirects) return true;
    const { backends } = route.source;
    for (let index = 0; index < backends.length; index++) {
      const backend = backends[index] as Backend;
      const target = route.targets[index];
      if (backend.weight === 0 || target === undefined) continue;
      const follows = backend.routed === true && target !== entry;
      if (!(follows ? this.#allows(target) : this.#allowsOwn(target))) return false;
    }
    return true;
  }

  #allowsOwn(entry: ServicePortEntry): boolean {
    if (entry.endpoints.length === 0) return true;
    const view = entry.view(this.#call.caller.identity, this.#rules);
    if (view.reached(this.#call).length > 0) return true;
    this.#call.blockedByPath = view.blockedByPath;
    return false;
  }
}

/** Shortening a list may give its storage away, so it is done only where one call comes to less than the one before. */
function cut({ path, routes, prefixes, backends }: Decision, hops: number, routed: number, chosen: number): void {
  if (path.length !== hops) path.length = hops;
  if (routes.length !== routed) routes.length = prefixes.length = routed;
  if (backends.length !== chosen) backends.length = chosen;
}

interface NewChanges {
  readonly addedServicePorts: ServicePortState[];
  readonly removedServicePorts: ServicePortState[];
  readonly addedEndpoints: EndpointState[];
  readonly removedEndpoints: EndpointState[];
}

function zoneOf(node: string, placed: readonly { readonly node?: string; readonly zone?: string }[]) {
  return placed.find((each) => each.node === node && each.zone !== undefined)?.zone;
}

function zoneIn({ workloads, servicePorts }: MeshConfig, node: string): string | undefined {
  const zone = zoneOf(node, Object.values(workloads));
  if (zone !== undefined) return zone;
  for (const { endpoints } of Object.values(servicePorts)) {
    const found = zoneOf(node, Object.values(endpoints));
    if (found !== undefined) return found;
  }
  return undefined;
}

function zoneAmong(config: MeshConfig, changed: readonly Change[], node: string): string | undefined {
  for (const { section, key } of changed) {
    if (section !== "workloads" && section !== "servicePorts") continue;
    const entry = entryOf(config, section, key) as Workload | ServicePort | undefined;
    if (entry === undefined) continue;
    const found = zoneOf(node, "endpoints" in entry ? Object.values(entry.endpoints) : [entry]);
    if (found !== undefined) return found;
  }
  return undefined;
}
