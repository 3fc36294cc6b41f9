/** A file as it was read last, and what of it is in force: what is broken leaves in force what was there before. */
import { type DecodedObject, UNNAMED } from "../model/decode/decode-object.ts";
import { formatRef } from "../model/objects.ts";
import { afterEdit } from "../model/problems.ts";
import { FieldLines, type LocatedProblem, type ManifestFile } from "./manifest-file.ts";

/** A file that has lost objects, or is gone, and how long that is so; by the monotonic clock. */
export interface Hold {
  /** The file as it was seen; "" where it was gone. */
  readonly stamp: string;
  readonly sinceMs: number;
  /** Since when something is missing, however the file has changed meanwhile. */
  readonly lostMs: number;
  /** It is empty, and stays as it was until it says something or is gone. */
  readonly lasts: boolean;
}

export interface LoadedFile {
  readonly stamp: string;
  readonly parsed: ManifestFile;
  /** The last form whose YAML could be read: what is in force stands there. */
  readonly readable: ManifestFile;
  /** What is in force of it, by the name that the file gives it. */
  readonly good: ReadonlyMap<string, readonly DecodedObject[]>;
  /** Of these, what an edit made wrong: in force is what they said before. */
  readonly kept: ReadonlySet<string>;
  /** All else is how the file was before; absent: it is how the file is. */
  readonly hold?: Hold;
}

/** What a file says of itself and of its single objects. */
export function problemsOf({ parsed, kept }: LoadedFile): LocatedProblem[] {
  const problems = [...parsed.syntax];
  const fields = new FieldLines(parsed);
  for (const { ref, problems: own, line } of parsed.entries)
    for (const each of own)
      problems.push({
        problem: kept.has(formatRef(ref)) ? afterEdit(each) : each,
        file: parsed.path,
        line: (ref.name === UNNAMED ? undefined : fields.lineOf(ref, each.field)) ?? line,
      });
  return problems;
}

/** A broken file keeps everything, a broken object its last good form. */
export function inForce(
  parsed: ManifestFile,
  before: ReadonlyMap<string, readonly DecodedObject[]>,
): Pick<LoadedFile, "good" | "kept"> {
  if (parsed.syntax.length > 0) return { good: before, kept: new Set(before.keys()) };
  const good = new Map<string, readonly DecodedObject[]>();
  const kept = new Set<string>();
  for (const { ref, objects, problems } of parsed.entries) {
    const name = formatRef(ref);
    const isGood = problems.length === 0;
    const said = isGood ? objects : before.get(name);
    if (said === undefined || good.has(name)) continue;
    good.set(name, said);
    if (!isGood) kept.add(name);
  }
  return { good, kept };
}
