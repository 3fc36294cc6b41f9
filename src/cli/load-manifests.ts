import { fileURLToPath } from "node:url";
import type { AccessMode, TrafficType } from "../config/mesh-config.ts";
import { LoopbackAddresses } from "../manifests/loopback-addresses.ts";
import type { LocatedProblem } from "../manifests/manifest-file.ts";
import { ManifestSource } from "../manifests/manifest-source.ts";
import { systemClock } from "../model/clock.ts";
import { formatProblem, type Problem } from "../model/problems.ts";
import type { Log } from "../telemetry/log.ts";

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
}

/** Without -f it is the example, in audit mode; the user's own run with access control off, as the original's. */
export function openManifests(options: ManifestOptions, log: Log): Manifests {
  const given = options.file ?? [];
  const paths = given.length === 0 ? [EXAMPLE] : given;
  const addresses = new LoopbackAddresses();
  return {
    source: new ManifestSource({ paths, addresses, clock: systemClock, log }),
    addresses,
    paths,
    accessControl: options.acl ?? (given.length === 0 ? "audit" : "off"),
  };
}

/** `examples/a.yaml:12: error RegexInvalid …` */
export function formatLocated({ problem, file, line }: LocatedProblem): string {
  return file === "" ? formatProblem(problem) : `${file}:${line}: ${formatProblem(problem)}`;
}

/** Adds file and line to what topology and compiler found. */
export function locateAll(source: ManifestSource, problems: readonly Problem[]): LocatedProblem[] {
  return problems.map((each) => source.locate(each));
}
