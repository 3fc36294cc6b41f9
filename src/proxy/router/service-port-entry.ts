/** The route table's side of ServicePortState: what is in force for a service port, kept through updates. */
import {
  type Balancing,
  type Endpoint,
  type Middlewares,
  type ServicePort,
  splitAddressPort,
  type UpstreamTls,
} from "../../config/mesh-config.ts";
import type { Clock, Random } from "../../model/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Algorithm } from "../balancer/candidate.ts";
import { Ejection } from "../balancer/ejection.ts";
import type { Place } from "../balancer/nearness.ts";
import { PeakEwma } from "../balancer/peak-ewma.ts";
import { PowerOfTwo } from "../balancer/power-of-two.ts";
import { RoundRobin } from "../balancer/round-robin.ts";
import { UpstreamBalancer } from "../balancer/upstream-balancer.ts";
import { CircuitBreaker } from "../middleware/circuit-breaker/circuit-breaker.ts";
import { ConnectionLimit } from "../middleware/connection-limit/connection-limit.ts";
import { RateLimit } from "../middleware/rate-limit/rate-limit.ts";
import { RetryPolicy } from "../middleware/retry/retry-policy.ts";
import type { AccessRules } from "./access-rules.ts";
import { AccessView, type EndpointGroup, groupEndpoints } from "./access-view.ts";
import type { Call } from "./call.ts";
import { type CompiledRoute, compileRoutes } from "./compiled-route.ts";
import type { RegexPrograms } from "./regex-programs.ts";
import type { EndpointState, ServicePortState } from "./types.ts";

/** Identities that are told apart at a time, for each service port; more are worked out again. */
const MAX_VIEWS = 4096;

/** What service ports are made with. */
export interface EntryContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Of this proxy. */
  place: Place;
  readonly programs: RegexPrograms;
}

export class ServicePortEntry implements ServicePortState {
  readonly key: string;
  config: ServicePort;
  endpoints: readonly EndpointState[] = [];
  rateLimit: RateLimit | undefined;
  breaker: CircuitBreaker | undefined;
  retry: RetryPolicy | undefined;
  readonly connections = new ConnectionLimit();
  readonly balancer: UpstreamBalancer<EndpointState>;
  #algorithm: Algorithm<EndpointState>;
  removed = false;
  routes: readonly CompiledRoute[] = [];

  /** Worked out for the call of that serial. */
  allowedSerial = 0;
  allowed = false;
  #fittingSerial = 0;
  #fitting: CompiledRoute | undefined;

  readonly #views = new Map<string | undefined, AccessView>();
  #groups: readonly EndpointGroup[] | undefined;
  /** Of the rules that the views were made with. */
  #rulesGeneration = 0;
  #lastCaller: string | undefined;
  #lastView: AccessView | undefined;

