/** Statuses of HTTP as users write them: `404`, `500-599` or `5xx`, several by commas. */

/** Both ends included. */
export type StatusRange = readonly [from: number, to: number];

/** For who wrote something else. */
export const STATUS_SYNTAX = "a status from 100 to 599, a class such as 5xx, or a range such as 500-599";

const CLASS = /^([1-5])xx$/;
const RANGE = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/;

/** @returns undefined where a part is none of that, or where there is no part */
export function parseStatusRanges(text: string): StatusRange[] | undefined {
  const ranges: StatusRange[] = [];
  for (const part of text.split(",").map((each) => each.trim())) {
    if (part === "") continue;
    const range = rangeOf(part);
    if (range === undefined) return undefined;
    ranges.push(range);
  }
  return ranges.length === 0 ? undefined : ranges;
}

function rangeOf(part: string): StatusRange | undefined {
  const [, hundreds] = CLASS.exec(part) ?? [];
  if (hundreds !== undefined) return [Number(`${hundreds}00`), Number(`${hundreds}99`)];
  const [, from, to = from] = RANGE.exec(part) ?? [];
  return from === undefined || Number(to) < Number(from) ? undefined : [Number(from), Number(to)];
}
