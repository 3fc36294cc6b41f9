import type { LocatedProblem } from "../manifests/manifest-file.ts";
import { formatProblem } from "../model/problems.ts";
import { formatLocated } from "./load-manifests.ts";

/** Says each problem once, and when it is gone. One that stands at another line than before is the same. */
export class ProblemReporter {
  readonly #write: (line: string) => void;
  /** Lines that say them, by what they are: several where the same is wrong at several places of a file. */
  #known: ReadonlyMap<string, readonly string[]> = new Map();
  hasErrors = false;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** @param found all that there are now */
  report(found: readonly LocatedProblem[]): void {
    this.hasErrors = found.some(({ problem }) => problem.severity === "error");
    const now = new Map<string, string[]>();
    for (const each of found) {
      const what = `${each.file}: ${formatProblem(each.problem)}`;
      now.set(what, [...(now.get(what) ?? []), formatLocated(each)]);
    }
    for (const [what, lines] of now) for (const line of beyond(this.#known.get(what), lines)) this.#write(line);
    for (const [what, lines] of this.#known)
      for (const line of beyond(now.get(what), lines)) this.#write(`mended: ${line}`);
    this.#known = now;
  }
}

/** Those of `lines` that are more than there are `others`: one at the same line is the same, and the rest have moved. */
function beyond(others: readonly string[] = [], lines: readonly string[]): string[] {
  const moved = others.filter((line) => !lines.includes(line)).length;
  return lines.filter((line) => !others.includes(line)).slice(moved);
}
