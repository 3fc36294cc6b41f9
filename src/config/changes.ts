/**
 * Changes of a configuration in place. Sections of thousands of entries are not copied for one of them: whoever has the
 * configuration is told which entries are other ones, and what stood there before. Entries themselves are immutable: a
 * change puts another object in their place.
 */
import { define, diffOf, type MergePatch, patched, shareUnchanged } from "./delta.ts";
import type { MeshConfig } from "./mesh-config.ts";

/** Fields of MeshConfig that are collections by a stable key. */
export const SECTIONS = ["names", "entrypoints", "servicePorts", "accessRules", "workloads"] as const;
export type Section = (typeof SECTIONS)[number];

/** An entry that is another one than it was. */
export interface Change {
  readonly section: Section;
  readonly key: string;
  /** Undefined: there was none. */
  readonly before: unknown;
}

type Entries = Record<string, unknown>;

export function entryOf(config: MeshConfig, section: Section, key: string): unknown {
  const entries: Entries = config[section];
  return Object.hasOwn(entries, key) ? entries[key] : undefined;
}

/** The entries of that section that may be other ones than before; without changes, all of `known` and of the section. */
export function* changedKeys(
  changes: readonly Change[] | undefined,
  section: Section,
  entries: object,
  known: Iterable<string>,
): Iterable<string> {
  if (changes !== undefined) {
    for (const change of changes) if (change.section === section) yield change.key;
    return;
  }
  for (const key of known) if (!Object.hasOwn(entries, key)) yield key;
  yield* Object.keys(entries);
}

/** Writes a configuration entry by entry, and remembers what was there. */
export class ConfigWriter {
  readonly config: MeshConfig;
  /** By section and key, what was there first. */
  readonly #before: ReadonlyMap<Section, Map<string, unknown>> = new Map(
    SECTIONS.map((section) => [section, new Map()]),
  );

  constructor(config: MeshConfig) {
    this.config = config;
  }

  /** @param value undefined: none. What says the same as the entry that is there leaves that one in place. */
  put(section: Section, key: string, value: unknown): void {
    const before = entryOf(this.config, section, key);
    const after = shareUnchanged(before, value);
    if (after === before) return;
    const known = this.#before.get(section) as Map<string, unknown>;
    if (!known.has(key)) known.set(key, before);
    const entries: Entries = this.config[section];
    if (after === undefined) delete entries[key];
    else define(entries, key, after);
  }

  /** What changed since this was asked last. */
  take(): Change[] {
    const changes: Change[] = [];
    for (const [section, known] of this.#before) {
      for (const [key, before] of known)
        if (entryOf(this.config, section, key) !== before) changes.push({ section, key, before });
      known.clear();
    }
    return changes;
  }
}

/** A patch of entries alone: `null` takes one away. */
export type EntryPatch = Readonly<Partial<Record<Section, Readonly<Record<string, unknown>>>>>;

/** What the patch makes of each entry that it names; undefined: it goes. Nothing is written. */
export function* entriesAfter(
  config: MeshConfig,
  patch: EntryPatch,
): Iterable<readonly [section: Section, key: string, after: unknown]> {
  for (const section of SECTIONS)
    for (const [key, change] of Object.entries(patch[section] ?? {}))
      yield [section, key, change === null ? undefined : patched(entryOf(config, section, key), change)];
}

/** @returns a patch from how the configuration was before the changes to how it is */
export function patchOf(changes: Iterable<Change>, config: MeshConfig): MergePatch & EntryPatch {
  const patch: Partial<Record<Section, Entries>> = {};
  const seen = new Set<string>();
  for (const { section, key, before } of changes) {
    // Of several changes of an entry, the first knows how it was.
    const id = `${section} ${key}`;
    if (seen.has(id)) continue;
    seen.add(id);
    const difference = diffOf(before, entryOf(config, section, key));
    if (difference === undefined) continue;
    const entries = patch[section] ?? {};
    define(entries, key, difference);
    patch[section] = entries;
  }
  return patch;
}

/** @returns how the second differs from the first, entry by entry. They may be different objects in all. */
export function changesBetween(from: MeshConfig, to: MeshConfig): Change[] {
  const changes: Change[] = [];
  for (const section of SECTIONS) {
    if (from[section] === to[section]) continue;
    for (const key of changedKeys(undefined, section, to[section], Object.keys(from[section]))) {
      const before = entryOf(from, section, key);
      if (diffOf(before, entryOf(to, section, key)) !== undefined) changes.push({ section, key, before });
    }
  }
  return changes;
}
