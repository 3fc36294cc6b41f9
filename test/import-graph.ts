/**
 * What a source file imports, read without a compiler: comments, string contents, template texts and regexes are taken
 * out by one pass over the text, so that what is left can be searched for import and export statements.
 */

export interface ImportEdge {
  /** As written: `../model/objects.ts`, `node:net`, `zod`. */
  readonly specifier: string;
  /** Nothing of it is left at run time: `import type`, `export type … from`. */
  readonly typeOnly: boolean;
}

/** Texts by path from `src/`: `proxy/http1/bytes.ts`. */
export type Sources = ReadonlyMap<string, string>;

/** Specifier of an `import()` or `require()` whose argument is not a string literal: nobody can check it. */
export const COMPUTED = "(computed)";

const STATEMENT = /\b(?:import|export)\s+(type\s+(?!from\b))?[\w$*{},\s"]*?\bfrom\s*"(\d+)"/g;
const BARE = /\bimport\s*"(\d+)"/g;
const CALL = /(?<![.\w$])(?:import|require)\s*\(\s*(?:"(\d+)")?/g;

/** Every import of a TypeScript source, in no promised order. */
export function importsOf(source: string): ImportEdge[] {
  const { code, strings } = blank(source);
  const text = (index: string | undefined) => (index === undefined ? COMPUTED : (strings[Number(index)] as string));
  const edges: ImportEdge[] = [];
  for (const match of code.matchAll(STATEMENT))
    edges.push({ specifier: text(match[2]), typeOnly: match[1] !== undefined });
  for (const match of code.matchAll(BARE)) edges.push({ specifier: text(match[1]), typeOnly: false });
  for (const match of code.matchAll(CALL)) edges.push({ specifier: text(match[1]), typeOnly: false });
  return edges;
}

/** The path from `src/` that a relative specifier names, or undefined where it leads out of `src/`. */
export function resolve(from: string, specifier: string): string | undefined {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "." || part === "") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/");
}

const REGEX_MAY_FOLLOW = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|yield|await))\s*$/;

interface Blanked {
  /** Strings as `"3"`, the number being their place in `strings`; templates keep only the code in `${}`. */
  readonly code: string;
  readonly strings: readonly string[];
}

function blank(source: string): Blanked {
  const strings: string[] = [];
  /** Depth of braces at each open `${`. */
  const templates: number[] = [];
  let code = "";
  let depth = 0;
  let at = 0;
  while (at < source.length) {
    const two = source.slice(at, at + 2);
    const char = two[0] as string;
    if (two === "//") at = endOr(source.indexOf("\n", at), source);
    else if (two === "/*") {
      at = endOr(source.indexOf("*/", at + 2), source, 2);
      code += " ";
    } else if (char === '"' || char === "'") {
      const end = endOfQuoted(source, at, char);
      code += `"${strings.push(source.slice(at + 1, end - 1)) - 1}"`;
      at = end;
    } else if (char === "/" && REGEX_MAY_FOLLOW.test(code.slice(-20))) {
      at = endOfRegex(source, at);
      code += " 0 ";
    } else if (char === "`" || (char === "}" && templates.at(-1) === depth)) {
      if (char === "}") templates.pop();
      at = endOfTemplateText(source, at + 1);
      if (source[at - 1] === "{") templates.push(depth);
      code += " 0 ";
    } else {
      if (char === "{") depth++;
      if (char === "}") depth--;
      code += char;
      at++;
    }
  }
  return { code, strings };
}

function endOr(index: number, source: string, beyond = 0): number {
  return index === -1 ? source.length : index + beyond;
}

/** Index after the closing quote; a line's end closes too, so that one odd quote cannot hide the file. */
function endOfQuoted(source: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < source.length && source[at] !== quote && source[at] !== "\n") at += source[at] === "\\" ? 2 : 1;
  return at + 1;
}

function endOfRegex(source: string, start: number): number {
  let inClass = false;
  let at = start + 1;
  for (; at < source.length && source[at] !== "\n"; at++) {
    const char = source[at];
    if (char === "\\") at++;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return at + 1;
  }
  return at;
}

/** Index after the closing backquote or after the `${` that comes first. */
function endOfTemplateText(source: string, start: number): number {
  for (let at = start; at < source.length; at++) {
    if (source[at] === "\\") at++;
    else if (source[at] === "`") return at + 1;
    else if (source[at] === "$" && source[at + 1] === "{") return at + 2;
  }
  return source.length;
}
