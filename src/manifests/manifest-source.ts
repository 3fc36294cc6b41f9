/**
 * Objects from files, as the API server would hold them: a broken file or object leaves in force what it said before,
 * as a refused `kubectl apply` does. So does a path that cannot be read, or that was given and is not there: a folder
 * that is moved, mounted or made anew must not empty the mesh meanwhile. What goes from a folder that can be read is
 * gone, after a moment in which it may come back (`heldBack`).
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { resolve as absolute, sep } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../model/clock.ts";
import { type ClusterDelta, ClusterState } from "../model/cluster-state.ts";
import { type DecodedObject, UNNAMED } from "../model/decode/decode-object.ts";
import { formatRef, keyOf, type MeshObject, type ObjectRef, refOf } from "../model/objects.ts";
import { formatProblem, type Problem, problem } from "../model/problems.ts";
import type { Log } from "../telemetry/log.ts";
import { type Found, type FoundFile, findFiles, NO_FILE, STANDARD_INPUT } from "./find-files.ts";
import { heldBack, heldMs, namesOf, unheld } from "./held-file.ts";
import { inForce, type LoadedFile, problemsOf } from "./loaded-file.ts";
import type { LoopbackAddresses } from "./loopback-addresses.ts";
import { FieldLines, fileRef, type LocatedProblem, type ManifestFile, parseManifest } from "./manifest-file.ts";
import { ManifestWatch } from "./manifest-watch.ts";
import { materialize } from "./materialize.ts";

export interface ManifestSourceOptions {
  readonly paths: readonly string[];
  /** What the path `-` stands for. */
  readonly input?: string;
  readonly addresses: LoopbackAddresses;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ManifestUpdate {
  readonly delta: ClusterDelta;
  /** Of the files and of single objects; with the place of each. */
  readonly problems: readonly LocatedProblem[];
  readonly files: number;
}

const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** A file that was written to a moment ago may be half of it. */
const SETTLE_MS = 15;
const MAX_SETTLE_ROUNDS = 20;

export class ManifestSource {
  readonly state = new ClusterState();
  readonly #options: ManifestSourceOptions;
  #files = new Map<string, LoadedFile>();
  #places = new Map<string, LoadedFile>();
  #templates: ReadonlyMap<string, ObjectRef> = new Map();
  #found: Found = { places: [], folders: [], empty: [], moving: false };
  /** Files whose content could not be read although they are there: the next look must try again. */
  #unread = 0;

  constructor(options: ManifestSourceOptions) {
    this.#options = options;
  }

