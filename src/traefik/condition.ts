/**
 * Conditions as Traefik's rules write them. An argument is a string literal of Go, so whatever a user wrote stays within
 * its quotes.
 */
export interface Condition {
  readonly text: string;
  /** How its parts are joined at the top. */
  readonly joined: "and" | "or" | "";
}

/** It holds for every call; it has no text, and never stands alone in a rule. */
export const ALWAYS: Condition = { text: "", joined: "" };
/** It holds for no call: no router is made of it. */
export const NEVER: Condition = { text: "", joined: "" };

export function matcher(name: string, ...args: readonly string[]): Condition {
  return { text: `${name}(${args.map(quoted).join(", ")})`, joined: "" };
}

export function allOf(conditions: readonly Condition[]): Condition {
  if (conditions.includes(NEVER)) return NEVER;
  const parts = distinct(conditions.filter((each) => each !== ALWAYS));
  if (parts.length < 2) return parts[0] ?? ALWAYS;
  return { text: parts.map((each) => enclosed(each, "or")).join(" && "), joined: "and" };
}

export function anyOf(conditions: readonly Condition[]): Condition {
  if (conditions.includes(ALWAYS)) return ALWAYS;
  const parts = distinct(conditions.filter((each) => each !== NEVER));
  if (parts.length < 2) return parts[0] ?? NEVER;
  return { text: parts.map((each) => enclosed(each, "and")).join(" || "), joined: "or" };
}

/** Of a single matcher. */
export function not({ text }: Condition): Condition {
  return { text: `!${text}`, joined: "" };
}

function enclosed({ text, joined }: Condition, loose: Condition["joined"]): string {
  return joined === loose ? `(${text})` : text;
}

function distinct(conditions: readonly Condition[]): Condition[] {
  return [...new Map(conditions.map((each) => [each.text, each] as const)).values()];
}

/** What a raw literal of Go cannot hold, or its scanner refuses or drops. */
const NOT_RAW = /[`\r\0\ufeff]/;

/** @param text without lone surrogates: these are no characters to Go */
export function quoted(text: string): string {
  if (!NOT_RAW.test(text)) return `\`${text}\``;
  return `"${text.replaceAll(/["\\\p{Cc}\ufeff]/gu, inQuotes)}"`;
}

function inQuotes(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
