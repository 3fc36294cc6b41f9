/**
 * A path match, compiled. Most users' patterns are plain text in the end (`/api`, `/api/.*`, `^/health$`); these are
 * compared as text, and what is left is RE2's.
 */
import type { PathMatch } from "../../config/mesh-config.ts";
import type { RegexProgram, RegexPrograms } from "./regex-programs.ts";

/** Any path that begins with a slash: every request but `OPTIONS *`. */
const ROOT = 0;
const EXACT = 1;
/** Whole segments. */
const PREFIX = 2;
/** A pattern's literal start, as a pattern means it: `/api` fits `/apifoo`. */
const STARTS = 3;
const REGEX = 4;

export class PathCondition {
  readonly #kind: number;
  readonly #value: string;
  readonly #program: RegexProgram | undefined;

  constructor(kind: number, value: string, program: RegexProgram | undefined) {
    this.#kind = kind;
    this.#value = value;
    this.#program = program;
  }

  /** It fits some paths and others not: an ambiguous one is not for it to judge. */
  get decides(): boolean {
    return this.#kind !== ROOT;
  }

  /** @param path decoded once */
  fits(path: string): boolean {
    const value = this.#value;
    switch (this.#kind) {
      case ROOT:
        return path.charCodeAt(0) === 0x2f;
      case EXACT:
        return path === value;
      case PREFIX:
        return path.startsWith(value) && (path.length === value.length || path.charCodeAt(value.length) === 0x2f);
      case STARTS:
        return path.startsWith(value);
      default:
        return (this.#program as RegexProgram).matchesStart(path);
    }
  }

  release(programs: RegexPrograms): void {
    if (this.#program !== undefined) programs.release(this.#program);
  }
}

/** @returns undefined where every path fits, whatever it looks like */
export function compilePath(match: PathMatch, programs: RegexPrograms): PathCondition | undefined {
  const { type, value } = match;
  switch (type) {
    case "exact":
      return new PathCondition(EXACT, value, undefined);
    case "prefix": {
      const whole = value.endsWith("/") ? value.slice(0, -1) : value;
      return new PathCondition(whole === "" ? ROOT : PREFIX, whole, undefined);
    }
    case "regex":
      return compilePattern(value, programs);
  }
}

function compilePattern(pattern: string, programs: RegexPrograms): PathCondition | undefined {
  const plain = pattern.startsWith("^") ? pattern.slice(1) : pattern;
  let literal = "";
  let at = 0;
  for (; at < plain.length; at++) {
    const escaped = plain.charAt(at) === "\\";
    const character = plain.charAt(escaped ? at + 1 : at);
    if (character === "" || SPECIAL.includes(character) !== escaped) break;
    if (escaped) at++;
    literal += character;
  }
  const rest = plain.slice(at);
  if (rest === "$") return new PathCondition(EXACT, literal, undefined);
  if (rest !== "" && rest !== ".*") return new PathCondition(REGEX, "", programs.take(pattern));
  if (literal === "") return undefined;
  return new PathCondition(literal === "/" ? ROOT : STARTS, literal, undefined);
}

/** With a meaning of their own in a pattern, and without one after a backslash. */
const SPECIAL = "\\.+*?()|[]{}^$";
