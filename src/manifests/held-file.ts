/**
 * A file that is saved in place is empty, or half of it, while it is written, and one that is exchanged is gone for a
 * moment. So a file that has lost objects stays as it was for that long; what only sets objects is in force at once. One
 * that is empty stays so for longer, with a problem: the shell empties it first, and then the program starts whose output
 * is to be there. Where only the end is missing, no time would be right.
 */
import { formatRef } from "../model/objects.ts";
import { problem } from "../model/problems.ts";
import type { Hold, LoadedFile } from "./loaded-file.ts";
import { fileRef } from "./manifest-file.ts";

/** How long a file that has lost objects must look the same until they are taken away. */
const HOLD_MS = 400;
/** At most, however often it changes: what is never at rest would never lose anything. */
const MAX_HOLD_MS = 2000;

/** What a file says, good or not, and what is in force of it. */
export function namesOf({ parsed, good }: LoadedFile): string[] {
  return [...parsed.entries.map(({ ref }) => formatRef(ref)), ...good.keys()];
}

/** A file that cannot be looked at is not known to have lost anything. */
export function unheld({ hold: _, ...file }: LoadedFile): LoadedFile {
  return file;
}

/** Milliseconds that it has left; 0 or less: none; without end where it lasts. */
export function heldMs({ sinceMs, lostMs, lasts }: Hold, nowMs: number): number {
  return lasts ? Number.POSITIVE_INFINITY : Math.min(sinceMs + HOLD_MS, lostMs + MAX_HOLD_MS) - nowMs;
}

/**
 * @param before what is in force of a file
 * @param after the same file as it is now; undefined where it is gone
 * @param said what all files say now: an object that has moved to another file is not lost
 * @returns what is in force of it until then; undefined where that is what it says now
 */
export function heldBack(
  before: LoadedFile,
  after: LoadedFile | undefined,
  said: ReadonlySet<string>,
  nowMs: number,
): LoadedFile | undefined {
  if (![...before.good.keys()].some((name) => !said.has(name))) return undefined;
  const hold = holdOf(before.hold, after, nowMs);
  if (heldMs(hold, nowMs) <= 0) return undefined;
  // What another file says instead is in force from there.
  const own = new Set(after === undefined ? [] : namesOf(after));
  const stays = (name: string) => own.has(name) || !said.has(name);
  const good = new Map([...before.good].filter(([name]) => stays(name)));
  if (hold.lasts && after !== undefined)
    return { ...before, hold, parsed: emptied(after), good, kept: new Set(good.keys()) };
  const entries = before.parsed.entries.filter(({ ref }) => stays(formatRef(ref)));
  return { ...before, hold, parsed: { ...before.parsed, entries }, good };
}

function holdOf(before: Hold | undefined, after: LoadedFile | undefined, nowMs: number): Hold {
  const stamp = after?.stamp ?? "";
  const isEmpty = after?.parsed.text.trim() === "";
  const lasted = before?.lasts === true;
  // What comes after a time of nothing is a beginning again.
  const begun = lasted && !isEmpty ? undefined : before;
  const hold = {
    stamp,
    sinceMs: begun?.stamp === stamp ? begun.sinceMs : nowMs,
    lostMs: begun?.lostMs ?? nowMs,
    lasts: lasted && isEmpty,
  };
  return isEmpty && heldMs(hold, nowMs) <= 0 ? { ...hold, lasts: true } : hold;
}

function emptied({ parsed }: LoadedFile): LoadedFile["parsed"] {
  const found = problem("ManifestEmptied", fileRef(parsed.path), "", "the file is empty");
  return { ...parsed, syntax: [{ problem: found, file: parsed.path, line: 1 }] };
}
