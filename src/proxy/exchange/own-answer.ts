import { STATUS_CODES } from "node:http";
import { FAILURES, type Failure } from "../../model/failures.ts";

/** An answer of the proxy itself: the status's text as body, the reason in a field. */
export interface OwnAnswer {
  readonly status: number;
  /** "" for an answer that is as it should be. */
  readonly failure: Failure | "";
  /** Name, value, name, value … */
  readonly fields: readonly string[];
  /** The request was HEAD: the fields of the answer, no body. */
  readonly head: boolean;
  /** For our Date (RFC 9110 §6.6.1). */
  readonly wallMs: number;
}

export function failureAnswer(failure: Failure, retryAfterSeconds: number, head: boolean, wallMs: number): OwnAnswer {
  const fields = ["X-Tulle-Reason", failure];
  if (retryAfterSeconds > 0) fields.push("Retry-After", String(retryAfterSeconds));
  return { status: FAILURES[failure].status, failure, fields, head, wallMs };
}

export function redirectAnswer(status: number, location: string, head: boolean, wallMs: number): OwnAnswer {
  return { status, failure: "", fields: ["Location", location], head, wallMs };
}

/** One character a byte; to gRPC none of it goes out. */
export function ownContent({ status, head }: OwnAnswer): string {
  return head ? "" : (STATUS_CODES[status] ?? "");
}

/** @returns the whole answer as HTTP/1.1 */
export function ownAnswerText(answer: OwnAnswer, close: boolean): string {
  const text = STATUS_CODES[answer.status] ?? "";
  let head = `HTTP/1.1 ${answer.status} ${text}\r\n`;
  const fields = commonFields(answer, text);
  for (let at = 0; at < fields.length; at += 2) head += `${fields[at]}: ${fields[at + 1]}\r\n`;
  if (close) head += "Connection: close\r\n";
  return `${head}\r\n${ownContent(answer)}`;
}

/** The same in HTTP/2: the head's fields, and the content. */
export function ownAnswerFields(answer: OwnAnswer): { fields: string[]; content: string } {
  const text = STATUS_CODES[answer.status] ?? "";
  const fields = [":status", String(answer.status)];
  const common = commonFields(answer, text);
  for (let at = 0; at < common.length; at += 2)
    fields.push((common[at] as string).toLowerCase(), common[at + 1] as string);
  return { fields, content: ownContent(answer) };
}

/** A failure as gRPC tells it: trailers alone, whose HTTP status is always 200. */
export function grpcAnswerFields(failure: Failure, answer: OwnAnswer): string[] {
  const { grpcStatus, sentence } = FAILURES[failure];
  const fields = [":status", "200", "date", new Date(answer.wallMs).toUTCString(), "content-type", "application/grpc"];
  fields.push("grpc-status", String(grpcStatus), "grpc-message", grpcMessage(`${failure}: ${sentence}`));
  for (let at = 0; at < answer.fields.length; at += 2)
    fields.push((answer.fields[at] as string).toLowerCase(), answer.fields[at + 1] as string);
  return fields;
}

function commonFields(answer: OwnAnswer, text: string): string[] {
  return [
    ...["Date", new Date(answer.wallMs).toUTCString()],
    ...["Content-Type", "text/plain; charset=utf-8", "Content-Length", String(text.length)],
    ...answer.fields,
  ];
}

/** As gRPC wants it: UTF-8, percent-encoded outside of visible ASCII. */
function grpcMessage(text: string): string {
  return text.replace(/[^ -$&-~]+/g, (each) => encodeURIComponent(each));
}
