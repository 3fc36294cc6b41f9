import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type Clock, systemClock } from "../../model/clock.ts";
import { silentLog } from "../../telemetry/log.ts";
import { LoopbackAddresses } from "../loopback-addresses.ts";
import { ManifestSource, type ManifestUpdate } from "../manifest-source.ts";

/** A folder of manifests that is gone when the test is over. */
export class ManifestFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<ManifestFolder> {
    const path = await mkdtemp(join(tmpdir(), "tulle-manifests-"));
    onTestFinished(() => rm(path, { recursive: true }));
    return new ManifestFolder(path);
  }

  put(name: string, text: string): Promise<void> {
    return writeFile(join(this.path, name), text);
  }

  open(paths: readonly string[] = [this.path], clock: Clock = systemClock): ManifestSource {
    return new ManifestSource({ paths, addresses: new LoopbackAddresses(), clock, log: silentLog });
  }

  /** Problems, each as its code, object, file and line. */
  told({ problems }: ManifestUpdate): string[] {
    return problems.map(
      ({ problem, file, line }) => `${problem.code} ${problem.object.name} ${file.slice(this.path.length + 1)}:${line}`,
    );
  }
}

/** The manifest of one. */
export const service = (name: string, port: number | string = 80) =>
  `---\napiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\nspec:\n  ports:\n    - port: ${port}\n`;

/** Names of those that are in force. */
export const services = (source: ManifestSource) =>
  [...source.state.list("Service")].map(({ meta }) => meta.name).sort();
