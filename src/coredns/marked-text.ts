/**
 * Text with blocks between marks. A block that is appended brings a line break before and one after it; taking it out
 * takes both back, so what others wrote around it stays byte for byte. A mark counts only as a whole line, and a begin
 * without its end is a fault: where such a block ends, nobody knows.
 */
import type { CorefileFault } from "./corefile.ts";
import { domainOfTitle } from "./mesh-block.ts";

export interface Section {
  readonly title: string;
  /** Index of the begin mark. */
  readonly start: number;
  /** Index after the end mark, before its line break. */
  readonly end: number;
  readonly firstLine: number;
  readonly lastLine: number;
}

export interface Sections {
  /** In order, none inside another. */
  readonly sections: readonly Section[];
  readonly faults: readonly CorefileFault[];
}

export interface MarkedBlock {
  readonly title: string;
  /** With its marks, without a line break at the end. */
  readonly text: string;
}

const MARK = /^#### (Begin|End) (.+) Block[ \t\r]*$/;

export function findSections(text: string): Sections {
  const sections: Section[] = [];
  const faults: CorefileFault[] = [];
  let open: { title: string; start: number; firstLine: number } | undefined;
  const unclosed = () => {
    if (open !== undefined)
      faults.push({
        line: open.firstLine,
        sentence: `The mark "#### Begin ${open.title} Block" has no "#### End ${open.title} Block" after it on a line of its own: write that line where the block ends, or delete the block by hand.`,
      });
  };
  let start = 0;
  for (const [index, line] of text.split("\n").entries()) {
    const [, word, title = ""] = MARK.exec(line) ?? [];
    if (domainOfTitle(title) !== undefined) {
      if (word === "Begin") {
        unclosed();
        open = { title, start, firstLine: index + 1 };
      } else if (open?.title === title) {
        sections.push({ ...open, end: start + line.length, lastLine: index + 1 });
        open = undefined;
      }
    }
    start += line.length + 1;
  }
  unclosed();
  return { sections, faults };
}

/** Replaces blocks of the same domain in place, takes out all others, appends what is new. The text has no faults. */
export function putBlocks(text: string, blocks: readonly MarkedBlock[]): string {
  const { sections } = findSections(text);
  const left = new Map(blocks.map((block) => [domainOfTitle(block.title), block]));
  const places = sections.map((section) => {
    const domain = domainOfTitle(section.title);
    const block = left.get(domain);
    left.delete(domain);
    return { section, block };
  });
  let result = text;
  for (const { section, block } of places.toReversed())
    result =
      block === undefined
        ? cut(result, section)
        : result.slice(0, section.start) + block.text + result.slice(section.end);
  for (const { text: added } of left.values()) result += `\n${added}\n`;
  return result;
}

/** Without the lines of the marks: what CoreDNS reads. */
export function withoutMarks(text: string): string {
  const isMark = (line: string) => domainOfTitle(MARK.exec(line)?.[2] ?? "") !== undefined;
  return text
    .split("\n")
    .filter((line) => !isMark(line))
    .join("\n");
}

export function takeOutBlocks(text: string): string {
  return putBlocks(text, []);
}

/**
 * Takes back the line break before the block only where that joins no lines of others: at the end, behind an empty line,
 * or before the line break that came with the next block.
 */
function cut(text: string, section: Section): string {
  const before = text.slice(0, section.start);
  const after = text.slice(section.end).replace(/^\n/, "");
  const spare =
    after === "" || beginsWithBlock(after) ? before.endsWith("\n") : before === "\n" || before.endsWith("\n\n");
  return (spare ? before.slice(0, -1) : before) + after;
}

function beginsWithBlock(text: string): boolean {
  const [empty, mark = ""] = text.split("\n", 2);
  const [, word, title = ""] = MARK.exec(mark) ?? [];
  return empty === "" && word === "Begin" && domainOfTitle(title) !== undefined;
}
