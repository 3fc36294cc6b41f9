/** Problems by the unit that they were found in, told in one order. */
import { formatRef } from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";

export class ProblemBook {
  readonly #byUnit = new Map<string, readonly Problem[]>();
  #sorted: readonly Problem[] = [];
  #gone = new Set<Problem>();
  #added: Problem[] = [];

  /** In place of what was wrong with the unit. */
  set(unit: string, problems: readonly Problem[]): void {
    const before = this.#byUnit.get(unit) ?? [];
    if (before.length === problems.length && before.every((each, index) => isSame(each, problems[index] as Problem)))
      return;
    for (const problem of before) this.#gone.add(problem);
    this.#added.push(...problems);
    if (problems.length === 0) this.#byUnit.delete(unit);
    else this.#byUnit.set(unit, problems);
  }

  /** The same list as long as nothing changes. */
  all(): readonly Problem[] {
    if (this.#gone.size === 0 && this.#added.length === 0) return this.#sorted;
    const kept = [...this.#sorted, ...this.#added].filter((problem) => !this.#gone.has(problem));
    this.#sorted = inOrder(kept);
    this.#gone = new Set();
    this.#added = [];
    return this.#sorted;
  }
}

/** By object, field and code. */
export function inOrder(problems: readonly Problem[]): readonly Problem[] {
  const placed = problems.map((problem) => [placeOf(problem), problem] as const);
  return placed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, problem]) => problem);
}

const placeOf = ({ object, field, code, message }: Problem) => `${formatRef(object)} ${field} ${code} ${message}`;

/** Of one unit, so of one object or of few. */
function isSame(a: Problem, b: Problem): boolean {
  return (
    a.code === b.code &&
    a.field === b.field &&
    a.message === b.message &&
    a.object.kind === b.object.kind &&
    a.object.namespace === b.object.namespace &&
    a.object.name === b.object.name
  );
}
