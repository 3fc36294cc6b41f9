/** As much of Mermaid's flowcharts (mermaid.js.org/syntax/flowchart.html) as is written here, and nothing else. */
import type { ReadGraph } from "./dot-parser.ts";

const TEXT = '"([^"`]*)"';
const NODE = new RegExp(`^ {2}(n\\d+)(?:\\[${TEXT}\\]|\\(\\[${TEXT}\\]\\))$`, "u");
const LINK = new RegExp(`^ {2}(n\\d+) (?:(?:-->|-\\.->)\\|${TEXT}\\||-\\.-) (n\\d+)$`, "u");
const STYLE = /^ {2}linkStyle (\d+) stroke:red$/;

/** @throws Error at a line that is no such graph's */
export function parseMermaid(source: string): ReadGraph {
  const nodes = new Map<string, string>();
  const links: { from: string; to: string; label: string }[] = [];
  const [heading, ...lines] = source.split("\n");
  if (heading !== "flowchart LR" || lines.pop() !== "") throw new Error("not a flowchart");
  for (const line of lines) {
    const node = NODE.exec(line);
    const link = LINK.exec(line);
    const style = STYLE.exec(line);
    if (node !== null) nodes.set(node[1] as string, decoded(node[2] ?? node[3] ?? ""));
    else if (link !== null)
      links.push({ from: link[1] as string, to: link[3] as string, label: decoded(link[2] ?? "") });
    else if (style === null || Number(style[1]) >= links.length) throw new Error(`not understood: ${line}`);
  }
  return { nodes, links };
}

/** `#35;` is a character by its number; what else Mermaid might understand must not be there. */
function decoded(text: string): string {
  if (/[<>&;{}|\\]/.test(text.replace(/#\d+;/g, "")) || /#(?!\d+;)/.test(text)) throw new Error(`not plain: ${text}`);
  return text.replace(/#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));
}
