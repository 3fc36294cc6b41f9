import type { LocatedProblem } from "../manifests/manifest-file.ts";
import { formatProblem } from "../model/problems.ts";
import { formatLocated } from "./load-manifests.ts";

/** Says each problem once, and when it is gone. One that stands at another line than before is the same. */
export class ProblemReporter {
  readonly #write: (line: string) => void;
  /** Lines that say them, by what they are. */
  #known: ReadonlyMap<string, string> = new Map();
  hasErrors = false;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** @param found all that there are now */
  report(found: readonly LocatedProblem[]): void {
    this.hasErrors = found.some(({ problem }) => problem.severity === "error");
    const now = new Map<string, string>();
    for (const each of found) now.set(nameOf(each, now), formatLocated(each));
    for (const [name, line] of now) if (!this.#known.has(name)) this.#write(line);
    for (const [name, line] of this.#known) if (!now.has(name)) this.#write(`mended: ${line}`);
    this.#known = now;
  }
}

/** @param named those before it, which may be alike */
function nameOf({ problem, file }: LocatedProblem, named: ReadonlyMap<string, string>): string {
  const what = `${file}: ${formatProblem(problem)}`;
  let count = 1;
  while (named.has(`${count} ${what}`)) count++;
  return `${count} ${what}`;
}
