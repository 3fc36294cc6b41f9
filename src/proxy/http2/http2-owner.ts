/** What a connection is given: by its thread, and by whoever has opened or accepted it. */
import type { Clock } from "../../model/clock.ts";
import type { Http2Stream } from "./http2-stream.ts";
import type { MessageHead } from "./message-rules.ts";
import type { OutputChunks } from "./output-chunks.ts";

/** What all connections of a thread share. */
export interface Http2Shared {
  readonly clock: Clock;
  readonly chunks: OutputChunks;
  readonly head: MessageHead;
}

export interface Http2Owner {
  /**
   * Of a server: a request came. The owner sets the stream's user, or answers.
   * @param head valid during the call
   */
  onRequest(stream: Http2Stream, head: MessageHead, fields: string[]): void;
  /** A request whose fields are too many (RFC 6585 §5): it waits for an answer and nothing else. */
  onHeadTooLarge(stream: Http2Stream): void;
  /** The peer's settings came: it speaks HTTP/2. */
  onReady(): void;
  /** A stream is over; others may now begin, or the connection be idle. */
  onStreamOver(): void;
  /** The peer begins or takes no more streams. */
  onGoaway(): void;
  /** Nothing more is read; what was written still leaves. @param reason for a log; "" where all is in order */
  onFatal(reason: string): void;
}
