/** What the config stream carries: one full configuration, then differences, each with the version that it leads to. */
import { z } from "zod";
import { type Change, ConfigWriter, type EntryPatch, entriesAfter, SECTIONS, type Section } from "./changes.ts";
import { applyPatch, type MergePatch } from "./delta.ts";
import { type MeshConfig, MeshConfigSchema } from "./mesh-config.ts";
import { LiveSnapshot } from "./snapshot.ts";

const FullSchema = z.strictObject({
  type: z.literal("full"),
  /** Counts what one controller has published; an acknowledgement names the message by it. */
  sequence: z.int().min(0),
  version: z.string(),
  config: MeshConfigSchema,
});

const DeltaSchema = z.strictObject({
  type: z.literal("delta"),
  sequence: z.int().min(0),
  /** The version that it changes. */
  from: z.string(),
  version: z.string(),
  patch: z.record(z.string(), z.unknown()),
});

const MessageSchema = z.discriminatedUnion("type", [FullSchema, DeltaSchema]);

export type Received =
  | {
      readonly snapshot: LiveSnapshot;
      /** From what was in force; absent: anything may be another. */
      readonly changes?: readonly Change[];
    }
  | { readonly error: string };

/**
 * Takes a message to the configuration that it leads to. A field that this version does not know is an error: leaving
 * it out could open what it was meant to close.
 * @param current what is in force; a delta must start from it, and changes it in place, or leaves it as it is
 */
export function receive(message: unknown, current: LiveSnapshot | undefined): Received {
  const parsed = MessageSchema.safeParse(message);
  if (!parsed.success) return { error: `not a configuration message: ${z.prettifyError(parsed.error)}` };
  const { data } = parsed;
  if (data.type === "full") return verified(new LiveSnapshot(data.config), data.version);
  if (current === undefined || current.version !== data.from)
    return { error: `a delta from ${data.from}, but ${current?.version ?? "nothing"} is in force: ask for the whole` };
  return changesEntriesOnly(data.patch)
    ? step(current, data.patch, data.version)
    : leap(current, data.patch, data.version);
}

function changesEntriesOnly(patch: Readonly<Record<string, unknown>>): patch is EntryPatch {
  const sections: readonly string[] = SECTIONS;
  return Object.keys(patch).every((field) => sections.includes(field) && isRecord(patch[field]));
}

/** The usual delta: it costs what it changes, however much there is. */
function step(current: LiveSnapshot, patch: EntryPatch, version: string): Received {
  const entries = [...entriesAfter(current.config, patch)];
  for (const [section, key, after] of entries) {
    const fault = after === undefined ? undefined : faultOfEntry(section, key, after);
    if (fault !== undefined) return { error: `the delta leads to no configuration: ${fault}` };
  }
  const writer = new ConfigWriter(current.config);
  for (const [section, key, after] of entries) writer.put(section, key, after);
  const changes = writer.take();
  current.noteChanges(changes);
  const verdict = verified(current, version);
  if ("error" in verdict) current.revert(changes);
  return "error" in verdict ? verdict : { snapshot: current, changes };
}

function faultOfEntry(section: Section, key: string, entry: unknown): string | undefined {
  const parsed = z.safeParse(MeshConfigSchema.shape[section].valueType as z.ZodType, entry);
  return parsed.success ? undefined : `${section}["${key}"]: ${z.prettifyError(parsed.error)}`;
}

/** A delta of any form. */
function leap(current: LiveSnapshot, patch: MergePatch, version: string): Received {
  const config = applyPatch(current.config, patch);
  const fault = faultAfter(config, patch);
  if (fault !== undefined) return { error: `the delta leads to no configuration: ${fault}` };
  return verified(new LiveSnapshot(config), version);
}

/** Looks only at the fields that the patch touched: the rest was looked at when it came. */
function faultAfter(config: MeshConfig, patch: MergePatch): string | undefined {
  const shape: Readonly<Record<string, z.ZodType>> = MeshConfigSchema.shape;
  for (const field of Object.keys(patch)) {
    const schema = Object.hasOwn(shape, field) ? shape[field] : undefined;
    if (schema === undefined) return `it has no field "${field}"`;
    const parsed = schema.safeParse(config[field as keyof MeshConfig]);
    if (!parsed.success) return `${field}: ${z.prettifyError(parsed.error)}`;
  }
  return undefined;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function verified(snapshot: LiveSnapshot, version: string): Received {
  if (snapshot.version === version) return { snapshot };
  return { error: `the content has version ${snapshot.version}, and the message says ${version}` };
}
