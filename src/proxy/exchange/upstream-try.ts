import type { Failure } from "../../model/failures.ts";
import type { UpstreamConnection } from "../upstream/upstream-connection.ts";
import type { Downstream } from "./downstream.ts";
import type { OutgoingRequest } from "./outgoing-request.ts";

/** One try of a request at an endpoint, whatever that speaks. It writes the answer to the caller itself. */
export interface UpstreamTry {
  /** It went out on a connection that had served before: the endpoint may be closing that at this moment. */
  readonly reused: boolean;
  /** Any byte of an answer came. */
  readonly answerBegun: boolean;
  /** Of the final answer; 0 before it. */
  readonly status: number;
  /** With which the endpoint reset its stream (RFC 9113 §7). */
  readonly resetCode: number | undefined;
  /** Whether the endpoint ended its side. */
  readonly ended: boolean;
  /** @returns whether the endpoint takes more */
  sendHead(content: Buffer | undefined, done: boolean, trailers: readonly string[] | undefined): boolean;
  /** @param bytes valid during the call. @returns whether the endpoint takes more */
  sendContent(bytes: Buffer): boolean;
  sendEnd(trailers: readonly string[] | undefined): void;
  /** Of a tunnel. */
  endTunnel(): void;
  pauseReading(): void;
  resumeReading(): void;
  /**
   * The answer is whole.
   * @param requestDone and so is the request: the connection may serve another
   * @param now the clock's time
   */
  finish(requestDone: boolean, now: number): void;
  /** Gives it up. @param cut the endpoint has part of a request, and must not take that for all of it */
  drop(cut: boolean): void;
  /** Gives up a tunnel; its last bytes still leave. */
  dropTunnel(): void;
}

/** Who has a request tried. Nothing is called before the method that began the try returned. */
export interface TryOwner {
  readonly outgoing: OutgoingRequest;
  /** The try can send. */
  onTryReady(): void;
  /** The connection that was opened for HTTP/1.1 speaks HTTP/2 (ALPN, RFC 7301). The try is over. */
  onHttp2(connection: UpstreamConnection): void;
  /** It waited for a connection that others could share, and there is no room on that. The try has not begun. */
  onTryUnplaced(): void;
  /**
   * The answer's final head is here, or the connection is switched to another protocol.
   * @returns false where the caller is not to have this answer: nothing of it is written, and `onAnswerDeclined` follows
   */
  takesAnswer(status: number): boolean;
  /** @param whole all of the answer was read */
  onAnswerDeclined(whole: boolean): void;
  /** It came to nothing. @param untouched the endpoint says that it has not acted on the request, or cannot have */
  onTryFailed(failure: Failure, untouched: boolean): void;
}

/** The exchange, as the try sees it that writes its answer. */
export interface AnswerOwner {
  readonly downstream: Downstream;
  /** Another request may come on the caller's connection. */
  readonly mayFollow: boolean;
  /** A byte moved. */
  onTryProgress(): void;
  /** Content of the answer was passed on: so much, without its framing. */
  onAnswerContent(bytes: number): void;
  /** Trailers of the answer, or the fields of a head that is all of it. @param fields name, value, name, value … */
  onAnswerTrailers(fields: readonly string[]): void;
  /** The endpoint takes more of the request. */
  onTryDrain(): void;
  /** The answer is written whole, in the step in which its last byte came: `onTryProgress` was called for that. */
  onAnswered(): void;
  onSwitched(): void;
  onTunnelBytes(bytes: Buffer): void;
  onTunnelEnd(): void;
}
