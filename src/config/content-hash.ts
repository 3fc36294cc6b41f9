/**
 * The hash of a configuration's content, which is its version: equal on every replica that sees the same objects,
 * however it came there. It is a tree, so that an entry that changes costs what it weighs: an entry has a hash, the
 * entries of a section lie in buckets by their keys, a bucket has a hash of its entries in key order, a section one of
 * its buckets, and the configuration one of its sections and of what is in none.
 */
import { hash as hashOf } from "node:crypto";
import { type Change, entryOf, SECTIONS, type Section } from "./changes.ts";
import type { MeshConfig } from "./mesh-config.ts";

/** Of a section. 30,000 entries make some hundred a bucket. */
const BUCKETS = 256;

export class ContentHash {
  readonly #config: MeshConfig;
  readonly #sections: ReadonlyMap<Section, SectionHash>;
  #version = "";

  /** @param config which may change in place, if `update` is told */
  constructor(config: MeshConfig) {
    this.#config = config;
    this.#sections = new Map(SECTIONS.map((section) => [section, new SectionHash()]));
    for (const [section, hash] of this.#sections)
      for (const [key, entry] of Object.entries(config[section])) hash.set(key, entry);
    this.#sum();
  }

  /** 32 hexadecimal digits. */
  get version(): string {
    return this.#version;
  }

  /** The entries are looked up as they are now. */
  update(changes: Iterable<Change>): void {
    for (const { section, key } of changes)
      (this.#sections.get(section) as SectionHash).set(key, entryOf(this.#config, section, key));
    this.#sum();
  }

  #sum(): void {
    const { schema, accessControl, meshDomains } = this.#config;
    const parts = [canonical({ schema, accessControl, meshDomains })];
    for (const [section, hash] of this.#sections) parts.push(`${section} ${hash.digest()}`);
    this.#version = digestOf(parts.join("\n"));
  }
}

class SectionHash {
  readonly #buckets = Array.from({ length: BUCKETS }, () => new Map<string, string>());
  /** Of the buckets; undefined: to be worked out. */
  readonly #digests: (string | undefined)[] = Array.from({ length: BUCKETS }, () => "");
  #digest: string | undefined;

  /** @param entry undefined: there is none */
  set(key: string, entry: unknown): void {
    const index = bucketOf(key);
    const bucket = this.#buckets[index] as Map<string, string>;
    if (entry === undefined) bucket.delete(key);
    else bucket.set(key, digestOf(canonical(entry)));
    this.#digests[index] = undefined;
    this.#digest = undefined;
  }

  digest(): string {
    if (this.#digest !== undefined) return this.#digest;
    for (let index = 0; index < BUCKETS; index++) this.#digests[index] ??= this.#bucketDigest(index);
    this.#digest = digestOf(this.#digests.join(" "));
    return this.#digest;
  }

  #bucketDigest(index: number): string {
    const bucket = this.#buckets[index] as Map<string, string>;
    if (bucket.size === 0) return "";
    const lines = [...bucket.keys()].sort().map((key) => `${JSON.stringify(key)} ${bucket.get(key)}`);
    return digestOf(lines.join("\n"));
  }
}

function bucketOf(key: string): number {
  let hash = 0;
  for (let index = 0; index < key.length; index++) hash = (hash * 31 + key.charCodeAt(index)) | 0;
  return (hash ^ (hash >>> 8)) & (BUCKETS - 1);
}

function digestOf(text: string): string {
  return hashOf("sha256", text, "hex").slice(0, 32);
}

/** JSON with the keys of objects in order. */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  const object = value as Readonly<Record<string, unknown>>;
  const fields = Object.keys(object)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(object[key])}`);
  return `{${fields.join()}}`;
}
