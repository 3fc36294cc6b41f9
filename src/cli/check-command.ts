import { compileMesh } from "../local/compile-mesh.ts";
import { imageProblems } from "../local/image-problems.ts";
import type { LocatedProblem } from "../manifests/manifest-file.ts";
import { count } from "./count.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { formatLocated, type ManifestOptions, openManifests } from "./load-manifests.ts";
import { stderrLog } from "./stderr-log.ts";

export interface CheckOptions extends ManifestOptions {
  readonly json?: boolean;
}

/** Problems of manifests on standard error, a line each; with --json all of them as an array on standard output. */
export async function runCheck(options: CheckOptions): Promise<number> {
  const { source, addresses, accessControl } = await openManifests(options, stderrLog());
  const update = await source.load();
  const { problems } = compileMesh(source.state, { accessControl, defaultTrafficType: options.defaultMode, addresses });
  const found = [...update.problems, ...source.locate([...problems, ...imageProblems(source.state)])].sort(byPlace);
  const errors = found.filter(({ problem }) => problem.severity === "error").length;
  if (options.json === true) process.stdout.write(`${JSON.stringify(found.map(toJson), null, 2)}\n`);
  else {
    for (const each of found) process.stderr.write(`${formatLocated(each)}\n`);
    const severities = `${count(errors, "error")}, ${count(found.length - errors, "warning")}`;
    const read = `${count(update.files, "file")}, ${count(source.state.size("Service"), "Service")}`;
    process.stdout.write(`${severities}; ${read}\n`);
  }
  return errors > 0 ? EXIT_PROBLEMS : EXIT_FINE;
}

function toJson({ problem, file, line }: LocatedProblem) {
  return { ...problem, ...(file === "" ? {} : { file, line }) };
}

function byPlace(a: LocatedProblem, b: LocatedProblem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line;
}
