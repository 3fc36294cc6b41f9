/**
 * One Kubernetes object, as YAML or the API server gives it, to the form that the mesh reads: whichever API version it
 * is written in. What is wrong becomes problems with the path of the field, and there is no object then.
 */
import { z } from "zod";
import { nearest } from "../nearest.ts";
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

/** What others measured; the mesh has no use for it. */
const NOT_READ_OF_SMI = "metrics.smi-spec.io";

/** Name of an object that has none, in messages. */
export const UNNAMED = "(without name)";

const HeadSchema = z.looseObject({ apiVersion: z.string(), kind: z.string() });

/** @returns undefined for an object of a kind that the mesh does not read, and that was not meant to be read */
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
  if (decoder === undefined || decoder.group !== group) return misspelt(raw, group);
  const ref = refOfRaw(raw, decoder.namespaced);
  if (!decoder.versions.includes(version)) {
    const detail = `"${apiVersion}" is none of ${formatVersions(decoder)}`;
    const problems = [problem("UnknownVersion", ref, "apiVersion", detail)];
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

/**
 * A kind that is not read and was probably meant to be. In SMI's groups that is any; Kubernetes' own hold many others, so
 * there only what is nearly a kind that is read, or is one of another group that is.
 */
function misspelt(raw: unknown, group: string): Decoded | undefined {
  const { apiVersion, kind } = raw as { readonly apiVersion: string; readonly kind: string };
  const isSmi = `.${group}`.endsWith(".smi-spec.io") && group !== NOT_READ_OF_SMI;
  const known = Object.entries(DECODERS);
  if (!isSmi && !known.some(([, decoder]) => decoder.group === group)) return undefined;
  const candidates = isSmi ? Object.entries(SMI_KINDS) : known.filter(([, decoder]) => decoder.group === group);
  const meant = Object.hasOwn(DECODERS, kind)
    ? kind
    : nearest(
        kind,
        candidates.map(([name]) => name),
      );
  if (meant === undefined && !isSmi) return undefined;
  const ref = refOfRaw(raw);
  const hint = meant === undefined ? "" : `, ${meant} of ${formatVersions(DECODERS[meant] as KindDecoder)} is`;
  const detail = `${kind} of ${apiVersion} is no kind that the mesh reads${hint}`;
  return { ref, objects: [], problems: [problem("KindUnknown", ref, "kind", detail)] };
}

function formatVersions({ group, versions }: KindDecoder): string {
  return versions.map((each) => (group === "" ? each : `${group}/${each}`)).join(", ");
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
