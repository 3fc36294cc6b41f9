/**
 * May an exchange be tried again without harm? Two questions, asked after a try came to nothing: for another try that the
 * user's retry-attempts give, and for the silent repeat after a waiting connection that turned out closed, which costs
 * none of them. Neither ever sends twice what an endpoint may have acted on: a request of which a byte went out is
 * repeated only if its method is idempotent.
 */
import { FAILURES, type Failure } from "../../../model/failures.ts";

/** RFC 9110 §9.2.2: the safe methods, PUT and DELETE. Methods are case-sensitive; an unknown one is not. */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case "GET":
    case "HEAD":
    case "PUT":
    case "DELETE":
    case "OPTIONS":
    case "TRACE":
      return true;
    default:
      return false;
  }
}

export interface FailedTry {
  /** How it failed. */
  readonly failure: Failure;
  /** Any byte of the request was handed to the endpoint's connection. */
  readonly sent: boolean;
  readonly idempotent: boolean;
  /** There is no body, or all of it was kept. */
  readonly replayable: boolean;
  /** Any byte of an answer came. Absent: none. */
  readonly answerBegun?: boolean;
}

/** Whether another try does no harm. */
export function maySendAgain(failed: FailedTry): boolean {
  const { failure } = failed;
  if (FAILURES[failure].fault !== "upstream") return false;
  // Without an endpoint there is none to try.
  if (failure === "NoEndpoint") return false;
  if (!failed.sent) return true;
  if (failed.answerBegun === true || failure === "UpstreamMalformed") return false;
  return failed.idempotent && failed.replayable;
}

/**
 * Whether to repeat silently on a fresh connection: asked when the try went out on a waiting connection that closed
 * before any byte of an answer. An endpoint may close it at any time (RFC 9112 §9.5), and the caller cannot know.
 * @param sent false where nothing was written to that connection
 */
export function mayRepeatSilently(idempotent: boolean, replayable: boolean, sent = true): boolean {
  return !sent || (idempotent && replayable);
}
