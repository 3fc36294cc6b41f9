/**
 * The API version in which an object was written. A server gives it in whichever version it is asked for; where nothing
 * converts between versions, what the object means is still what its author's version says. The server keeps a record of
 * who wrote which fields in which version; that is where it is read.
 */
interface ManagedFields {
  readonly apiVersion?: string;
  readonly time?: string;
  readonly fieldsV1?: Readonly<Record<string, unknown>>;
  readonly subresource?: string;
}

/** Fields that say what an SMI object means, in any version. */
const MEANING = ["f:spec", "f:specs", "f:matches", "f:rules", "f:destination", "f:sources"];
/** What `kubectl apply` notes with each change of the file, be it the apiVersion alone. */
const LAST_APPLIED = "f:kubectl.kubernetes.io/last-applied-configuration";

/** @returns `group/version` of the last write to the object's meaning; undefined where there is no record */
export function writtenVersion(raw: { readonly metadata: object }): string | undefined {
  const { managedFields } = raw.metadata as { managedFields?: readonly ManagedFields[] };
  let last: ManagedFields | undefined;
  for (const entry of managedFields ?? []) {
    if (entry.subresource !== undefined && entry.subresource !== "") continue;
    if (!saysMeaning(entry.fieldsV1 ?? {})) continue;
    if (last === undefined || (entry.time ?? "") >= (last.time ?? "")) last = entry;
  }
  return last?.apiVersion;
}

function saysMeaning(fields: Readonly<Record<string, unknown>>): boolean {
  if (MEANING.some((field) => Object.hasOwn(fields, field))) return true;
  const metadata = fields["f:metadata"] as { readonly "f:annotations"?: object } | undefined;
  return Object.hasOwn(metadata?.["f:annotations"] ?? {}, LAST_APPLIED);
}
