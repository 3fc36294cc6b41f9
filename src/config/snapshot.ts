/**
 * A configuration with the hash of its content as version: two controllers that see the same objects serve the same
 * version, and equal versions need not be looked at.
 */
import { type Change, ConfigWriter } from "./changes.ts";
import { ContentHash } from "./content-hash.ts";
import type { MeshConfig } from "./mesh-config.ts";

export interface Snapshot {
  /** 32 hexadecimal digits. */
  readonly version: string;
  readonly config: MeshConfig;
}

/** The configuration must not be changed afterwards. */
export function seal(config: MeshConfig): Snapshot {
  return { version: new ContentHash(config).version, config };
}

/**
 * A configuration that goes on from version to version in place. Whoever keeps it has the newest; what an entry said
 * before is in the changes that each step gives.
 */
export class LiveSnapshot implements Snapshot {
  readonly config: MeshConfig;
  readonly #hash: ContentHash;

  constructor(config: MeshConfig) {
    this.config = config;
    this.#hash = new ContentHash(config);
  }

  get version(): string {
    return this.#hash.version;
  }

  toJSON(): Snapshot {
    return { version: this.version, config: this.config };
  }

  /** @param changes that were made in the configuration already */
  noteChanges(changes: readonly Change[]): void {
    if (changes.length > 0) this.#hash.update(changes);
  }

  /** Takes the changes back. */
  revert(changes: readonly Change[]): void {
    const writer = new ConfigWriter(this.config);
    for (const { section, key, before } of changes) writer.put(section, key, before);
    this.#hash.update(changes);
  }
}
