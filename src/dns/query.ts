/** Reading what came: a question that can be answered, or the one code that says why not. */
import dnsPacket, { type OptAnswer } from "dns-packet";

export const RCODE = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
  /** Needs the OPT record for its upper bits (RFC 6891 §6.1.3). */
  badVersion: 16,
} as const;

export const TYPE = { A: 1, CNAME: 5, SOA: 6, PTR: 12, AAAA: 28, IXFR: 251, AXFR: 252, ANY: 255 } as const;
export const CLASS_IN = 1;

export const HEADER_BYTES = 12;
const QR = 0x8000;
const OPCODE_MASK = 0x7800;
const RECURSION_DESIRED = 0x0100;
const CHECKING_DISABLED = 0x0010;
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
/** Far above any question; decoding is not free, and the sender pays nothing for it. */
export const MAX_MESSAGE_BYTES = 4096;

export interface Query {
  readonly id: number;
  /** The bits that an answer repeats. */
  readonly flags: number;
  /** The question's bytes as they came: an answer repeats them, 0x20 mixed case and all. */
  readonly question: Buffer;
  /** In the case in which it came, without the last dot; bytes that no host name has are written `\ddd`. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly opt?: OptAnswer;
}

/** @returns a code where the message is to be refused with it, undefined where silence is the answer */
export function readQuery(message: Buffer): Query | number | undefined {
  // Without an id and the bit that tells questions from answers, any reply could be the start of a ping-pong.
  if (message.length < 4) return undefined;
  const flags = message.readUInt16BE(2);
  if ((flags & QR) !== 0) return undefined;
  if ((flags & OPCODE_MASK) !== 0) return RCODE.notImplemented;
  if (message.length < HEADER_BYTES || message.length > MAX_MESSAGE_BYTES) return RCODE.formatError;
  if (message.readUInt16BE(4) !== 1) return RCODE.formatError;
  const question = readQuestion(message);
  const opt = readOpt(message);
  if (question === undefined || opt === "malformed") return RCODE.formatError;
  return {
    id: message.readUInt16BE(0),
    flags: flags & (RECURSION_DESIRED | CHECKING_DISABLED),
    ...question,
    ...(opt === undefined ? {} : { opt }),
  };
}

/** A header alone, with a code: all that can be said to what could not be read. The message has 4 bytes or more. */
export function refusal(message: Buffer, rcode: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  message.copy(header, 0, 0, 2);
  header.writeUInt16BE(QR | (message.readUInt16BE(2) & (OPCODE_MASK | RECURSION_DESIRED)) | rcode, 2);
  return header;
}

/** RFC 1035 §4.1.2. A pointer has nothing before it to point to, so none is taken. */
function readQuestion(message: Buffer): Pick<Query, "question" | "name" | "type" | "class"> | undefined {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > MAX_LABEL_BYTES) return undefined;
    at++;
    if (length === 0) break;
    if (at + length > message.length || at + length - HEADER_BYTES >= MAX_NAME_BYTES) return undefined;
    labels.push(labelText(message.subarray(at, at + length)));
    at += length;
  }
  const end = at + 4;
  if (end > message.length) return undefined;
  return {
    question: message.subarray(HEADER_BYTES, end),
    name: labels.join("."),
    type: message.readUInt16BE(at),
    class: message.readUInt16BE(at + 2),
  };
}

/** A dot within a label is not the dot between two: it may not be taken for another name. */
function labelText(label: Buffer): string {
  return label
    .toString("latin1")
    .replace(/[^\w-]/g, (character) => `\\${character.charCodeAt(0).toString().padStart(3, "0")}`);
}

/** RFC 6891 §6.1.1: at most one, owned by the root. */
function readOpt(message: Buffer): OptAnswer | undefined | "malformed" {
  try {
    const { additionals = [] } = dnsPacket.decode(message);
    // The decoder takes a last record that is cut short.
    if (dnsPacket.decode.bytes > message.length) return "malformed";
    const opts = additionals.filter((record): record is OptAnswer => record.type === "OPT");
    return opts.length > 1 || opts.some((opt) => opt.name !== ".") ? "malformed" : opts[0];
  } catch {
    return "malformed";
  }
}
