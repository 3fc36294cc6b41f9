/**
 * Routers, services and middlewares of HTTP. Of the routers of a service port the first that fits decides, by priority:
 * its splits, each followed by one that refuses who may not make the call; then its targets, or the Service itself; and
 * under access control one that refuses what is left.
 */
import { type Middlewares, type ServicePort, splitAddressPort } from "../config/mesh-config.ts";
import { inKeyOrder } from "../model/in-key-order.ts";
import { breakerText } from "./breaker-text.ts";
import { ALWAYS, allOf, anyOf, type Condition, matcher, NEVER } from "./condition.ts";
import { type Taken, takenBy } from "./http-match-condition.ts";
import { Names } from "./names.ts";
import type { Case } from "./route-cases.ts";
import { ServiceBook } from "./service-book.ts";
import type {
  HttpMiddleware,
  HttpRouter,
  HttpServers,
  HttpTransport,
  TraefikConfiguration,
} from "./traefik-configuration.ts";
import type { Translation } from "./translation.ts";

const BLOCK_ALL = { service: "block-all-service", middlewares: ["block-all-middleware"] };
const BLOCK_ALL_PRIORITY = 1;
/** Classes of priority, as the original has them. */
const SERVICE = 1_000;
const TARGET = 2_000;
const SPLIT = 4_000;
const CLASS_SIZE = 1_000;

interface Draft {
  readonly name: string;
  readonly rule: Condition;
  readonly priority: number;
  readonly service: string;
  readonly middlewares: readonly string[];
}

export class HttpPart {
  readonly #mesh: Translation;
  readonly #book: ServiceBook<HttpServers>;
  readonly #names = new Names();
  readonly #middlewareNames = new Names();
  readonly #transportNames = new Names();
  readonly #routers = new Map<string, HttpRouter>();
  readonly #middlewares = new Map<string, HttpMiddleware>();
  readonly #transports = new Map<string, HttpTransport>();

