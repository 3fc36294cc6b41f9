/**
 * A configuration with the hash of its content as version: two controllers that see the same objects serve the same
 * version, and equal versions need not be looked at.
 *
 * The hash is a tree of hashes, one for each object, remembered as long as that object lives: after a small change only
 * the objects on the way to it are hashed again.
 */
import { createHash } from "node:crypto";
import type { MeshConfig } from "./mesh-config.ts";

export interface Snapshot {
  /** 32 hexadecimal digits. */
  readonly version: string;
  readonly config: MeshConfig;
}

const hashes = new WeakMap<object, string>();

/** The configuration must not be changed afterwards. */
export function seal(config: MeshConfig): Snapshot {
  return { version: contentHash(config), config };
}

/** Of any plain data; independent of the order of keys. */
function contentHash(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const known = hashes.get(value);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  if (Array.isArray(value)) for (const item of value) hash.update(`[${contentHash(item)}`);
  else {
    const object = value as Record<string, unknown>;
    for (const key of Object.keys(object).sort()) hash.update(`{${JSON.stringify(key)}:${contentHash(object[key])}`);
    hash.update("}");
  }
  const digest = hash.digest("hex").slice(0, 32);
  hashes.set(value, digest);
  return digest;
}
