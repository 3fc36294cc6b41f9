/** What a line of /api/tap says: a call, how many calls were left out, or why a proxy shows none. */

/** @typedef {Record<string, string | number | boolean | undefined>} Call */

/** As every proxy says it that cannot read the filters: none of them shows a call. */
export const BAD_FILTERS = 400;

/**
 * @param {string} line
 * @returns {{ call: Call } | { lost: number } | { status: number, refusal: string } | undefined} undefined: none of these
 */
export function readTapLine(line) {
  const said = parse(line);
  if (typeof said !== "object" || said === null || Array.isArray(said)) return undefined;
  const { kind, calls, status, message } = said;
  if (kind === "lost") return typeof calls === "number" && calls > 0 ? { lost: calls } : undefined;
  if (kind !== "error") return typeof kind === "string" ? { call: said } : undefined;
  return { status: Number(status), refusal: String(message ?? "").trim() || `status ${status}` };
}

/** @param {string} line */
function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
