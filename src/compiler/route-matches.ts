/**
 * Matches of HTTPRouteGroups as the proxy's. Each group is compiled once, so that what is wrong with it is said once.
 * A match that is wrong fits nothing: it is left out, and whoever would be left without any must not take that for
 * "every request".
 */
import { RE2JS } from "re2js";
import type { FieldMatch, HttpMatch } from "../config/mesh-config.ts";
import { type HTTPRouteGroup, type HttpRouteMatch, keyOf, refOf } from "../model/objects.ts";
import { type Problem, problem } from "../model/problems.ts";

const METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/** By name; undefined for one that is wrong. The first of a name is the one that is meant. */
export type GroupMatches = ReadonlyMap<string, HttpMatch | undefined>;

export class RouteMatches {
  readonly #compiled = new Map<string, GroupMatches>();

  /** @param problems gets what is wrong with the group */
  set(group: HTTPRouteGroup, problems: Problem[]): void {
    this.#compiled.set(keyOf(group.meta), compileGroup(group, problems));
  }

  delete(key: string): void {
    this.#compiled.delete(key);
  }

  /** @param key `namespace/group` */
  of(key: string): GroupMatches | undefined {
    return this.#compiled.get(key);
  }

  /** All of the group that can fit a request. */
  all(key: string): HttpMatch[] {
    return [...(this.#compiled.get(key)?.values() ?? [])].filter((match) => match !== undefined);
  }
}

function compileGroup(group: HTTPRouteGroup, problems: Problem[]): GroupMatches {
  const matches = new Map<string, HttpMatch | undefined>();
  group.matches.forEach((match, index) => {
    const field = fieldOf(group, index);
    const compiled = compileMatch(group, match, field, problems);
    if (!matches.has(match.name)) matches.set(match.name, compiled);
    else problems.push(problem("MatchNameDuplicate", refOf(group), `${field}.name`, `"${match.name}" is there twice`));
  });
  return matches;
}

/** Before v1alpha3 the matches stood at the top. */
function fieldOf(group: HTTPRouteGroup, index: number): string {
  const top = group.version === "v1alpha1" || group.version === "v1alpha2";
  return `${top ? "" : "spec."}matches[${index}]`;
}

function compileMatch(
  group: HTTPRouteGroup,
  match: HttpRouteMatch,
  field: string,
  problems: Problem[],
): HttpMatch | undefined {
  const before = problems.length;
  const wrong = (code: "RegexInvalid" | "MatchInvalid", at: string, detail: string) =>
    problems.push(problem(code, refOf(group), `${field}.${at}`, detail));

  const path = pathPattern(match.pathRegex ?? "");
  // What the user wrote, by itself: `a)|(.*` is whole only inside the parentheses that we put around it.
  const fault = regexFault(match.pathRegex ?? "");
  if (fault !== "") wrong("RegexInvalid", "pathRegex", `"${match.pathRegex}" is no regular expression (${fault})`);

  const methods = (match.methods ?? []).map((method) => method.toUpperCase());
  const anyMethod = methods.length === 0 || methods.includes("*");
  methods.forEach((method, index) => {
    if (method !== "*" && !METHODS.includes(method))
      wrong("MatchInvalid", `methods[${index}]`, `"${method}" is none of *, ${METHODS.join(", ")}`);
  });

  const headers: FieldMatch[] = (match.headers ?? []).map(({ name, value }, index) => {
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name))
      wrong("MatchInvalid", `headers[${index}]`, `"${name}" is no header name`);
    const headerFault = regexFault(value);
    if (headerFault !== "")
      wrong("RegexInvalid", `headers[${index}]`, `"${value}" is no regular expression (${headerFault})`);
    return { name: name.toLowerCase(), type: "regex", value };
  });
  if (problems.length > before) return undefined;
  return {
    name: match.name,
    ...(path === "" ? {} : { path: { type: "regex" as const, value: path } }),
    ...(anyMethod ? {} : { methods: [...new Set(methods)].sort() }),
    ...(headers.length === 0 ? {} : { headers }),
  };
}

function regexFault(pattern: string): string {
  try {
    RE2JS.compile(pattern);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * The pattern as the proxy anchors it, at the start of the path. SMI means `^(?:pathRegex)`. The original put a slash
 * before what has none, so `api` is `/api` there, and `/a|b` is `/a` or `/b`: where the two readings differ, both hold.
 */
function pathPattern(pathRegex: string): string {
  const pattern = pathRegex.startsWith("^") ? pathRegex.slice(1) : pathRegex;
  if (pattern === "" || pattern === ".*") return pattern;
  const relative = pattern.startsWith("/") ? pattern.slice(1) : pattern;
  const alternatives = pattern.includes("|");
  if (!alternatives && pattern.startsWith("/")) return pattern;
  if (!alternatives && /^[A-Za-z0-9_-]/.test(pattern)) return `/${pattern}`;
  return `(?:${pattern})|/(?:${relative})`;
}
