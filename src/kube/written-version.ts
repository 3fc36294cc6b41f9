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

/** @returns `group/version` of the last write to the object's meaning; undefined where there is no record */
export function writtenVersion(raw: { readonly metadata: object }): string | undefined {
  const { managedFields } = raw.metadata as { managedFields?: readonly ManagedFields[] };
  let last: ManagedFields | undefined;
  for (const entry of managedFields ?? []) {
    if (entry.subresource !== undefined && entry.subresource !== "") continue;
    if (!MEANING.some((field) => Object.hasOwn(entry.fieldsV1 ?? {}, field))) continue;
    if (last === undefined || (entry.time ?? "") >= (last.time ?? "")) last = entry;
  }
  return last?.apiVersion;
}
