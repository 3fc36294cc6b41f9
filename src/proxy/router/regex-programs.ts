/**
 * The users' regular expressions, with RE2's syntax and meaning, in linear time. Programs are shared by their text
 * across service ports and snapshots, and go when the last matcher that takes them is released.
 */
import { RE2JS, RE2Set } from "re2js";
import type { Log } from "../../telemetry/log.ts";

/** Bytes of automaton that one pattern may build as it meets requests (re2js's own bound is 8 MiB). */
export const MAX_AUTOMATON_BYTES = 256 * 1024;

export class RegexProgram {
  readonly text: string;
  uses = 0;
  /** Undefined for a pattern that is not RE2's syntax: it matches nothing. */
  readonly #program: RE2JS | undefined;

  constructor(text: string, program: RE2JS | undefined) {
    this.text = text;
    this.#program = program;
  }

  /** Anchored at the start, open at the end. */
  matchesStart(text: string): boolean {
    return this.#program?.re2().matchWithGroup(text, 0, text.length, RE2Set.ANCHOR_START, 0)[0] === true;
  }

  /** Anywhere in the text. */
  matchesWithin(text: string): boolean {
    return this.#program?.test(text) === true;
  }
}

export class RegexPrograms {
  readonly #log: Log;
  readonly #programs = new Map<string, RegexProgram>();

  constructor(log: Log) {
    this.#log = log;
  }

  get size(): number {
    return this.#programs.size;
  }

  take(text: string): RegexProgram {
    let program = this.#programs.get(text);
    if (program === undefined) {
      program = new RegexProgram(text, this.#compile(text));
      this.#programs.set(text, program);
    }
    program.uses++;
    return program;
  }

  release(program: RegexProgram): void {
    if (--program.uses === 0) this.#programs.delete(program.text);
  }

  #compile(text: string): RE2JS | undefined {
    try {
      const program = RE2JS.compile(text);
      boundAutomaton(program);
      return program;
    } catch (error) {
      this.#log.warn("a pattern is not of RE2's syntax and matches nothing", {
        pattern: text,
        error: (error as Error).message,
      });
      return undefined;
    }
  }
}

/** Patterns exist for which each request adds states; past the bound, re2js starts over or goes on without. */
function boundAutomaton(program: RE2JS): void {
  const re2 = program.re2();
  if (re2.prefixComplete || re2.onepass !== null) return;
  re2.dfa.stateBudget = MAX_AUTOMATON_BYTES;
  re2.dfa.memBudget = MAX_AUTOMATON_BYTES;
}
