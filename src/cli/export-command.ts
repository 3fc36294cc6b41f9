import type { MeshConfig } from "../config/mesh-config.ts";
import { seal } from "../config/snapshot.ts";
import { compileMesh } from "../local/compile-mesh.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { Problem } from "../model/problems.ts";
import { AssignedNumbers } from "../traefik/entrypoint-numbers.ts";
import { toTraefik } from "../traefik/to-traefik.ts";
import { traefikText } from "../traefik/traefik-configuration.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { formatLocated, type ManifestOptions, openManifests, refuseMissing } from "./load-manifests.ts";
import { stderrLog } from "./stderr-log.ts";
import { UsageError } from "./usage-error.ts";

export interface ExportOptions extends ManifestOptions {
  readonly format: string;
}

const FORMATS: readonly string[] = ["tulle", "traefik"];

/** MeshConfig with its version on standard output, or Traefik's dynamic configuration; problems on standard error. */
export async function runExport(options: ExportOptions): Promise<number> {
  if (!FORMATS.includes(options.format))
    throw new UsageError(`--format "${options.format}" is not known: it is one of ${FORMATS.join(", ")}`);
  await refuseMissing(options);
  if (options.file === undefined) stderrLog().warn("no manifests are given (-f): this is the whoami example");
  const { source, addresses, accessControl } = await openManifests(options, stderrLog());
  const update = await source.load();
  const { config, problems } = compileMesh(source.state, {
    accessControl,
    defaultTrafficType: options.defaultMode,
    addresses,
  });
  const exported = options.format === "traefik" ? traefik(config, source.state) : tulle(config);
  const found = [...update.problems, ...source.locate([...problems, ...exported.problems])];
  for (const each of found) process.stderr.write(`${formatLocated(each)}\n`);
  process.stdout.write(exported.text);
  return found.some(({ problem }) => problem.severity === "error") ? EXIT_PROBLEMS : EXIT_FINE;
}

interface Exported {
  readonly text: string;
  readonly problems: readonly Problem[];
}

function tulle(config: MeshConfig): Exported {
  const { version } = seal(config);
  return { text: `${JSON.stringify({ version, config }, null, 2)}\n`, problems: [] };
}

function traefik(config: MeshConfig, state: ClusterStateView): Exported {
  const service = (key: string) => state.get("Service", key);
  const { configuration, problems } = toTraefik({ config, service, numbers: new AssignedNumbers().of(service) });
  return { text: traefikText(configuration), problems };
}
