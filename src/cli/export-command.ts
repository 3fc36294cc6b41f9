import { seal } from "../config/snapshot.ts";
import { compileMesh } from "../local/compile-mesh.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { formatLocated, type ManifestOptions, openManifests, refuseMissing } from "./load-manifests.ts";
import { stderrLog } from "./stderr-log.ts";
import { UsageError } from "./usage-error.ts";

export interface ExportOptions extends ManifestOptions {
  readonly format: string;
}

/** MeshConfig with its version on standard output; problems on standard error. */
export async function runExport(options: ExportOptions): Promise<number> {
  if (options.format !== "tulle")
    throw new UsageError(`--format "${options.format}" is not known: this version exports "tulle"`);
  await refuseMissing(options);
  const { source, addresses, accessControl } = await openManifests(options, stderrLog());
  const update = await source.load();
  const { config, problems } = compileMesh(source.state, {
    accessControl,
    defaultTrafficType: options.defaultMode,
    addresses,
  });
  const found = [...update.problems, ...source.locate(problems)];
  for (const each of found) process.stderr.write(`${formatLocated(each)}\n`);
  const { version } = seal(config);
  process.stdout.write(`${JSON.stringify({ version, config }, null, 2)}\n`);
  return found.some(({ problem }) => problem.severity === "error") ? EXIT_PROBLEMS : EXIT_FINE;
}
