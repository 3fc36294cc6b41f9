/** What gRPC says where its status cannot be read: UNKNOWN. */
const UNKNOWN = 2;
/** Codes go up to 16; others may come. */
const MAX_DIGITS = 3;

/** @param fields name, value, name, value … of trailers, or of a head that is all of an answer. @returns -1: there is none */
export function grpcStatusOf(fields: readonly string[]): number {
  for (let at = 0; at < fields.length; at += 2)
    if (fields[at] === "grpc-status") return statusOf(fields[at + 1] as string);
  return -1;
}

function statusOf(text: string): number {
  if (text.length === 0 || text.length > MAX_DIGITS) return UNKNOWN;
  let status = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return UNKNOWN;
    status = status * 10 + digit;
  }
  return status;
}
