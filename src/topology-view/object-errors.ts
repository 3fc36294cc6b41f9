/** What is wrong with an object, as the topology tells it: sentences, or null. */
import type { Problem, ProblemCode } from "../model/problems.ts";

/** What the mesh goes on without is a warning; of these, the original's reader was told. */
const TOLD_WARNINGS: ReadonlySet<ProblemCode> = new Set(["TargetPortUnmatched"]);

export class ObjectErrors {
  readonly #sentences = new Map<string, string[]>();
  readonly #fields = new Set<string>();

  constructor(problems: readonly Problem[]) {
    for (const { severity, code, object, field, message } of problems) {
      if (severity !== "error" && !TOLD_WARNINGS.has(code)) continue;
      const key = keyOf(object.kind, object.namespace, object.name);
      const known = this.#sentences.get(key);
      if (known === undefined) this.#sentences.set(key, [message]);
      else known.push(message);
      this.#fields.add(`${key} ${field}`);
    }
  }

  /** @returns null where nothing is wrong with it */
  of(kind: string, namespace: string, name: string): readonly string[] | null {
    return this.#sentences.get(keyOf(kind, namespace, name)) ?? null;
  }

  /** Whether something is wrong with that field of it. */
  at(kind: string, namespace: string, name: string, field: string): boolean {
    return this.#fields.has(`${keyOf(kind, namespace, name)} ${field}`);
  }
}

const keyOf = (kind: string, namespace: string, name: string) => `${kind} ${namespace}/${name}`;
