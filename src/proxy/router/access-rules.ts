/** The access rules in force, by the identity that they open. */
import { type Change, changedKeys } from "../../config/changes.ts";
import type { AccessRule, Origin } from "../../config/mesh-config.ts";
import { HttpMatcher } from "./http-matcher.ts";
import type { RegexPrograms } from "./regex-programs.ts";

const NO_RULES: readonly CompiledRule[] = [];

export class CompiledRule {
  readonly key: string;
  readonly source: AccessRule;
  readonly origin: Origin;
  readonly sources: ReadonlySet<string>;
  readonly matchers: readonly HttpMatcher[];
  /** Some match fits every request, or there is none to fit. */
  readonly opensAllHttp: boolean;

  constructor(key: string, source: AccessRule, programs: RegexPrograms) {
    this.key = key;
    this.source = source;
    this.origin = source.origin;
    this.sources = new Set(source.sources);
    this.matchers = (source.http?.matches ?? []).map((match) => new HttpMatcher(match, programs, "access"));
    this.opensAllHttp =
      source.http !== undefined && (this.matchers.length === 0 || this.matchers.some(({ always }) => always));
  }

  release(programs: RegexPrograms): void {
    for (const matcher of this.matchers) matcher.release(programs);
  }
}

export class AccessRules {
  readonly #programs: RegexPrograms;
  readonly #rules = new Map<string, CompiledRule>();
  /** In the order of their keys. */
  readonly #byDestination = new Map<string, readonly CompiledRule[]>();
  #generation = 0;

  constructor(programs: RegexPrograms) {
    this.#programs = programs;
  }

  /** Those that open this identity, in the order of their keys. */
  opening(identity: string): readonly CompiledRule[] {
    return this.#byDestination.get(identity) ?? NO_RULES;
  }

  /** Another one after each change: what was worked out under a number before is out of date. */
  get generation(): number {
    return this.#generation;
  }

  /** @param changes since the rules before; absent: anything may be another */
  apply(rules: Readonly<Record<string, AccessRule>>, changes?: readonly Change[]): void {
    const gone: CompiledRule[] = [];
    let changed = false;
    for (const key of [...changedKeys(changes, "accessRules", rules, this.#rules.keys())].sort()) {
      const before = this.#rules.get(key);
      const source = Object.hasOwn(rules, key) ? rules[key] : undefined;
      if (before?.source === source) continue;
      changed = true;
      if (before !== undefined) gone.push(before);
      const after = source === undefined ? undefined : new CompiledRule(key, source, this.#programs);
      this.#replace(key, before, after);
    }
    // After the new ones took theirs: a pattern that stays is not compiled again.
    for (const rule of gone) rule.release(this.#programs);
    if (changed) this.#generation++;
  }

  #replace(key: string, before: CompiledRule | undefined, after: CompiledRule | undefined): void {
    if (after === undefined) this.#rules.delete(key);
    else this.#rules.set(key, after);
    if (before !== undefined)
      this.#index(before.source.destination, (rules) => rules.filter((rule) => rule !== before));
    if (after !== undefined)
      this.#index(after.source.destination, (rules) => {
        const at = rules.findIndex((rule) => rule.key > key);
        return at < 0 ? [...rules, after] : rules.toSpliced(at, 0, after);
      });
  }

  #index(destination: string, change: (rules: readonly CompiledRule[]) => readonly CompiledRule[]): void {
    const rules = change(this.opening(destination));
    if (rules.length === 0) this.#byDestination.delete(destination);
    else this.#byDestination.set(destination, rules);
  }
}

/** @param ports absent: all */
export function fitsPort(ports: readonly number[] | undefined, port: number): boolean {
  return ports === undefined || ports.includes(port);
}
