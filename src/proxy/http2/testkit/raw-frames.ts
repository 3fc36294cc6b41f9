/** Frames written and read by hand, as text of one character a byte, so that tests say and see every one. */

import { PREFACE } from "../frames.ts";
import { encodeFields } from "../hpack-encoder.ts";

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: string;
}

const uint = (value: number, bytes: number) =>
  Array.from({ length: bytes }, (_, at) => String.fromCharCode((value >>> ((bytes - 1 - at) * 8)) & 0xff)).join("");

export const uint32 = (value: number) => uint(value, 4);

/** RFC 9113 §4.1. */
export function frame(type: number, flags: number, id: number, payload = ""): string {
  return uint(payload.length, 3) + uint(type, 1) + uint(flags, 1) + uint32(id) + payload;
}

/** Settings as number and value, in turn. */
export function settings(...values: readonly number[]): string {
  let payload = "";
  for (let at = 0; at < values.length; at += 2)
    payload += uint(values[at] as number, 2) + uint32(values[at + 1] as number);
  return frame(4, 0, 0, payload);
}

export const HELLO = PREFACE + settings();

/** @param flags END_STREAM is 1, END_HEADERS 4 */
export function headers(id: number, flags: number, ...fields: readonly string[]): string {
  return frame(1, flags, id, encodeFields(fields));
}

/** A GET of `path` without content. */
export function get(id: number, path = "/"): string {
  return headers(id, 5, ":method", "GET", ":scheme", "http", ":authority", "svc.ns", ":path", path);
}

/** The frames that are whole in what came. */
export function framesOf(text: string): RawFrame[] {
  const bytes = Buffer.from(text, "latin1");
  const frames: RawFrame[] = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    const payload = bytes.toString("latin1", at + 9, end);
    frames.push({
      type: bytes[at + 3] as number,
      flags: bytes[at + 4] as number,
      id: bytes.readUInt32BE(at + 5),
      payload,
    });
    at = end;
  }
  return frames;
}

const codeAt = (payload: string, at: number) => Buffer.from(payload, "latin1").readUInt32BE(at);

/** Code of the RST_STREAM that a stream got, or undefined. */
export function resetCode(text: string, id: number): number | undefined {
  const reset = framesOf(text).find((each) => each.type === 3 && each.id === id);
  return reset === undefined ? undefined : codeAt(reset.payload, 0);
}

/** Codes of the GOAWAYs that came. */
export function goawayCodes(text: string): number[] {
  return framesOf(text)
    .filter(({ type }) => type === 7)
    .map(({ payload }) => codeAt(payload, 4));
}
