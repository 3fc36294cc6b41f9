import type { Span } from "../proxy/tracing/span.ts";

/** What became of spans that were sent. */
export type SendOutcome =
  /** `refused` of them the collector would not have. */
  | { readonly taken: true; readonly refused: number }
  /** None was taken; `again`: another time they may be, not before `afterMs`. */
  | { readonly taken: false; readonly reason: string; readonly again: boolean; readonly afterMs?: number };

/** Sends spans to a collector. */
export interface SpanSender {
  /** Never rejects, and ends within some seconds. @param spans at least one */
  send(spans: readonly Span[]): Promise<SendOutcome>;
  close(): void;
}

/** How long a collector may take. */
export const SEND_TIMEOUT_MS = 5_000;
