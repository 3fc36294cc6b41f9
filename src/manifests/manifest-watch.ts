/**
 * Looks for changes of manifests until the signal; one load at a time. Files are watched by events, and looked at every
 * few seconds besides, because events get lost on some file systems.
 */
import { type FSWatcher, watch } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { Clock, Timer } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { ManifestSource, ManifestSourceOptions, ManifestUpdate } from "./manifest-source.ts";

/** After the first event of a change: editors and `git checkout` make several. */
const DEBOUNCE_MS = 25;
const POLL_MS = 2000;

export class ManifestWatch {
  readonly #source: ManifestSource;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onUpdate: (update: ManifestUpdate) => Promise<void>;
  readonly #signal: AbortSignal;
  readonly #watchers = new Map<string, FSWatcher>();
  #timer: Timer | undefined;
  /** For what is held back. */
  #later: Timer | undefined;
  #poll: Timer | undefined;
  #loading = false;
  #again = false;
  #lastProblems: readonly string[] = [];

  constructor(
    source: ManifestSource,
    options: ManifestSourceOptions,
    onUpdate: (update: ManifestUpdate) => Promise<void>,
    signal: AbortSignal,
  ) {
    this.#source = source;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onUpdate = onUpdate;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#stop(), { once: true });
    this.#watchFolders();
    this.#schedulePoll();
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#later?.cancel();
    this.#poll?.cancel();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #watchFolders(): void {
    const folders = new Set(this.#source.folders);
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) {
      if (this.#watchers.has(folder) || this.#signal.aborted) continue;
      try {
        const watcher = watch(folder, () => this.#changed());
        watcher.on("error", () => watcher.close());
        this.#watchers.set(folder, watcher);
      } catch {
        // No such folder yet, or no watches left: the poll sees it.
      }
    }
  }

  #schedulePoll(): void {
    if (this.#signal.aborted) return;
    this.#poll = this.#clock.after(POLL_MS, () => {
      void this.#source.hasChanged().then(
        (changed) => {
          if (changed) this.#changed();
          this.#schedulePoll();
        },
        () => this.#schedulePoll(),
      );
    });
  }

  #changed(): void {
    if (this.#signal.aborted) return;
    if (this.#loading) this.#again = true;
    else this.#timer ??= this.#clock.after(DEBOUNCE_MS, () => void this.#load());
  }

  #lookAgain(): void {
    const dueInMs = this.#source.dueInMs;
    if (dueInMs !== undefined && !this.#signal.aborted) this.#later = this.#clock.after(dueInMs, () => this.#changed());
  }

  async #load(): Promise<void> {
    this.#timer = undefined;
    this.#later?.cancel();
    this.#loading = true;
    try {
      const update = await this.#source.load();
      this.#watchFolders();
      this.#lookAgain();
      const told = update.problems.map(({ problem: each, file, line }) => `${file}:${line} ${each.message}`);
      const { put, remove } = update.delta;
      const matters = put.length > 0 || remove.length > 0 || !isDeepStrictEqual(told, this.#lastProblems);
      this.#lastProblems = told;
      if (matters && !this.#signal.aborted) await this.#onUpdate(update);
    } catch (error) {
      this.#log.error("the manifests could not be read again", { error: (error as Error).message });
    }
    this.#loading = false;
    if (this.#again) {
      this.#again = false;
      this.#changed();
    }
  }
}
