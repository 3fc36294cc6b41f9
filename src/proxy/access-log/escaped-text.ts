/**
 * Text that callers sent, for lines that people and programs read: visible ASCII alone is left as it is, so that nothing
 * in it ends a line, breaks a record or talks to a terminal.
 */

const DOUBLE_QUOTE = 34;
const BACKSLASH = 92;
const TILDE = 126;

/** @returns as JSON, quotes included; characters beyond ASCII are escaped too */
export function jsonText(text: string): string {
  if (isPlain(text)) return `"${text}"`;
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** @returns within quotes, as Apache and nginx escape it: `\"`, `\\` and `\xHH` */
export function quotedText(text: string): string {
  return isPlain(text) ? `"${text}"` : `"${text.replace(/[^ !#-[\]-~]/g, escaped)}"`;
}

/** @returns one word; `-` for none */
export function wordOf(text: string): string {
  if (text === "") return "-";
  return isPlain(text) && !text.includes(" ") ? text : text.replace(/[^!#-[\]-~]/g, escaped);
}

function escaped(each: string): string {
  if (each === '"' || each === "\\") return `\\${each}`;
  const bytes = each.charCodeAt(0) > 0xff ? Buffer.from(each) : [each.charCodeAt(0)];
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}

function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 32 || code > TILDE || code === DOUBLE_QUOTE || code === BACKSLASH) return false;
  }
  return true;
}
