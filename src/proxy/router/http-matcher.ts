/**
 * HttpMatch, compiled when a snapshot arrives: all of its conditions hold, or the first that does not is named. What the last
 * call came to is remembered by the number of the request: within one number only one Call may be asked about.
 */
import type { FieldMatch, HttpMatch } from "../../config/mesh-config.ts";
import type { Call } from "./call.ts";
import { compilePath, type PathCondition } from "./path-condition.ts";
import { queryParameter } from "./query-parameter.ts";
import type { RegexProgram, RegexPrograms } from "./regex-programs.ts";
import type { ValueTest } from "./types.ts";

/** What does not fit; "" where all does. `ambiguousPath`: all but the path fits, and that is not for a rule to judge. */
export type Misfit = "" | "method" | "path" | "header" | "query" | "ambiguousPath";

export class HttpMatcher {
  readonly source: HttpMatch;
  /** Every request fits. */
  readonly always: boolean;
  /** Value of the prefix match, or "". */
  readonly prefix: string;
  /** An ambiguous path fits no path condition that decides, and of a header in several lines each must fit. */
  readonly #forAccess: boolean;
  readonly #methods: readonly string[] | undefined;
  readonly #path: PathCondition | undefined;
  readonly #headers: readonly FieldCondition[];
  readonly #query: readonly FieldCondition[];
  /** What the last call came to: backends of a split are often opened by the same rule. */
  #lastSerial = 0;
  #lastMisfit: Misfit = "";

  constructor(source: HttpMatch, programs: RegexPrograms, use: "route" | "access") {
    const { path, methods, headers = [], query = [] } = source;
    this.source = source;
    this.#forAccess = use === "access";
    this.prefix = path?.type === "prefix" ? path.value : "";
    this.#methods = methods;
    this.#path = path === undefined ? undefined : compilePath(path, programs);
    this.#headers = headers.map((field) => new FieldCondition(field, programs));
    this.#query = query.map((field) => new FieldCondition(field, programs));
    const conditions = this.#headers.length + this.#query.length;
    this.always = methods === undefined && this.#path === undefined && conditions === 0;
  }

  /** @param call with its request */
  misfit(call: Call): Misfit {
    if (this.#lastSerial !== call.serial) {
      this.#lastMisfit = this.#match(call);
      this.#lastSerial = call.serial;
    }
    return this.#lastMisfit;
  }

  #match(call: Call): Misfit {
    if (this.#methods !== undefined && !isAmong(this.#methods, call.request.method)) return "method";
    let ambiguous = false;
    if (this.#path !== undefined) {
      const { decoded, ambiguous: pathAmbiguous } = call.path();
      if (this.#forAccess && pathAmbiguous && this.#path.decides) ambiguous = true;
      else if (decoded === undefined ? this.#path.decides : !this.#path.fits(decoded)) return "path";
    }
    for (let index = 0; index < this.#headers.length; index++) {
      const field = this.#headers[index] as FieldCondition;
      const { request } = call;
      // An endpoint may read another line than the one that fits, so access takes all of them to.
      const fits = this.#forAccess ? request.hasOnlyFitting(field.name, field) : request.hasFitting(field.name, field);
      if (!fits) return "header";
    }
    for (let index = 0; index < this.#query.length; index++) {
      const field = this.#query[index] as FieldCondition;
      const value = queryParameter(call.request.query, field.name);
      if (value === undefined || !field.fits(value)) return "query";
    }
    return ambiguous ? "ambiguousPath" : "";
  }

  release(programs: RegexPrograms): void {
    this.#path?.release(programs);
    for (const field of this.#headers) field.release(programs);
    for (const field of this.#query) field.release(programs);
  }
}

/** There are one or two of them: a call of `includes` costs more than it. */
function isAmong(methods: readonly string[], method: string): boolean {
  for (let index = 0; index < methods.length; index++) if (methods[index] === method) return true;
  return false;
}

class FieldCondition implements ValueTest {
  readonly name: string;
  readonly #value: string;
  readonly #program: RegexProgram | undefined;
  readonly #present: boolean;

  constructor({ name, type, value }: FieldMatch, programs: RegexPrograms) {
    this.name = name;
    this.#value = value;
    // Searched, these are found in any value.
    this.#present = type === "regex" && (value === "" || value === ".*");
    this.#program = type === "regex" && !this.#present ? programs.take(value) : undefined;
  }

  fits(value: string): boolean {
    if (this.#present) return true;
    return this.#program === undefined ? value === this.#value : this.#program.matchesWithin(value);
  }

  release(programs: RegexPrograms): void {
    if (this.#program !== undefined) programs.release(this.#program);
  }
}
