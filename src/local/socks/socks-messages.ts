/**
 * The messages of SOCKS5 (RFC 1928) and its user and password step (RFC 1929). Each reader takes the bytes that have
 * come so far and says what it read and how many bytes that was, `undefined` while there are too few, or that it is none.
 */
import { isIPv4 } from "node:net";

const VERSION = 5;
const LOGIN_VERSION = 1;

export const METHOD = { none: 0, userPassword: 2, noneAcceptable: 0xff } as const;
export const COMMAND = { connect: 1, bind: 2, udpAssociate: 3 } as const;
const ADDRESS_TYPE = { ipv4: 1, domain: 3, ipv6: 4 } as const;

/** RFC 1928 §6 */
export const REPLY = {
  succeeded: 0,
  failure: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  timedOut: 6,
  commandUnknown: 7,
  addressTypeUnknown: 8,
} as const;

export interface Read<T> {
  readonly value: T;
  readonly bytes: number;
}

export interface SocksRequest {
  readonly command: number;
  /** A name or a literal address; undefined for an address type that is none of the three. */
  readonly host: string | undefined;
  readonly port: number;
}

/** VER NMETHODS METHODS (RFC 1928 §3). */
export function readGreeting(bytes: Buffer): Read<readonly number[]> | undefined | "malformed" {
  if (bytes.length > 0 && bytes[0] !== VERSION) return "malformed";
  const end = 2 + (bytes[1] ?? Number.POSITIVE_INFINITY);
  return bytes.length < end ? undefined : { value: [...bytes.subarray(2, end)], bytes: end };
}

/** VER ULEN UNAME PLEN PASSWD (RFC 1929 §2); the password is passed over. @returns the user's name */
export function readLogin(bytes: Buffer): Read<string> | undefined | "malformed" {
  if (bytes.length > 0 && bytes[0] !== LOGIN_VERSION) return "malformed";
  const userEnd = 2 + (bytes[1] ?? Number.POSITIVE_INFINITY);
  if (bytes.length <= userEnd) return undefined;
  const end = userEnd + 1 + (bytes[userEnd] as number);
  return bytes.length < end ? undefined : { value: bytes.toString("utf8", 2, userEnd), bytes: end };
}

/** VER CMD RSV ATYP DST.ADDR DST.PORT (RFC 1928 §4). */
export function readRequest(bytes: Buffer): Read<SocksRequest> | undefined | "malformed" {
  if (bytes.length > 0 && bytes[0] !== VERSION) return "malformed";
  if (bytes.length < 4) return undefined;
  const command = bytes[1] as number;
  const type = bytes[3];
  if (type !== ADDRESS_TYPE.ipv4 && type !== ADDRESS_TYPE.ipv6 && type !== ADDRESS_TYPE.domain)
    return { value: { command, host: undefined, port: 0 }, bytes: bytes.length };
  const start = type === ADDRESS_TYPE.domain ? 5 : 4;
  const length = type === ADDRESS_TYPE.ipv4 ? 4 : type === ADDRESS_TYPE.ipv6 ? 16 : bytes[4];
  if (length === undefined || bytes.length < start + length + 2) return undefined;
  const address = bytes.subarray(start, start + length);
  const host = type === ADDRESS_TYPE.domain ? address.toString("latin1") : addressText(address);
  return { value: { command, host, port: bytes.readUInt16BE(start + length) }, bytes: start + length + 2 };
}

export function methodMessage(method: number): Buffer {
  return Buffer.from([VERSION, method]);
}

export function loginMessage(accepted: boolean): Buffer {
  return Buffer.from([LOGIN_VERSION, accepted ? 0 : 1]);
}

/** VER REP RSV ATYP BND.ADDR BND.PORT (RFC 1928 §6), without an address where there is no connection. */
export function replyMessage(code: number, address = "0.0.0.0", port = 0): Buffer {
  const bound = isIPv4(address)
    ? Buffer.from([ADDRESS_TYPE.ipv4, ...address.split(".").map(Number)])
    : Buffer.concat([Buffer.from([ADDRESS_TYPE.ipv6]), ipv6Bytes(address)]);
  return Buffer.concat([Buffer.from([VERSION, code, 0]), bound, Buffer.from([port >> 8, port & 0xff])]);
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(":");
}

/** @param address as a socket gives it: valid, with at most one `::` */
function ipv6Bytes(address: string): Buffer {
  const [head = "", tail] = (address.split("%")[0] as string).split("::");
  const groups = (part: string | undefined) => (part ?? "").split(":").filter((group) => group !== "");
  const words = (part: string | undefined) =>
    groups(part).flatMap((group) => {
      if (!group.includes(".")) return [Number.parseInt(group, 16)];
      const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
      return [(a << 8) | b, (c << 8) | d];
    });
  const [first, last] = [words(head), words(tail)];
  const bytes = Buffer.alloc(16);
  first.forEach((word, index) => {
    bytes.writeUInt16BE(word, index * 2);
  });
  last.forEach((word, index) => {
    bytes.writeUInt16BE(word, 16 - (last.length - index) * 2);
  });
  return bytes;
}
