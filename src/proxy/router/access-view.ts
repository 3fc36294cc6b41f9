/**
 * What one caller may reach of one service port. Built at the first call, it lives until the rules or the endpoints
 * change; what is left to do for a call is to match it against the rules that look at the request.
 */
import type { Origin, TrafficType } from "../../config/mesh-config.ts";
import { type AccessRules, type CompiledRule, fitsPort } from "./access-rules.ts";
import type { Call } from "./call.ts";
import type { HttpMatcher } from "./http-matcher.ts";
import type { EndpointState } from "./types.ts";

const NO_ENDPOINTS: readonly EndpointState[] = [];

/** Endpoints that the same rules open: of one identity and one pod port. */
export interface EndpointGroup {
  /** Undefined: nobody's, and no rule opens it. */
  readonly identity: string | undefined;
  readonly port: number;
  readonly endpoints: EndpointState[];
}

export function groupEndpoints(endpoints: readonly EndpointState[]): readonly EndpointGroup[] {
  const groups = new Map<string, EndpointGroup>();
  for (const endpoint of endpoints) {
    const { identity } = endpoint.config;
    const key = `${endpoint.port} ${identity ?? ""}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { identity, port: endpoint.port, endpoints: [endpoint] });
    else group.endpoints.push(endpoint);
  }
  return [...groups.values()];
}

/** A group that some requests reach. */
interface ConditionalGroup {
  readonly endpoints: readonly EndpointState[];
  readonly matchers: readonly HttpMatcher[];
  /** Whose each matcher is. */
  readonly origins: readonly Origin[];
}

export class AccessView {
  #openToHttp: readonly EndpointState[] = NO_ENDPOINTS;
  #httpOrigin: Origin | undefined;
  readonly #conditional: ConditionalGroup[] = [];
  #openToFlows: readonly EndpointState[] = NO_ENDPOINTS;
  #flowOrigin: Origin | undefined;

  /** The rule that allowed the last call; undefined where none did. */
  origin: Origin | undefined;
  /** A rule would have allowed the last call but for its path, which is ambiguous. */
  blockedByPath = false;
  #serial = 0;
  #reached: readonly EndpointState[] = NO_ENDPOINTS;

  constructor(
    groups: readonly EndpointGroup[],
    trafficType: TrafficType,
    rules: AccessRules,
    caller: string | undefined,
  ) {
    if (caller === undefined) return;
    for (const group of groups) {
      if (group.identity === undefined) continue;
      const fitting = rules.opening(group.identity).filter(({ sources }) => sources.has(caller));
      this.#addHttp(group, fitting);
      this.#addFlow(group, trafficType, fitting);
    }
  }

  /** Endpoints that this call may reach. */
  reached(call: Call): readonly EndpointState[] {
    if (this.#serial !== call.serial) {
      this.#serial = call.serial;
      this.blockedByPath = false;
      if (call.isFlow) {
        this.origin = this.#flowOrigin;
        this.#reached = this.#openToFlows;
      } else {
        this.origin = this.#httpOrigin;
        this.#reached = this.#conditional.length === 0 ? this.#openToHttp : this.#match(call);
      }
    }
    return this.#reached;
  }

  #match(call: Call): readonly EndpointState[] {
    let reached: readonly EndpointState[] = this.#openToHttp;
    for (let index = 0; index < this.#conditional.length; index++) {
      const group = this.#conditional[index] as ConditionalGroup;
      const origin = this.#originOf(group, call);
      if (origin === undefined) continue;
      this.origin ??= origin;
      reached = joined(reached, group.endpoints);
    }
    return reached;
  }

  /** Of the first matcher that fits. */
  #originOf(group: ConditionalGroup, call: Call): Origin | undefined {
    for (let index = 0; index < group.matchers.length; index++) {
      const misfit = (group.matchers[index] as HttpMatcher).misfit(call);
      if (misfit === "") return group.origins[index];
      if (misfit === "ambiguousPath") this.blockedByPath = true;
    }
    return undefined;
  }

  #addHttp(group: EndpointGroup, rules: readonly CompiledRule[]): void {
    const fitting = rules.filter(({ source }) => source.http !== undefined && fitsPort(source.http.ports, group.port));
    if (fitting.length === 0) return;
    const open = fitting.find(({ opensAllHttp }) => opensAllHttp);
    if (open !== undefined) {
      this.#openToHttp = joined(this.#openToHttp, group.endpoints);
      this.#httpOrigin ??= open.origin;
      return;
    }
    this.#conditional.push({
      endpoints: group.endpoints,
      matchers: fitting.flatMap(({ matchers }) => matchers),
      origins: fitting.flatMap(({ matchers, origin }) => matchers.map(() => origin)),
    });
  }

  #addFlow(group: EndpointGroup, trafficType: TrafficType, rules: readonly CompiledRule[]): void {
    const open = rules.find(({ source }) => {
      const section = trafficType === "udp" ? source.udp : source.tcp;
      return section !== undefined && fitsPort(section.ports, group.port);
    });
    if (open === undefined) return;
    this.#openToFlows = joined(this.#openToFlows, group.endpoints);
    this.#flowOrigin ??= open.origin;
  }
}

/** The usual case, of one group, shares its list. */
function joined(a: readonly EndpointState[], b: readonly EndpointState[]): readonly EndpointState[] {
  return a.length === 0 ? b : a.concat(b);
}
