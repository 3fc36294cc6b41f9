/** A span as plain data, whatever becomes of it. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** "" where the trace begins with it. */
  readonly parentId: string;
  /** server: an exchange, as its caller sees it; client: a try of it at an endpoint. */
  readonly kind: "server" | "client";
  readonly name: string;
  /** Milliseconds since the epoch, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly failed: boolean;
  readonly attributes: SpanAttributes;
}

export type SpanAttributes = Record<string, string | number | boolean>;

/** Spans that are known and not written yet. It may hold on to a request's head: of those that wait, few are left unwritten. */
export interface PendingSpans {
  /** So many they will be. */
  readonly count: number;
  write(): readonly Span[];
}
