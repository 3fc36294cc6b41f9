/** Matches of MeshConfig as conditions of Traefik. */
import type { FieldMatch, HttpMatch, PathMatch } from "../config/mesh-config.ts";
import { ALWAYS, allOf, anyOf, type Condition, matcher, NEVER, not } from "./condition.ts";

/**
 * Paths that a server behind may well read as another than the one that a rule was matched on: where a rule decides
 * access, none of these fits it, as in Tulle's own proxy. Traefik leaves `%2F` as it is for its rules, and decodes `%2f`:
 * that one only its entry point can refuse (`encodedCharacters`).
 */
const AMBIGUOUS = matcher("PathRegexp", "(?:^|/)\\.\\.?(?:;[^/]*)?(?:/|$)|//|%2F|\\\\|\\x00|\\x{FFFD}");

/** Why a match cannot be said to Traefik, as the end of a sentence. */
export type Unsupported = string;

/**
 * @param forAccess whether it decides who may call, and not only where a call goes
 * @param unsupported is told why a match fits nothing
 */
export function matchesCondition(
  matches: readonly HttpMatch[],
  forAccess: boolean,
  unsupported: (match: HttpMatch, why: Unsupported) => void,
): Condition {
  if (matches.length === 0) return ALWAYS;
  return anyOf(
    matches.map((match) => {
      const why = obstacle(match);
      if (why === undefined) return matchCondition(match, forAccess);
      unsupported(match, why);
      return NEVER;
    }),
  );
}

/** What a list of matches takes of the calls, for the routes of a split. */
export interface Taken {
  /** What Traefik can tell for certain that it fits. */
  readonly certain: Condition;
  /** All that it may fit: of matches that cannot be said, what can be said of them. The same one where all can. */
  readonly possible: Condition;
}

/** @param unsupported is told why a match cannot be said */
export function takenBy(
  matches: readonly HttpMatch[],
  unsupported: (match: HttpMatch, why: Unsupported) => void,
): Taken {
  const certain = matchesCondition(matches, false, unsupported);
  if (matches.every((match) => obstacle(match) === undefined)) return { certain, possible: certain };
  return { certain, possible: anyOf(matches.map((match) => matchCondition(sayable(match), false))) };
}

const HOST_AS_IT_CAME = "Traefik's rules do not see the header Host as it came";
/** Text that is no text stays out of Go, which would read something else in its place. */
const HALF_A_CHARACTER = "half a character is in it";

function obstacle({ path, headers = [], query = [] }: HttpMatch): Unsupported | undefined {
  if (headers.some(isOfHost)) return HOST_AS_IT_CAME;
  const isWhole = (path === undefined || isText(path.value)) && [...headers, ...query].every(isFieldOfText);
  return isWhole ? undefined : HALF_A_CHARACTER;
}

/** The match without what cannot be said of it: it fits whatever the whole of it fits, and more. */
function sayable({ path, headers = [], query = [], ...match }: HttpMatch): HttpMatch {
  return {
    ...match,
    ...(path === undefined || !isText(path.value) ? {} : { path }),
    headers: headers.filter((field) => !isOfHost(field) && isFieldOfText(field)),
    query: query.filter(isFieldOfText),
  };
}

/**
 * Traefik's own matchers of the host see it in small letters and without its port, so that what an expression finds in
 * it cannot be known by them.
 */
function isOfHost(field: FieldMatch): boolean {
  return field.name === "host" && !isAnyHost(field);
}

/** There is one in every request that comes to a Service's router: it is by the host that it does. */
function isAnyHost({ name, type, value }: FieldMatch): boolean {
  return name === "host" && type === "regex" && (value === "" || value === ".*");
}

function isFieldOfText({ name, value }: FieldMatch): boolean {
  return isText(name) && isText(value);
}

function isText(value: string): boolean {
  return !/\p{Cs}/u.test(value);
}

function matchCondition({ path, methods, headers = [], query = [] }: HttpMatch, forAccess: boolean): Condition {
  return allOf([
    methods === undefined ? ALWAYS : anyOf(methods.map((method) => matcher("Method", method))),
    ...(path === undefined ? [] : pathConditions(path, forAccess)),
    ...headers.map((field) => (isAnyHost(field) ? ALWAYS : fieldCondition("Header", field))),
    ...query.map((field) => fieldCondition("Query", field)),
  ]);
}

function pathConditions(path: PathMatch, forAccess: boolean): Condition[] {
  const condition = pathCondition(path);
  // What every path fits decides nothing, so that no path is ambiguous to it.
  const decides = condition !== ALWAYS && condition !== ROOT;
  return forAccess && decides ? [condition, not(AMBIGUOUS)] : [condition];
}

/** Every request but `OPTIONS *`. */
const ROOT = matcher("PathRegexp", "^/");

function pathCondition({ type, value }: PathMatch): Condition {
  switch (type) {
    case "exact":
      return value.startsWith("/") ? matcher("Path", value) : NEVER;
    case "prefix": {
      const whole = value.endsWith("/") ? value.slice(0, -1) : value;
      if (whole === "") return ROOT;
      if (!whole.startsWith("/")) return NEVER;
      return anyOf([matcher("Path", whole), matcher("PathPrefix", `${whole}/`)]);
    }
    case "regex": {
      const pattern = value.startsWith("^") ? value.slice(1) : value;
      if (pattern === "" || pattern === ".*") return ALWAYS;
      if (pattern === "/" || pattern === "/.*") return ROOT;
      return matcher("PathRegexp", anchored(value));
    }
  }
}

function fieldCondition(where: "Header" | "Query", { name, type, value }: FieldMatch): Condition {
  // An empty argument makes Traefik refuse the whole router.
  if (value === "") return matcher(`${where}Regexp`, name, type === "exact" ? "^$" : ".*");
  return matcher(type === "exact" ? where : `${where}Regexp`, name, value);
}

/** The pattern at the start of the path, and open at its end; Traefik itself searches. */
export function anchored(pattern: string): string {
  return `^(?:${pattern}${endOfQuote(pattern)})`;
}

/** `\Q` that nothing ends holds to the pattern's end: it would swallow what is written behind it. */
function endOfQuote(pattern: string): string {
  let at = pattern.indexOf("\\");
  while (at >= 0) {
    let next = at + 2;
    if (pattern.charAt(at + 1) === "Q") {
      const end = pattern.indexOf("\\E", next);
      if (end < 0) return "\\E";
      next = end + 2;
    }
    at = pattern.indexOf("\\", next);
  }
  return "";
}