  /** Reads what changed since the last time, all of it at first. Calls must not overlap. */
  async load(): Promise<ManifestUpdate> {
    this.#found = await this.#settled();
    this.#unread = 0;
    const problems: LocatedProblem[] = [];
    const files = this.#withHeld(await this.#readAll(problems));
    this.#files = files;
    const held = [...files].filter(([, { hold }]) => hold !== undefined).map(([path]) => path);
    const isEmpty = (folder: string) => !held.some((path) => isWithin(path, folder));
    problems.push(...this.#found.empty.filter(isEmpty).map(noManifests));
    for (const file of files.values()) problems.push(...problemsOf(file));
    const decoded = this.#combine(problems);
    const { objects, problems: made, templates } = materialize(decoded, this.#options.addresses);
    this.#templates = templates;
    problems.push(...this.locate(made));
    const delta = difference(this.state, objects);
    this.state.apply(delta);
    return { delta, problems, files: files.size };
  }

  /**
   * Calls back after each change of the files that makes a difference to objects or problems, and waits for it before
   * the next look. Ends with the signal.
   */
  watch(onUpdate: (update: ManifestUpdate) => Promise<void>, signal: AbortSignal): void {
    new ManifestWatch(this, this.#options, onUpdate, signal);
  }

  /** Folders in which a change may matter. */
  get folders(): readonly string[] {
    return this.#found.folders;
  }

  /** Milliseconds until what is held back must be looked at again; undefined where nothing is. */
  get dueInMs(): number | undefined {
    const now = this.#options.clock.now();
    const held = [...this.#files.values()].flatMap(({ hold }) => (hold === undefined ? [] : [heldMs(hold, now)]));
    const due = Math.min(...held);
    return Number.isFinite(due) ? Math.max(0, due) : undefined;
  }

  /** Whether a look at the files shows something else than the last load saw, or may show it now. */
  async hasChanged(): Promise<boolean> {
    if (this.#unread > 0 || this.#found.moving || this.dueInMs === 0) return true;
    return !isDeepStrictEqual(await findFiles(this.#options.paths), this.#found);
  }

  /**
   * Adds file and line to problems with objects of this source. What is wrong with Pods that were made is wrong with their
   * template, and is said once.
   */
  locate(found: readonly Problem[]): LocatedProblem[] {
    const located = new Map<string, LocatedProblem>();
    const lines = new Map<ManifestFile, FieldLines>();
    for (const each of found) {
      const written = this.#asWritten(each);
      const name = formatProblem(written);
      if (!located.has(name)) located.set(name, this.#place(written, lines));
    }
    return [...located.values()];
  }

  #asWritten(found: Problem): Problem {
    const template = found.object.kind === "Pod" ? this.#templates.get(keyOf(found.object)) : undefined;
    if (template === undefined) return found;
    return { ...found, object: template, field: found.field.replace(/^spec\b/, "spec.template.spec") };
  }

  #place(found: Problem, lines: Map<ManifestFile, FieldLines>): LocatedProblem {
    const parsed = this.#places.get(formatRef(found.object))?.readable;
    if (parsed === undefined) return { problem: found, file: "", line: 0 };
    const fields = lines.get(parsed) ?? new FieldLines(parsed);
    lines.set(parsed, fields);
    return { problem: found, file: parsed.path, line: fields.lineOf(found.object, found.field) ?? 1 };
  }

  /** Waits until no file was written to just now, and nothing vanishes while it is looked at. */
  async #settled(): Promise<Found> {
    const { clock, paths } = this.#options;
    for (let round = 0; ; round++) {
      const found = await findFiles(paths);
      const now = clock.wall();
      const busy = found.places.some(
        (place) => !("unreadable" in place) && this.#isNew(place) && Math.abs(now - place.modifiedAtMs) < SETTLE_MS,
      );
      if (!(busy || found.moving) || round === MAX_SETTLE_ROUNDS) return found;
      await new Promise<void>((resolve) => clock.after(SETTLE_MS, resolve));
    }
  }

  #isNew({ path, stamp }: FoundFile): boolean {
    const known = this.#files.get(path);
    // At the first load nothing is in force that half a file could take away.
    return known !== undefined && known.stamp !== stamp;
  }

  async #loadFile(file: FoundFile, problems: LocatedProblem[]): Promise<LoadedFile | undefined> {
    const { path, stamp } = file;
    const before = this.#files.get(path);
    if (before?.stamp === stamp && before.hold === undefined) return before;
    const kept = before?.good ?? new Map<string, readonly DecodedObject[]>();
    try {
      const text = path === STANDARD_INPUT ? (this.#options.input ?? "") : await readText(path);
      const parsed = parseManifest(path, text);
      const readable = parsed.syntax.length === 0 ? parsed : (before?.readable ?? parsed);
      return { stamp, parsed, readable, ...inForce(parsed, kept) };
    } catch (error) {
      this.#unread++;
      // It went after it was listed, alone or with its folder: the next look tells which.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") problems.push(unreadable(path, (error as Error).message));
      return before && unheld(before);
    }
  }

  /** What the files say now; of those that cannot be read, what they said before. */
  async #readAll(problems: LocatedProblem[]): Promise<Map<string, LoadedFile>> {
    const files = new Map<string, LoadedFile>();
    for (const place of this.#found.places) {
      if ("unreadable" in place) {
        problems.push(unreadable(place.path, place.unreadable));
        for (const [path, before] of this.#files)
          if (isWithin(path, place.path) && !files.has(path)) files.set(path, unheld(before));
      } else {
        const loaded = await this.#loadFile(place, problems);
        if (loaded !== undefined) files.set(place.path, loaded);
      }
    }
    return files;
  }

  /** With what files that lose objects, or are gone, said before. */
  #withHeld(read: ReadonlyMap<string, LoadedFile>): Map<string, LoadedFile> {
    const now = this.#options.clock.now();
    const said = new Set([...read.values()].flatMap(namesOf));
    const files = new Map(read);
    for (const [path, before] of this.#files) {
      const after = read.get(path);
      const held = heldBack(before, after, said, now);
      if (held !== undefined) files.set(path, held);
    }
    return files;
  }

  /** All files together; of two objects with one name, the first is in force. */
  #combine(problems: LocatedProblem[]): DecodedObject[] {
    const decoded: DecodedObject[] = [];
    this.#places = new Map();
    for (const file of this.#files.values()) {
      const inFile = new Map<string, number>();
      for (const { ref, line } of file.parsed.entries) {
        if (ref.name === UNNAMED) continue;
        const name = formatRef(ref);
        const first = this.#places.get(name);
        if (first !== undefined) problems.push(duplicate(ref, file.parsed.path, line, first, inFile.get(name)));
        else {
          this.#places.set(name, file);
          inFile.set(name, line);
        }
      }
      for (const [name, objects] of file.good) {
        const place = this.#places.get(name);
        if (place === undefined) this.#places.set(name, file);
        if (place === undefined || place === file) decoded.push(...objects);
      }
    }
    return decoded;
  }
}

/** @throws an Error whose message says what is wrong with it, as the start of a sentence */
async function readText(path: string): Promise<string> {
  // Without waiting: it may have become a pipe since it was looked at.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw new Error(NO_FILE);
    if (info.size > MAX_FILE_BYTES) throw new Error(`it has ${info.size} bytes, and ${MAX_FILE_BYTES} is the most`);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

/** Whether it is this place, or beneath it. */
function isWithin(path: string, place: string): boolean {
  const folder = absolute(place);
  const inside = absolute(path);
  return inside === folder || inside.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);
}

function unreadable(path: string, reason: string): LocatedProblem {
  return { problem: problem("FileUnreadable", fileRef(path), "", reason), file: path, line: 1 };
}

function noManifests(path: string): LocatedProblem {
  const detail = "no file in it ends in .yaml, .yml or .json";
  return { problem: problem("FolderWithoutManifests", fileRef(path), "", detail), file: path, line: 1 };
}

function duplicate(
  ref: ObjectRef,
  file: string,
  line: number,
  first: LoadedFile,
  firstLine: number | undefined,
): LocatedProblem {
  const where = firstLine === undefined ? first.parsed.path : `line ${firstLine}`;
  return { problem: problem("DuplicateObject", ref, "metadata.name", `it is in ${where} already`), file, line };
}

function difference(state: ClusterState, objects: readonly MeshObject[]): ClusterDelta {
  const wanted = new Map(objects.map((object) => [formatRef(refOf(object)), object]));
  const put: MeshObject[] = [];
  for (const object of wanted.values())
    if (!isDeepStrictEqual(state.get(object.kind, keyOf(object.meta)), object)) put.push(object);
  const remove = [...state.all()].map(refOf).filter((ref) => !wanted.has(formatRef(ref)));
  return { put, remove };
}
