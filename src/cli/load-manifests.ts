import { stat } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { AccessMode, TrafficType } from "../config/mesh-config.ts";
import { STANDARD_INPUT } from "../manifests/find-files.ts";
import { LoopbackAddresses } from "../manifests/loopback-addresses.ts";
import type { LocatedProblem } from "../manifests/manifest-file.ts";
import { ManifestSource } from "../manifests/manifest-source.ts";
import { systemClock } from "../model/clock.ts";
import { formatProblem } from "../model/problems.ts";
import type { Log } from "../telemetry/log.ts";
import { UsageError } from "./usage-error.ts";
import { visible } from "./visible.ts";

export interface ManifestOptions {
  readonly file?: readonly string[];
  readonly acl?: AccessMode;
  readonly defaultMode: TrafficType;
}

/** The whoami example, in a checkout and in the image alike. */
const EXAMPLE = fileURLToPath(new URL("../../examples/whoami", import.meta.url));

export interface Manifests {
  readonly source: ManifestSource;
  readonly addresses: LoopbackAddresses;
  readonly paths: readonly string[];
  readonly accessControl: AccessMode;
  /** What came by standard input; absent: it was not asked for. */
  readonly input?: string;
}

/** Without -f it is the example, in audit mode; the user's own run with access control off, as the original's. */
export async function openManifests(options: ManifestOptions, log: Log): Promise<Manifests> {
  const given = options.file ?? [];
  const paths = given.length === 0 ? [EXAMPLE] : given;
  const addresses = new LoopbackAddresses();
  const input = paths.includes(STANDARD_INPUT) ? { input: await text(process.stdin) } : {};
  return {
    source: new ManifestSource({ paths, addresses, clock: systemClock, log, ...input }),
    addresses,
    paths,
    ...input,
    accessControl: options.acl ?? (given.length === 0 ? "audit" : "off"),
  };
}

/**
 * For commands whose answer would be about nothing; `check` names it among the problems.
 * @throws UsageError where a path that was given is not there
 */
export async function refuseMissing({ file = [] }: ManifestOptions): Promise<void> {
  for (const path of file) {
    if (path === STANDARD_INPUT) continue;
    const code = await stat(path).then(
      () => "",
      (error: NodeJS.ErrnoException) => error.code,
    );
    if (code === "ENOENT") throw new UsageError(`-f ${path}: there is no such file or folder`);
  }
}

/** `examples/a.yaml:12: error RegexInvalid …` */
export function formatLocated({ problem, file, line }: LocatedProblem): string {
  return visible(file === "" ? formatProblem(problem) : `${file}:${line}: ${formatProblem(problem)}`);
}
