/** What the config stream carries: one full configuration, then differences, each with the version that it leads to. */
import { z } from "zod";
import { applyPatch, type MergePatch } from "./delta.ts";
import { type MeshConfig, MeshConfigSchema } from "./mesh-config.ts";
import { type Snapshot, seal } from "./snapshot.ts";

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

export type Received = { readonly snapshot: Snapshot } | { readonly error: string };

/**
 * Takes a message to the configuration that it leads to. A field that this version does not know is an error: leaving
 * it out could open what it was meant to close.
 * @param current what is in force; a delta must start from it
 */
export function receive(message: unknown, current: Snapshot | undefined): Received {
  const parsed = MessageSchema.safeParse(message);
  if (!parsed.success) return { error: `not a configuration message: ${z.prettifyError(parsed.error)}` };
  const { data } = parsed;
  if (data.type === "full") return verified(seal(data.config), data.version);
  if (current === undefined || current.version !== data.from)
    return { error: `a delta from ${data.from}, but ${current?.version ?? "nothing"} is in force: ask for the whole` };
  const config = applyPatch(current.config, data.patch as MergePatch);
  const fault = faultAfter(config, data.patch as MergePatch);
  if (fault !== undefined) return { error: `the delta leads to no configuration: ${fault}` };
  return verified(seal(config), data.version);
}

/** Looks only at what the patch touched: the rest was looked at when it came. */
function faultAfter(config: MeshConfig, patch: MergePatch): string | undefined {
  const shape: Readonly<Record<string, z.ZodType>> = MeshConfigSchema.shape;
  for (const [field, change] of Object.entries(patch)) {
    const schema = Object.hasOwn(shape, field) ? shape[field] : undefined;
    if (schema === undefined) return `it has no field "${field}"`;
    const value = config[field as keyof MeshConfig];
    const single = schema instanceof z.ZodRecord && typeof change === "object" && change !== null && isRecord(value);
    if (!single) {
      const parsed = schema.safeParse(value);
      if (!parsed.success) return `${field}: ${z.prettifyError(parsed.error)}`;
      continue;
    }
    for (const key of Object.keys(change)) {
      if (!Object.hasOwn(value, key)) continue;
      const parsed = z.safeParse(schema.valueType, value[key]);
      if (!parsed.success) return `${field}["${key}"]: ${z.prettifyError(parsed.error)}`;
    }
  }
  return undefined;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function verified(snapshot: Snapshot, version: string): Received {
  if (snapshot.version === version) return { snapshot };
  return { error: `the content has version ${snapshot.version}, and the message says ${version}` };
}
