/** The names of docs/metrics.md, and those that an expression of PromQL asks for. */
import { readFileSync } from "node:fs";

const TEXT = readFileSync(new URL("../docs/metrics.md", import.meta.url), "utf8");

/** Every series that can be asked for: of a histogram, its buckets, sum and count. */
export const SERIES: ReadonlySet<string> = new Set(
  [...TEXT.matchAll(/^\| `([a-z0-9_]+)` \| (\w+) \|/gm)].flatMap(([, name = "", type]) =>
    type === "histogram" ? ["_bucket", "_sum", "_count"].map((part) => name + part) : [name],
  ),
);

/** Names of ours, and of every process; functions and labels have no such prefixes. */
export function seriesOf(expression: string): string[] {
  return [...new Set(expression.match(/\b(?:tulle|process|nodejs)_[a-z0-9_]+/g) ?? [])];
}
