/** The last configuration, on the proxy's own disk: a restarted proxy serves at once, controller or not. */
import { readFile, rename, writeFile } from "node:fs/promises";
import { z } from "zod";
import { MeshConfigSchema } from "../config/mesh-config.ts";
import { LiveSnapshot } from "../config/snapshot.ts";
import type { Clock, Timer } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";

const SavedSchema = z.strictObject({ version: z.string(), config: MeshConfigSchema });
/** Writes are that far apart: only the last of a burst matters. */
const WRITE_MS = 1_000;

export class SavedConfig {
  readonly #path: string;
  readonly #newPath: string;
  readonly #clock: Clock;
  readonly #log: Log;
  #pending: LiveSnapshot | undefined;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failed = false;

  constructor(folder: string, clock: Clock, log: Log) {
    this.#path = `${folder}/mesh-config.json`;
    this.#newPath = `${this.#path}.new`;
    this.#clock = clock;
    this.#log = log;
  }

  /** @returns undefined where there is none that can be used */
  async load(): Promise<LiveSnapshot | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, "utf8");
    } catch {
      return undefined;
    }
    try {
      const { version, config } = SavedSchema.parse(JSON.parse(text));
      const snapshot = new LiveSnapshot(config);
      if (snapshot.version === version) return snapshot;
      this.#log.warn("the saved configuration is damaged, and is not used", { path: this.#path });
    } catch (error) {
      this.#log.warn("the saved configuration cannot be read, and is not used", { error: (error as Error).message });
    }
    return undefined;
  }

  /** Soon, and as it is then. A disk that is full is no reason to stop: it is said once. */
  save(snapshot: LiveSnapshot): void {
    this.#pending = snapshot;
    this.#timer ??= this.#clock.after(WRITE_MS, () => {
      this.#timer = undefined;
      void this.flush();
    });
  }

  /** Writes what is left to write. */
  flush(): Promise<void> {
    const snapshot = this.#pending;
    this.#pending = undefined;
    if (snapshot !== undefined) this.#writing = this.#writing.then(() => this.#write(snapshot));
    return this.#writing;
  }

  /** Leaves the file to another process: nothing is written from then on, until something is saved again. */
  leave(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = this.#pending = undefined;
    return this.#writing;
  }

  async #write(snapshot: LiveSnapshot): Promise<void> {
    try {
      // Whole or not at all, whenever the power goes.
      await writeFile(this.#newPath, JSON.stringify(snapshot));
      await rename(this.#newPath, this.#path);
      this.#failed = false;
    } catch (error) {
      if (!this.#failed)
        this.#log.warn("the configuration could not be saved; a restart would wait for the controller", {
          error: (error as Error).message,
        });
      this.#failed = true;
    }
  }
}
