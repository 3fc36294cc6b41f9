import { STATUS_CODES } from "node:http";
import { FAILURES, type Failure } from "../../model/failures.ts";

export interface OwnAnswerOptions {
  /** The request was HEAD: the fields of the answer, no body. */
  readonly head: boolean;
  readonly close: boolean;
  /** For our Date (RFC 9110 §6.6.1). */
  readonly wallMs: number;
}

/** The proxy's own answer to an exchange that is not served: the status's text as body, the reason in a field. */
export function failureAnswer(failure: Failure, retryAfterSeconds: number, options: OwnAnswerOptions): string {
  const fields = [`X-Tulle-Reason: ${failure}`];
  if (retryAfterSeconds > 0) fields.push(`Retry-After: ${retryAfterSeconds}`);
  return ownAnswer(FAILURES[failure].status, fields, options);
}

export function redirectAnswer(status: number, location: string, options: OwnAnswerOptions): string {
  return ownAnswer(status, [`Location: ${location}`], options);
}

function ownAnswer(status: number, fields: readonly string[], { head, close, wallMs }: OwnAnswerOptions): string {
  const text = STATUS_CODES[status] ?? "";
  const lines = [
    `HTTP/1.1 ${status} ${text}`,
    `Date: ${new Date(wallMs).toUTCString()}`,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${text.length}`,
    ...fields,
  ];
  if (close) lines.push("Connection: close");
  return `${lines.join("\r\n")}\r\n\r\n${head ? "" : text}`;
}
