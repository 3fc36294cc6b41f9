/** A route, compiled: its matches, the standing of its split, and the service ports that its backends mean. */
import type { Backend, Route } from "../../config/mesh-config.ts";
import { SmoothWeighted } from "../balancer/smooth-weighted.ts";
import type { Call } from "./call.ts";
import { HttpMatcher } from "./http-matcher.ts";
import type { RegexPrograms } from "./regex-programs.ts";
import type { ServicePortEntry } from "./service-port-entry.ts";

export class CompiledRoute {
  readonly source: Route;
  readonly split: SmoothWeighted;
  /** Answered by the proxy itself. */
  readonly redirects: boolean;
  /** It, or one of its backends, asks for more than to be followed. */
  readonly changes: boolean;
  /** For each backend; undefined where the configuration has no such service port. */
  targets: readonly (ServicePortEntry | undefined)[] = [];
  /** What the prefix match that fitted last matched, or "". */
  fittedPrefix = "";
  readonly #matchers: readonly HttpMatcher[];
  readonly #fitsAll: boolean;
  readonly #callerNamespaces: ReadonlySet<string> | undefined;

  /** @param before the route whose place this one takes: its split goes on */
  constructor(source: Route, programs: RegexPrograms, before: CompiledRoute | undefined) {
    this.source = source;
    this.redirects = source.filters?.some(({ type }) => type === "redirect") === true;
    this.changes =
      source.filters !== undefined ||
      source.requestTimeoutMs !== undefined ||
      source.backends.some(({ filters }) => filters !== undefined);
    this.#matchers = source.matches.map((match) => new HttpMatcher(match, programs, "route"));
    this.#fitsAll = this.#matchers.length === 0 || this.#matchers.some(({ always }) => always);
    this.#callerNamespaces = source.callerNamespaces === undefined ? undefined : new Set(source.callerNamespaces);
    const parts = source.backends.map(({ servicePort, weight }) => ({ key: servicePort, weight }));
    this.split = before?.split ?? new SmoothWeighted(parts);
    if (before !== undefined) this.split.change(parts);
  }

  /** A match says something of a request, so a flow fits only a route that every request fits. */
  fits(call: Call): boolean {
    const namespaces = this.#callerNamespaces;
    if (namespaces !== undefined) {
      const { workload } = call.caller;
      if (workload === undefined || !namespaces.has(workload.namespace)) return false;
    }
    this.fittedPrefix = "";
    if (this.#fitsAll || call.isFlow) return this.#fitsAll;
    for (let index = 0; index < this.#matchers.length; index++) {
      const matcher = this.#matchers[index] as HttpMatcher;
      if (matcher.misfit(call) !== "") continue;
      this.fittedPrefix = matcher.prefix;
      return true;
    }
    return false;
  }

  /** Which service ports the backends mean now. */
  resolve(find: (backend: Backend) => ServicePortEntry | undefined): void {
    this.targets = this.source.backends.map(find);
  }

  release(programs: RegexPrograms): void {
    for (const matcher of this.#matchers) matcher.release(programs);
  }
}

/**
 * Routes of a service port, in order. One whose configuration is the same object stays; another of the same object of
 * the user's, at the same place among those, hands its split on.
 */
export function compileRoutes(
  sources: readonly Route[],
  before: readonly CompiledRoute[],
  programs: RegexPrograms,
): readonly CompiledRoute[] {
  const predecessors = byOrigin(before);
  const after = sources.map((source) => {
    const predecessor = predecessors.get(originKey(source))?.shift();
    return predecessor?.source === source ? predecessor : new CompiledRoute(source, programs, predecessor);
  });
  for (const route of before) if (!after.includes(route)) route.release(programs);
  return after;
}

function byOrigin(routes: readonly CompiledRoute[]): Map<string, CompiledRoute[]> {
  const groups = new Map<string, CompiledRoute[]>();
  for (const route of routes) {
    const key = originKey(route.source);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [route]);
    else group.push(route);
  }
  return groups;
}

function originKey({ origin }: Route): string {
  return `${origin.kind} ${origin.namespace}/${origin.name}`;
}
