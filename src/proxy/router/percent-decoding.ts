const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Decodes once (RFC 3986 §2.1) and reads the octets as UTF-8.
 * @param text one character an octet, as received
 * @param plusIsSpace as in a form's query
 * @returns undefined where an escape is not two hexadecimal digits, or the octets are not UTF-8
 */
export function decodePercent(text: string, plusIsSpace: boolean): string | undefined {
  let decoded = "";
  let from = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code !== PERCENT && !(code === PLUS && plusIsSpace)) {
      if (code >= 0x80) return decodeOctets(text, plusIsSpace);
      continue;
    }
    const octet = code === PLUS ? SPACE : escapedOctet(text, index);
    if (octet >= 0x80) return decodeOctets(text, plusIsSpace);
    if (Number.isNaN(octet)) return undefined;
    decoded += text.slice(from, index) + String.fromCharCode(octet);
    if (code === PERCENT) index += 2;
    from = index + 1;
  }
  return decoded + text.slice(from);
}

/** The same for a text with more than ASCII in it. */
function decodeOctets(text: string, plusIsSpace: boolean): string | undefined {
  const octets = new Uint8Array(text.length);
  let length = 0;
  for (let index = 0; index < text.length; index++) {
    let code = text.charCodeAt(index);
    if (code > 0xff) return undefined;
    if (code === PERCENT) {
      code = escapedOctet(text, index);
      if (Number.isNaN(code)) return undefined;
      index += 2;
    } else if (code === PLUS && plusIsSpace) code = SPACE;
    octets[length++] = code;
  }
  try {
    return UTF8.decode(octets.subarray(0, length));
  } catch {
    return undefined;
  }
}

/** @param at of the percent sign */
function escapedOctet(text: string, at: number): number {
  return hexDigit(text.charCodeAt(at + 1)) * 16 + hexDigit(text.charCodeAt(at + 2));
}

/** NaN for anything else, and past the end. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}
