/** One file of manifests: its documents as objects, and where in it each field stands. */
import { type Document, isNode, LineCounter, parseAllDocuments } from "yaml";
import { type Decoded, decodeObject } from "../model/decode/decode-object.ts";
import { formatRef, type ObjectRef } from "../model/objects.ts";
import { type Problem, problem } from "../model/problems.ts";

/** Anchors may be used as often as people do; a document that multiplies itself is an attack. */
const MAX_ALIASES = 100;

export interface LocatedProblem {
  readonly problem: Problem;
  /** "" where it is of no file. */
  readonly file: string;
  /** From 1; 0 where it is of no file. */
  readonly line: number;
}

/** An object as the file has it, good or not. */
export interface ManifestEntry extends Decoded {
  readonly line: number;
}

export interface ManifestFile {
  readonly path: string;
  readonly entries: readonly ManifestEntry[];
  /** What keeps the file as a whole from being read; the entries are empty then. */
  readonly syntax: readonly LocatedProblem[];
  readonly text: string;
}

interface RawObject {
  readonly document: Document.Parsed;
  /** Where the object stands in its document: in a List, `items` and its number. */
  readonly path: readonly (string | number)[];
  readonly raw: unknown;
}

export function parseManifest(path: string, text: string): ManifestFile {
  const lines = new LineCounter();
  const syntax: LocatedProblem[] = [];
  const documents = parseDocuments(text, lines);
  const broken = (line: number, detail: string) =>
    syntax.push({ problem: problem("ManifestSyntax", fileRef(path), "", detail), file: path, line });
  for (const document of documents) {
    // The first error of a document often brings others after it that mean nothing.
    const [error] = document.errors;
    // What is missing at the end is missed one line after it.
    if (error !== undefined) broken(Math.min(error.linePos?.[0].line ?? 1, lineCount(text)), firstLine(error.message));
  }
  const entries: ManifestEntry[] = [];
  if (syntax.length === 0) {
    for (const document of documents) {
      let raws: RawObject[];
      try {
        raws = objectsOf(document);
      } catch (error) {
        broken(1, firstLine((error as Error).message));
        continue;
      }
      for (const each of raws) {
        const decoded = decodeObject(each.raw);
        if (decoded === undefined) continue;
        const other = otherThanObject(each.raw);
        const problems = other === "" ? decoded.problems : [problem("NoManifest", fileRef(path), "", other)];
        entries.push({ ...decoded, problems, line: lineOf(each, [], lines) });
      }
    }
  }
  return { path, entries: syntax.length === 0 ? entries : [], syntax, text };
}

/** Where fields stand in a file. It is read for the first question, once for all of them: keep this no longer than those. */
export class FieldLines {
  readonly #file: ManifestFile;
  readonly #lines = new LineCounter();
  #objects: ReadonlyMap<string, RawObject> | undefined;

  constructor(file: ManifestFile) {
    this.#file = file;
  }

  /**
   * The line of a field, or of the nearest thing around it that is there.
   * @param field as problems write it: `spec.ports[0].port`
   * @returns undefined where the file has no such object
   */
  lineOf(ref: ObjectRef, field: string): number | undefined {
    this.#objects ??= this.#read();
    const object = this.#objects.get(formatRef(ref));
    return object === undefined ? undefined : lineOf(object, parseField(field), this.#lines);
  }

  /** What stands before the first document that cannot be read; of objects of one name, the first. */
  #read(): Map<string, RawObject> {
    const objects = new Map<string, RawObject>();
    for (const document of parseDocuments(this.#file.text, this.#lines)) {
      if (document.errors.length > 0) break;
      for (const each of objectsOf(document)) {
        const ref = decodeObject(each.raw)?.ref;
        if (ref !== undefined && !objects.has(formatRef(ref))) objects.set(formatRef(ref), each);
      }
    }
    return objects;
  }
}

export function fileRef(path: string): ObjectRef {
  return { kind: "File", namespace: "", name: path };
}

function parseDocuments(text: string, lineCounter: LineCounter): Document.Parsed[] {
  const documents = parseAllDocuments(text, { lineCounter, uniqueKeys: true, prettyErrors: true });
  return Array.isArray(documents) ? (documents as Document.Parsed[]) : [];
}

/** The document's object, or those of a List. An empty document is none. */
function objectsOf(document: Document.Parsed): RawObject[] {
  const raw: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
  if (raw === null || raw === undefined) return [];
  const { kind, items } = raw as { kind?: unknown; items?: unknown };
  if (typeof kind === "string" && kind.endsWith("List") && Array.isArray(items))
    return items.map((item: unknown, index) => ({ document, path: ["items", index], raw: item }));
  return [{ document, path: [], raw }];
}

/** What it is, where nothing of it looks like an object of Kubernetes; "" where something does. */
function otherThanObject(raw: unknown): string {
  if (Array.isArray(raw)) return "it is a list";
  if (typeof raw !== "object" || raw === null) return `it is ${typeof raw === "string" ? "a text" : String(raw)}`;
  const known = ["apiVersion", "kind", "metadata"].some((key) => Object.hasOwn(raw, key));
  return known ? "" : "it has no apiVersion, kind and metadata";
}

function lineOf(object: RawObject, field: readonly (string | number)[], lines: LineCounter): number {
  for (let length = field.length; length >= 0; length--) {
    const path = [...object.path, ...field.slice(0, length)];
    const node: unknown = path.length === 0 ? object.document.contents : object.document.getIn(path, true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

/** `metadata.annotations["a.b/c"]` → metadata, annotations, a.b/c */
function parseField(field: string): (string | number)[] {
  return [...field.matchAll(/\["([^"]*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(([, quoted, index, name]) =>
    index === undefined ? (quoted ?? name ?? "") : Number(index),
  );
}

function lineCount(text: string): number {
  return text.replace(/\r?\n$/, "").split("\n").length;
}

function firstLine(message: string): string {
  return (message.split("\n", 1)[0] ?? "").replace(/ at line \d+, column \d+:?$/, "");
}