  constructor(key: string, config: ServicePort, context: EntryContext) {
    this.key = key;
    this.config = config;
    this.#algorithm = newAlgorithm(config.balancing, context);
    const ejection = new Ejection<EndpointState>(context.clock, (endpoint, ms) =>
      context.log.warn("an endpoint that failed is left out for a while", {
        servicePort: key,
        endpoint: endpoint.key,
        seconds: ms / 1000,
      }),
    );
    this.balancer = new UpstreamBalancer(context, this.#algorithm, ejection);
  }

  /** The first route that fits the call. */
  fittingRoute(call: Call): CompiledRoute | undefined {
    if (this.#fittingSerial === call.serial) return this.#fitting;
    this.#fittingSerial = call.serial;
    this.#fitting = undefined;
    for (let index = 0; index < this.routes.length; index++) {
      const route = this.routes[index] as CompiledRoute;
      if (!route.fits(call)) continue;
      this.#fitting = route;
      break;
    }
    return this.#fitting;
  }

  view(caller: string | undefined, rules: AccessRules): AccessView {
    if (this.#rulesGeneration !== rules.generation) {
      this.#rulesGeneration = rules.generation;
      this.#forgetViews();
    }
    const last = this.#lastView;
    if (last !== undefined && this.#lastCaller === caller) return last;
    let view = this.#views.get(caller);
    if (view === undefined) {
      if (this.#views.size >= MAX_VIEWS) this.#views.clear();
      view = new AccessView(this.groups(), this.config.trafficType, rules, caller);
      this.#views.set(caller, view);
    }
    this.#lastCaller = caller;
    this.#lastView = view;
    return view;
  }

  /** The endpoints as access rules tell them apart. */
  groups(): readonly EndpointGroup[] {
    this.#groups ??= groupEndpoints(this.endpoints);
    return this.#groups;
  }

  #forgetViews(): void {
    this.#views.clear();
    this.#lastView = undefined;
  }

  /** @param first whether nothing of `config` is in force yet */
  update(config: ServicePort, first: boolean, context: EntryContext, changes: EndpointChanges): void {
    const before = this.config;
    this.config = config;
    if (config.balancing?.algorithm !== before.balancing?.algorithm)
      this.#algorithm = newAlgorithm(config.balancing, context);
    this.place(context.place);
    if (first || config.endpoints !== before.endpoints || !isSameTls(config.tls, before.tls))
      this.#updateEndpoints(config.endpoints, changes);
    if (first || config.routes !== before.routes)
      this.routes = compileRoutes(config.routes ?? [], this.routes, context.programs);
    if (first || config.middlewares !== before.middlewares) this.#updateMiddlewares(config.middlewares, context);
    this.connections.change(config.limits);
    this.balancer.ejection.change(this.endpoints, config.balancing?.ejection);
    this.#forgetViews();
  }

  /** Where the proxy is now, as far as it knows. */
  place(place: Place): void {
    this.balancer.change(this.#algorithm, this.config.balancing, place);
  }

  remove(programs: RegexPrograms, changes: EndpointChanges): void {
    this.removed = true;
    this.#updateEndpoints({}, changes);
    this.routes = compileRoutes([], this.routes, programs);
    this.#forgetViews();
  }

  #updateEndpoints(configs: Readonly<Record<string, Endpoint>>, changes: EndpointChanges): void {
    this.#groups = undefined;
    const { tls } = this.config;
    const added: EndpointState[] = [];
    const before = new Map(this.endpoints.map((endpoint) => [endpoint.key, endpoint]));
    this.endpoints = Object.keys(configs)
      .sort()
      .map((key) => {
        const config = configs[key] as Endpoint;
        const kept = before.get(key);
        // Another pod at an address that was given up is another endpoint: connections to the old one are not its.
        if (kept === undefined || !isSameEndpoint(kept.config, config) || !isSameTls(kept.tls, tls)) {
          const endpoint = newEndpoint(key, config, this);
          added.push(endpoint);
          return endpoint;
        }
        before.delete(key);
        kept.config = config;
        return kept;
      });
    changes.addedEndpoints.push(...added);
    // Where all are new, none can spare the others anything.
    if (added.length < this.endpoints.length) for (const endpoint of added) this.balancer.warmUp(endpoint);
    for (const endpoint of before.values()) {
      endpoint.removed = true;
      changes.removedEndpoints.push(endpoint);
    }
  }

  #updateMiddlewares(middlewares: Middlewares, { clock, random }: EntryContext): void {
    const { rateLimit, circuitBreaker, retry } = middlewares;
    if (retry === undefined) this.retry = undefined;
    else if (this.retry === undefined) this.retry = new RetryPolicy(retry);
    else this.retry.change(retry);
    if (rateLimit === undefined) this.rateLimit = undefined;
    else if (this.rateLimit === undefined) this.rateLimit = new RateLimit(rateLimit, clock);
    else this.rateLimit.change(rateLimit);
    if (circuitBreaker === undefined) this.breaker = undefined;
    else if (JSON.stringify(this.breaker?.expression) !== JSON.stringify(circuitBreaker.expression))
      this.breaker = new CircuitBreaker(circuitBreaker.expression, clock, random);
  }
}

function newAlgorithm(balancing: Balancing | undefined, { clock, random }: EntryContext): Algorithm<EndpointState> {
  switch (balancing?.algorithm) {
    case "ewma":
      return new PeakEwma(clock, random);
    case "roundRobin":
      return new RoundRobin(random);
    default:
      return new PowerOfTwo(random);
  }
}

export interface EndpointChanges {
  readonly addedEndpoints: EndpointState[];
  readonly removedEndpoints: EndpointState[];
}

function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.pod === b.pod && a.identity === b.identity && a.dialPort === b.dialPort;
}

function isSameTls(a: UpstreamTls | undefined, b: UpstreamTls | undefined): boolean {
  return a?.verify === b?.verify && a?.serverName === b?.serverName;
}

function newEndpoint(key: string, config: Endpoint, owner: ServicePortState): EndpointState {
  const { address, port } = splitAddressPort(key);
  return {
    key,
    address,
    port,
    dialPort: config.dialPort ?? port,
    config,
    tls: owner.config.tls,
    owner,
    outstanding: 0,
    lastPick: 0,
    removed: false,
    ejected: false,
    warmSince: -1,
    failures: 0,
    ejections: 0,
    ejectedUntil: 0,
    latencyMs: 0,
    latencyAt: 0,
    onRemoved: [],
  };
}
