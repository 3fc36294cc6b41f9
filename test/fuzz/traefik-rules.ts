/**
 * Traefik's routers as Traefik reads them: its rule language, priorities and weighted services, written from its
 * documentation. What a call comes to, without running Traefik.
 */
import { RE2JS } from "re2js";
import type { TraefikConfiguration } from "../../src/traefik/traefik-configuration.ts";

/** A call at an entry point; without path: a TCP connection. */
export interface TraefikCall {
  readonly from: string;
  readonly host?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

/** "refused" by a middleware, "none" where no router fits, or `address port` of the servers that may get it. */
export type TraefikOutcome = "refused" | "none" | readonly string[];

type Routers = Readonly<Record<string, Router>>;
interface Router {
  readonly entryPoints: readonly string[];
  readonly rule: string;
  readonly priority?: number;
  readonly middlewares?: readonly string[];
  readonly service: string;
}
type Services = TraefikConfiguration["http"]["services"] | NonNullable<TraefikConfiguration["tcp"]>["services"];

export class TraefikRules {
  readonly #configuration: TraefikConfiguration;
  readonly #parsed = new Map<string, Predicate>();

  constructor(configuration: TraefikConfiguration) {
    this.#configuration = configuration;
  }

  outcome(entryPoint: string, call: TraefikCall): TraefikOutcome {
    const { http, tcp } = this.#configuration;
    const part = call.path === undefined ? tcp : http;
    const routers = (part?.routers ?? {}) as Routers;
    const fitting = Object.values(routers).filter(
      ({ entryPoints, rule }) => entryPoints.includes(entryPoint) && this.#predicate(rule)(call),
    );
    const highest = Math.max(...fitting.map(({ priority = 0 }) => priority));
    const [first, ...others] = fitting.filter(({ priority = 0 }) => priority === highest);
    if (first === undefined) return "none";
    // Which of two wins would be chance.
    if (others.length > 0) throw new Error(`routers of one priority: ${JSON.stringify([first, ...others])}`);
    if (first.middlewares?.includes("block-all-middleware") === true) return "refused";
    if (call.path === undefined && first.service === "block-all-service") return "refused";
    return [...new Set(this.#servers(part?.services ?? {}, first.service))].sort();
  }

  #predicate(rule: string): Predicate {
    const known = this.#parsed.get(rule) ?? new RuleParser(rule).whole();
    this.#parsed.set(rule, known);
    return known;
  }

  #servers(services: Services, name: string): string[] {
    const service = services[name];
    if (service === undefined) throw new Error(`no service ${name}`);
    if ("weighted" in service)
      return service.weighted.services.flatMap((child) => {
        if (!Number.isInteger(child.weight) || child.weight < 1) throw new Error(`weight ${child.weight}`);
        return this.#servers(services, child.name);
      });
    return service.loadBalancer.servers.map((server) => {
      const place = "url" in server ? server.url.replace(/^[a-z0-9]+:\/\//, "") : server.address;
      const colon = place.lastIndexOf(":");
      return `${place.slice(0, colon).replace(/^\[|\]$/g, "")} ${place.slice(colon + 1)}`;
    });
  }
}

type Predicate = (call: TraefikCall) => boolean;

const MATCHERS: Readonly<Record<string, (first: string, second: string) => Predicate>> = {
  // Without the port.
  Host: (host) => (call) => call.host?.replace(/:\d+$/, "") === host,
  HostSNI: (name) => () => name === "*",
  ClientIP: (address) => (call) => call.from === address,
  Method: (method) => (call) => call.method === method,
  PathRegexp: (pattern) => {
    const program = RE2JS.compile(pattern);
    return ({ path = "" }) => program.matcher(path).find();
  },
  HeaderRegexp: (name, pattern) => {
    const program = RE2JS.compile(pattern);
    return ({ headers = {} }) => headers[name] !== undefined && program.matcher(headers[name] as string).find();
  },
};

const TOKEN = /\s*(?:(?<name>[A-Za-z]+)\(|(?<sign>&&|\|\||[!(),])|`(?<raw>[^`]*)`)/y;

/** `!` binds tighter than `&&`, that than `||`, as in Go. */
class RuleParser {
  readonly #rule: string;
  #at = 0;

  constructor(rule: string) {
    this.#rule = rule;
  }

  whole(): Predicate {
    const found = this.#any();
    if (this.#at !== this.#rule.length) throw new Error(`rule ends at ${this.#at}: ${this.#rule}`);
    return found;
  }

  #any(): Predicate {
    const parts = [this.#all()];
    while (this.#take("||")) parts.push(this.#all());
    return (call) => parts.some((each) => each(call));
  }

  #all(): Predicate {
    const parts = [this.#one()];
    while (this.#take("&&")) parts.push(this.#one());
    return (call) => parts.every((each) => each(call));
  }

  #one(): Predicate {
    if (this.#take("!")) {
      const negated = this.#one();
      return (call) => !negated(call);
    }
    if (this.#take("(")) {
      const inner = this.#any();
      this.#expect(")");
      return inner;
    }
    const { name = "" } = this.#next();
    const values: string[] = [];
    do values.push(this.#next().raw ?? "");
    while (this.#take(","));
    this.#expect(")");
    const make = MATCHERS[name];
    // An empty argument makes Traefik refuse the router.
    if (make === undefined || values.some((value) => value === ""))
      throw new Error(`${name}(${values}): ${this.#rule}`);
    return make(values[0] as string, values[1] ?? "");
  }

  #take(sign: string): boolean {
    const at = this.#at;
    if (this.#at < this.#rule.length && this.#next().sign === sign) return true;
    this.#at = at;
    return false;
  }

  #expect(sign: string): void {
    if (!this.#take(sign)) throw new Error(`no ${sign} at ${this.#at}: ${this.#rule}`);
  }

  #next(): { name?: string; sign?: string; raw?: string } {
    TOKEN.lastIndex = this.#at;
    const groups = TOKEN.exec(this.#rule)?.groups;
    if (groups === undefined) throw new Error(`nothing that is known at ${this.#at}: ${this.#rule}`);
    this.#at = TOKEN.lastIndex;
    return groups;
  }
}
