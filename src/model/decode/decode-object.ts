/**
 * One Kubernetes object, as YAML or the API server gives it, to the form that the mesh reads: whichever API version it
 * is written in. What is wrong becomes problems with the path of the field, and there is no object then.
 */
import { z } from "zod";
import type { MeshObject, ObjectRef } from "../objects.ts";
import { type Problem, problem } from "../problems.ts";
import { CORE_KINDS } from "./core-kinds.ts";
import { describeIssues } from "./describe-issue.ts";
import { MetaSchema } from "./schemas.ts";
import { SMI_KINDS } from "./smi-kinds.ts";
import { TEMPLATE_KINDS, type WorkloadTemplate } from "./workload-template.ts";

/** How one kind is read. */
export interface KindDecoder {
  /** API group and versions that are read: `""` is the core group. */
  readonly group: string;
  readonly versions: readonly string[];
  readonly namespaced: boolean;
  decode(raw: unknown, version: string): z.ZodSafeParseResult<DecodedObject | readonly DecodedObject[]>;
}

export type DecodedObject = MeshObject | WorkloadTemplate;

export interface Decoded {
  /** How the source names it: kind, namespace and name as written. */
  readonly ref: ObjectRef;
  /** Several for Endpoints, which become a slice for each subset; none where there are problems. */
  readonly objects: readonly DecodedObject[];
  readonly problems: readonly Problem[];
}

const DECODERS: Readonly<Record<string, KindDecoder>> = { ...CORE_KINDS, ...SMI_KINDS, ...TEMPLATE_KINDS };

/** Name of an object that has none, in messages. */
export const UNNAMED = "(without name)";

const HeadSchema = z.looseObject({ apiVersion: z.string(), kind: z.string() });

/** @returns undefined for an object of a kind that the mesh does not read */
export function decodeObject(raw: unknown): Decoded | undefined {
  const head = HeadSchema.safeParse(raw);
  if (!head.success) {
    const ref = refOfRaw(raw);
    const detail = "it has no apiVersion and kind, both as text, so it is no object of Kubernetes";
    return { ref, objects: [], problems: [problem("ManifestInvalid", ref, "", detail)] };
  }
  const { apiVersion, kind } = head.data;
  const decoder = Object.hasOwn(DECODERS, kind) ? DECODERS[kind] : undefined;
  const [group, version] = splitApiVersion(apiVersion);
  if (decoder === undefined || decoder.group !== group) return undefined;
  const ref = refOfRaw(raw, decoder.namespaced);
  if (!decoder.versions.includes(version)) {
    const known = decoder.versions.map((each) => (group === "" ? each : `${group}/${each}`)).join(", ");
    const problems = [problem("UnknownVersion", ref, "apiVersion", `"${apiVersion}" is none of ${known}`)];
    return { ref, objects: [], problems };
  }
  const { metadata } = raw as { metadata?: unknown };
  const meta = MetaSchema.safeParse(metadata);
  const problems: Problem[] = [];
  if (!meta.success)
    for (const { field, detail } of describeIssues(
      meta.error,
      (raw as Record<string, unknown>)["metadata"],
      "metadata",
    ))
      problems.push(problem("ManifestInvalid", ref, field, detail));
  const decoded = decoder.decode(raw, version);
  if (!decoded.success)
    for (const { field, detail } of describeIssues(decoded.error, raw))
      if (!field.startsWith("metadata")) problems.push(problem("ManifestInvalid", ref, field, detail));
  if (problems.length > 0 || !decoded.success) return { ref, objects: [], problems };
  const { data } = decoded;
  return { ref, objects: Array.isArray(data) ? data : [data as DecodedObject], problems };
}

function splitApiVersion(apiVersion: string): readonly [string, string] {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? ["", apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
}

/** As much as can be told of an object that may be wrong in every place. */
function refOfRaw(raw: unknown, namespaced = true): ObjectRef {
  const object = (typeof raw === "object" && raw !== null ? raw : {}) as Record<string, unknown>;
  const meta = (
    typeof object["metadata"] === "object" && object["metadata"] !== null ? object["metadata"] : {}
  ) as Record<string, unknown>;
  const text = (value: unknown, fallback: string) => (typeof value === "string" && value !== "" ? value : fallback);
  return {
    kind: text(object["kind"], "Object"),
    namespace: namespaced ? text(meta["namespace"], "default") : "",
    name: text(meta["name"], UNNAMED),
  };
}
