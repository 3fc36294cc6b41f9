/** The access rules in force, by the identity that they open. */
import type { AccessRule, Origin } from "../../config/mesh-config.ts";
import { HttpMatcher } from "./http-matcher.ts";
import type { RegexPrograms } from "./regex-programs.ts";

const NO_RULES: readonly CompiledRule[] = [];

export class CompiledRule {
  readonly source: AccessRule;
  readonly origin: Origin;
  readonly sources: ReadonlySet<string>;
  readonly matchers: readonly HttpMatcher[];
  /** Some match fits every request, or there is none to fit. */
  readonly opensAllHttp: boolean;

  constructor(source: AccessRule, programs: RegexPrograms) {
    this.source = source;
    this.origin = source.origin;
    this.sources = new Set(source.sources);
    this.matchers = (source.http?.matches ?? []).map((match) => new HttpMatcher(match, programs));
    this.opensAllHttp =
      source.http !== undefined && (this.matchers.length === 0 || this.matchers.some(({ always }) => always));
  }

  release(programs: RegexPrograms): void {
    for (const matcher of this.matchers) matcher.release(programs);
  }
}

export class AccessRules {
  readonly #programs: RegexPrograms;
  #source: Readonly<Record<string, AccessRule>> = {};
  #rules = new Map<string, CompiledRule>();
  #byDestination = new Map<string, CompiledRule[]>();

  constructor(programs: RegexPrograms) {
    this.#programs = programs;
  }

  /** Those that open this identity, in the order of their keys. */
  opening(identity: string): readonly CompiledRule[] {
    return this.#byDestination.get(identity) ?? NO_RULES;
  }

  /** @returns whether anything changed */
  apply(rules: Readonly<Record<string, AccessRule>>): boolean {
    if (rules === this.#source) return false;
    const before = this.#rules;
    const after = new Map<string, CompiledRule>();
    let changed = false;
    for (const key of Object.keys(rules).sort()) {
      const source = rules[key] as AccessRule;
      const kept = before.get(key);
      if (kept?.source === source) after.set(key, kept);
      else {
        after.set(key, new CompiledRule(source, this.#programs));
        changed = true;
      }
    }
    // After the new ones took theirs: a pattern that stays is not compiled again.
    for (const [key, rule] of before) {
      if (after.get(key) === rule) continue;
      rule.release(this.#programs);
      changed = true;
    }
    this.#source = rules;
    this.#rules = after;
    if (changed) this.#index();
    return changed;
  }

  #index(): void {
    this.#byDestination = new Map();
    for (const rule of this.#rules.values()) {
      const { destination } = rule.source;
      const opening = this.#byDestination.get(destination);
      if (opening === undefined) this.#byDestination.set(destination, [rule]);
      else opening.push(rule);
    }
  }
}

/** @param ports absent: all */
export function fitsPort(ports: readonly number[] | undefined, port: number): boolean {
  return ports === undefined || ports.includes(port);
}
