import type { HeaderChange } from "../../config/mesh-config.ts";
import type { Failure } from "../../model/failures.ts";
import type { Caller, ServicePortState } from "../router/types.ts";
import type { AnswerFraming, AnswerHead } from "./message-heads.ts";
import type { OwnAnswer } from "./own-answer.ts";

/** The caller's side of an exchange, whatever it speaks. What is written leaves with `flush`. */
export interface Downstream {
  readonly entry: ServicePortState;
  readonly caller: Caller;

  /** Failures are told as gRPC tells them. */
  readonly isGrpc: boolean;

  // the request's content
  /** It comes in HTTP/1.1's framing, which can be passed on as it is. */
  readonly takesFraming: boolean;
  pauseReading(): void;
  resumeReading(): void;
  readonly readingPaused: boolean;
  /** Its sender may rest within it for as long as it likes, as streams of gRPC do. */
  readonly mayRest: boolean;

  // the answer
  /** Content in HTTP/1.1's chunks can be passed on as it comes. */
  readonly takesChunks: boolean;
  writeInterim(head: AnswerHead): void;
  /** @param mayFollow another request may come on this connection, as far as the exchange knows */
  writeHead(head: AnswerHead, framing: AnswerFraming, changes: readonly HeaderChange[], mayFollow: boolean): void;
  /** @param bytes valid during the call */
  writeContent(bytes: Buffer, from: number, end: number): void;
  /** @param trailers name, value, name, value …; not with framing "asSaid" */
  writeEnd(trailers: readonly string[] | undefined): void;
  /** @returns whether the caller takes more; if not, the exchange's `onDownstreamDrain` follows */
  flush(): boolean;
  /** The caller does not take what was written. */
  readonly blocked: boolean;
  /** Any of the final answer has left. */
  readonly answerStarted: boolean;
  /** Takes back what was written and has not left. */
  discard(): void;
  writeOwnAnswer(answer: OwnAnswer, mayFollow: boolean): void;

  // ends
  /** The answer is written. @param requestDone the request was read whole; @param now the clock's time */
  exchangeEnded(requestDone: boolean, now: number): void;
  /** Breaks it, so that the caller cannot take what it has for a whole answer. @param resetCode of HTTP/2 (RFC 9113 §7) */
  abort(failure: Failure, resetCode: number | undefined): void;

  // a connection that was switched to another protocol
  /** It is a tunnel from here on: bytes go to the exchange as they are. @returns those that are here already */
  takeUnreadBytes(): Buffer | undefined;
  /** @param bytes valid during the call. @returns whether the caller takes more */
  writeTunnel(bytes: Buffer): boolean;
  endTunnel(): void;
  /** The caller ended its side. */
  readonly ended: boolean;
}