  constructor(mesh: Translation) {
    this.#mesh = mesh;
    this.#book = new ServiceBook(mesh.config.servicePorts, mesh.access, "http", (servicePort, endpoints) =>
      this.#servers(servicePort, endpoints),
    );
  }

  /** @param number of its entry point */
  add(key: string, servicePort: ServicePort, number: number): void {
    const host = this.#host(servicePort);
    const middlewares = this.#middlewaresOf(servicePort);
    const drafts = [...this.#caseRouters(key, servicePort, host, middlewares)];
    const own = this.#mesh.cases.of(key).some(({ target }) => target === "own");
    const open = this.#mesh.access === undefined;
    if (own && !open) drafts.push(...this.#targetRouters(key, servicePort, host, middlewares));
    // Without endpoints there is nothing to protect: everybody is told that there is none.
    const plain = open || (own && Object.keys(servicePort.endpoints).length === 0);
    const { namespace, service, port } = servicePort;
    drafts.push({
      name: this.#names.of("", [namespace, service, port]),
      rule: host,
      ...(plain
        ? { priority: SERVICE, service: this.#book.own(servicePort), middlewares }
        : { priority: BLOCK_ALL_PRIORITY, ...BLOCK_ALL }),
    });
    this.#mesh.reportApart(servicePort, drafts.filter((draft) => draft.middlewares === middlewares).length);
    for (const { name, rule, priority, service: to, middlewares: through } of drafts)
      this.#routers.set(name, {
        entryPoints: [`http-${number}`],
        rule: rule.text,
        priority,
        ...(through.length === 0 ? {} : { middlewares: through }),
        service: to,
      });
  }

  finish(): TraefikConfiguration["http"] {
    this.#routers.set("readiness", { entryPoints: ["readiness"], rule: "Path(`/ping`)", service: "readiness" });
    this.#middlewares.set("block-all-middleware", { ipAllowList: { sourceRange: ["255.255.255.255"] } });
    const services = {
      readiness: { loadBalancer: { servers: [{ url: "http://127.0.0.1:8080" }], passHostHeader: true } },
      "block-all-service": { loadBalancer: { servers: [], passHostHeader: false } },
      ...this.#book.services,
    };
    return {
      routers: Object.fromEntries(inKeyOrder(this.#routers)),
      services: Object.fromEntries(inKeyOrder(Object.entries(services))),
      middlewares: Object.fromEntries(inKeyOrder(this.#middlewares)),
      ...(this.#transports.size === 0 ? {} : { serversTransports: Object.fromEntries(inKeyOrder(this.#transports)) }),
    };
  }

  /** The Service's names, and its own addresses. */
  #host({ namespace, service }: ServicePort): Condition {
    const { config, service: find } = this.#mesh;
    const names = config.meshDomains.map((domain) => `${service}.${namespace}.${domain}`);
    const addresses = find(`${namespace}/${service}`)?.clusterIPs ?? [];
    return anyOf([...names, ...addresses].map((host) => matcher("Host", host)));
  }

  *#caseRouters(key: string, servicePort: ServicePort, host: Condition, middlewares: readonly string[]) {
    const cases = this.#mesh.cases.of(key);
    for (const each of cases) {
      // What is left goes to the Service itself: to the routers of its targets.
      if (each.target === "own") continue;
      const { certain, ...taken } = this.#taken(each);
      // Where nobody is kept out, what cannot be said goes on to the Service itself; else it is refused.
      const possible = this.#mesh.access === undefined ? certain : taken.possible;
      if (possible === NEVER) continue;
      const priority = SPLIT + 2 * (cases.length - 1 - each.index);
      const variant = each.index === 0 ? "" : `-${each.index + 1}`;
      const parts = [servicePort.namespace, servicePort.service, each.origin.name, servicePort.port];
      const blockName = this.#names.of(`traffic-split-block${variant}`, parts);
      const block = { name: blockName, rule: allOf([host, possible]), priority, ...BLOCK_ALL };
      if (each.obstacle !== undefined) {
        this.#mesh.reportObstacle(each.origin, each.obstacle);
        yield block;
        continue;
      }
      const access = this.#book.access(each, (leaf) => this.#mesh.reportStricter(each.origin, leaf));
      this.#mesh.reportBackends(each, servicePort);
      const name = this.#names.of(`traffic-split-direct${variant}`, parts);
      const allowed = allOf([host, certain, access]);
      if (allowed !== NEVER)
        yield { name, rule: allowed, priority: priority + 1, service: this.#book.ofCase(each), middlewares };
      // Who may not make a call that the split takes, or may take, does not come to the Service by its next router either.
      const takesAll = access === ALWAYS && possible === certain;
      if (!takesAll && each.index < cases.length - 1) yield block;
    }
  }

  #taken({ conditions }: Case): Taken {
    const taken = conditions.map(({ matches, origin }) =>
      takenBy(matches, ({ name = "" }, why) => this.#mesh.reportMatch(origin, name, why)),
    );
    const certain = allOf(taken.map((each) => each.certain));
    if (taken.every((each) => each.possible === each.certain)) return { certain, possible: certain };
    return { certain, possible: allOf(taken.map((each) => each.possible)) };
  }

  *#targetRouters(key: string, servicePort: ServicePort, host: Condition, middlewares: readonly string[]) {
    const openings = this.#mesh.access?.openings(servicePort, "http") ?? [];
    this.#mesh.reportEndpointsApart(key, openings);
    const { namespace, service, port } = servicePort;
    for (const [index, { key: target, rule, condition, endpoints }] of openings.entries())
      yield {
        name: this.#names.of(
          "traffic-target-direct",
          [namespace, service, rule.origin.name, port],
          [rule.origin.namespace],
        ),
        rule: allOf([host, condition]),
        priority: TARGET + Math.min(openings.length - 1 - index, CLASS_SIZE - 1),
        service: this.#book.ofTarget(servicePort, target, endpoints),
        middlewares,
      } satisfies Draft;
  }

  #middlewaresOf({ namespace, service, middlewares }: ServicePort): string[] {
    const { rateLimit, circuitBreaker, retry } = middlewares satisfies Middlewares;
    const names: string[] = [];
    const put = (suffix: string, middleware: HttpMiddleware) => {
      const name = this.#middlewareNames.of(suffix, [namespace, service]);
      this.#middlewares.set(name, middleware);
      names.push(name);
    };
    if (rateLimit !== undefined) put("rate-limit", { rateLimit });
    if (circuitBreaker !== undefined)
      put("circuit-breaker", { circuitBreaker: { expression: breakerText(circuitBreaker.expression) } });
    if (retry !== undefined) put("retry", { retry: { attempts: retry.attempts } });
    return names;
  }

  #servers(servicePort: ServicePort, endpoints: readonly string[]): HttpServers {
    const { scheme, balancing } = servicePort;
    const strategy = balancing?.algorithm === undefined ? undefined : STRATEGIES[balancing.algorithm];
    const transport = this.#transportOf(servicePort);
    return {
      loadBalancer: {
        ...(strategy === undefined ? {} : { strategy }),
        servers: endpoints.map((key) => ({ url: `${scheme}://${dialled(servicePort, key)}` })),
        passHostHeader: true,
        ...(transport === undefined ? {} : { serversTransport: transport }),
      },
    };
  }

  #transportOf({ namespace, service, tls, timeouts }: ServicePort): string | undefined {
    const { connectMs, tryMs } = timeouts ?? {};
    const forwardingTimeouts = {
      ...(connectMs === undefined ? {} : { dialTimeout: `${connectMs}ms` }),
      ...(tryMs === undefined ? {} : { responseHeaderTimeout: `${tryMs}ms` }),
    };
    const hasTimeouts = Object.keys(forwardingTimeouts).length > 0;
    if (tls === undefined && !hasTimeouts) return undefined;
    const name = this.#transportNames.of("", [namespace, service]);
    this.#transports.set(name, {
      maxIdleConnsPerHost: MAX_IDLE_CONNECTIONS,
      ...(tls === undefined ? {} : { serverName: tls.serverName }),
      ...(tls?.verify === false ? { insecureSkipVerify: true } : {}),
      ...(hasTimeouts ? { forwardingTimeouts } : {}),
    });
    return name;
  }
}

/** As of Services without a transport of their own; Traefik would keep two for this one, and open the others anew. */
const MAX_IDLE_CONNECTIONS = 200;
/** What Traefik has in place of each; what is absent is its round robin. */
const STRATEGIES = { leastRequests: "p2c", ewma: "leasttime", roundRobin: undefined } as const;

/** `address:port` to connect to. */
export function dialled({ endpoints }: ServicePort, key: string): string {
  const port = endpoints[key]?.dialPort;
  if (port === undefined) return key;
  return `${key.slice(0, key.length - String(splitAddressPort(key).port).length)}${port}`;
}
