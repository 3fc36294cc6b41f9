/**
 * Text for a terminal's one line. What comes from files and clusters may hold what moves the cursor, ends the line, or turns
 * the order of letters round (Trojan Source), and so say another thing than it is.
 */
const INVISIBLE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** @returns the same with each such character as `\u{1b}` */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`);
}
