import { COLON, HEX, REG_NAME } from "./bytes.ts";

/**
 * host [":" port] of RFC 3986 §3.2 with a host that is not empty, and no userinfo. What stands in brackets is held to the
 * characters of an address, not to its grammar: nobody resolves it here.
 */
export function isAuthority(bytes: Uint8Array, start: number, end: number): boolean {
  const afterHost = bytes[start] === 91 ? afterLiteral(bytes, start, end) : afterName(bytes, start, end);
  if (afterHost <= start) return false;
  if (afterHost === end) return true;
  if (bytes[afterHost] !== COLON) return false;
  for (let at = afterHost + 1; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte < 48 || byte > 57) return false;
  }
  return true;
}

/** reg-name or IPv4address. @returns index after it; `start` if there is none */
function afterName(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const byte = bytes[at] as number;
    if (REG_NAME[byte] === 1) at++;
    else if (byte === 37 && at + 2 < end && isHex(bytes, at + 1) && isHex(bytes, at + 2)) at += 3;
    else break;
  }
  return at;
}

/** "[" IPv6address or IPvFuture "]". @returns index after it; -1 if it is none */
function afterLiteral(bytes: Uint8Array, start: number, end: number): number {
  const first = start + 1;
  const future = bytes[first] === 118 || bytes[first] === 86;
  let at = first;
  while (at < end && isLiteralByte(bytes, at, future)) at++;
  return at > first && at < end && bytes[at] === 93 ? at + 1 : -1;
}

function isLiteralByte(bytes: Uint8Array, at: number, future: boolean): boolean {
  const byte = bytes[at] as number;
  if (byte === COLON) return true;
  return future ? REG_NAME[byte] === 1 : byte === 46 || isHex(bytes, at);
}

const isHex = (bytes: Uint8Array, at: number): boolean => HEX[bytes[at] as number] !== 255;
