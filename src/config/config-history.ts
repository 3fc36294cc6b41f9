/**
 * The configurations that were in force, the newest first, each with what changed from the one before. Bounded in number
 * and in size: it is there to answer what happened just now, not to be an archive.
 */
import { type Change, entryOf } from "./changes.ts";
import { type ConfigChange, changesOf } from "./config-changes.ts";
import { define } from "./delta.ts";
import { emptyMeshConfig, type MeshConfig } from "./mesh-config.ts";
import type { Snapshot } from "./snapshot.ts";

export interface HistoryEntry {
  readonly version: string;
  /** RFC 3339 in UTC. */
  readonly at: string;
  /** From the entry before; none of the first that this process had. */
  readonly changes: readonly ConfigChange[];
  /** Changes that found no place. */
  readonly omitted: number;
}

export const MAX_ENTRIES = 50;
/** A rollout of a big mesh changes thousands of endpoints at once; nobody reads more than this. */
export const MAX_CHANGES = 200;
/** Of all entries together, as JSON. */
export const MAX_TOTAL_BYTES = 512 * 1024;

export class ConfigHistory {
  readonly #entries: { readonly entry: HistoryEntry; readonly bytes: number }[] = [];
  #last: Snapshot | undefined;

  /** The newest first. */
  entries(): HistoryEntry[] {
    return this.#entries.map(({ entry }) => entry);
  }

  /** @param wallMs since the epoch, when it came into force. A version that is in force already is no news. */
  note(snapshot: Snapshot, wallMs: number): void {
    const last = this.#last;
    if (last?.version === snapshot.version) return;
    this.#last = snapshot;
    this.#add(snapshot.version, last === undefined ? [] : changesOf(last.config, snapshot.config), wallMs);
  }

  /** As `note`, of a configuration that was changed in place since. */
  noteChanges({ version, config }: Snapshot, changes: readonly Change[], wallMs: number): void {
    if (changes.length === 0) return;
    // Only what changed, as it was and as it is: the rest is the same.
    const [before, after] = [sectionsOf(config), sectionsOf(config)];
    for (const { section, key, before: old } of changes) {
      define(before[section], key, old);
      define(after[section], key, entryOf(config, section, key));
    }
    this.#add(version, changesOf(before, after), wallMs);
  }

  #add(version: string, all: readonly ConfigChange[], wallMs: number): void {
    const changes = all.slice(0, MAX_CHANGES);
    const entry = { version, at: new Date(wallMs).toISOString(), changes, omitted: all.length - changes.length };
    this.#entries.unshift({ entry, bytes: Buffer.byteLength(JSON.stringify(entry)) });
    this.#trim();
  }

  #trim(): void {
    let bytes = this.#entries.reduce((sum, each) => sum + each.bytes, 0);
    while (this.#entries.length > MAX_ENTRIES || (bytes > MAX_TOTAL_BYTES && this.#entries.length > 1))
      bytes -= this.#entries.pop()?.bytes ?? 0;
  }
}

/** The settings alone. */
function sectionsOf({ accessControl, meshDomains }: MeshConfig): MeshConfig {
  return { ...emptyMeshConfig(), accessControl, meshDomains };
}
