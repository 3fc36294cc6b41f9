/** Byte classes of RFC 9110 §5.6.2 (token), §5.5 (field values) and RFC 9112 §3.2 (request target), as tables. */

export const CR = 13;
export const LF = 10;
export const SP = 32;
export const HTAB = 9;
export const COLON = 58;

function table(allowed: (byte: number) => boolean): Uint8Array {
  const bytes = new Uint8Array(256);
  for (let byte = 0; byte < 256; byte++) bytes[byte] = allowed(byte) ? 1 : 0;
  return bytes;
}

const isAlphaNumeric = (byte: number) =>
  (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122);

/** 1 for the bytes of a token: method and field names. */
export const TOKEN = table((byte) => isAlphaNumeric(byte) || "!#$%&'*+-.^_`|~".includes(String.fromCharCode(byte)));

/** 1 for field-vchar, obs-text, SP and HTAB. Everything else in a value (NUL, CR, LF, other controls) is refused. */
export const FIELD_VALUE = table((byte) => byte === HTAB || (byte >= 32 && byte !== 127));

/** 1 for what a request target may hold: visible ASCII without `#`, which no target form has (RFC 9112 §3.2). */
export const TARGET = table((byte) => byte > 32 && byte < 127 && byte !== 35);

/** 1 for what a name or an address in a Host field may hold, without its percent-encodings (RFC 3986 §3.2.2). */
export const REG_NAME = table((byte) => isAlphaNumeric(byte) || "-._~!$&'()*+,;=".includes(String.fromCharCode(byte)));

/** Value of a hexadecimal digit, 255 for anything else. */
export const HEX = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16);
  HEX[text.charCodeAt(0)] = digit;
  HEX[text.toUpperCase().charCodeAt(0)] = digit;
}
