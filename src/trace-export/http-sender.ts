import type { Span } from "../proxy/tracing/span.ts";
import { SEND_TIMEOUT_MS, type SendOutcome, type SpanSender } from "./span-sender.ts";

export interface HttpSenderOptions {
  readonly url: string;
  readonly contentType: string;
  /** Name, value. */
  readonly headers: Readonly<Record<string, string>>;
  encode(spans: readonly Span[]): string | Uint8Array<ArrayBuffer>;
  /** @returns how many the collector would not have, from its answer */
  refusedIn(answer: Uint8Array): number;
}

/** Statuses after which OTLP's specification has a client try again; Zipkin's has none. */
const AGAIN = new Set([408, 429, 502, 503, 504]);

/** Each piece of spans in a POST. */
export class HttpSender implements SpanSender {
  readonly #options: HttpSenderOptions;

  constructor(options: HttpSenderOptions) {
    this.#options = options;
  }

  async send(spans: readonly Span[]): Promise<SendOutcome> {
    const { url, contentType, headers, encode, refusedIn } = this.#options;
    try {
      const answer = await fetch(url, {
        method: "POST",
        headers: { ...headers, "content-type": contentType },
        body: encode(spans),
        redirect: "error",
        signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
      });
      const body = new Uint8Array(await answer.arrayBuffer());
      if (answer.ok) return { taken: true, refused: refusedIn(body) };
      const reason = `it answers ${answer.status} ${answer.statusText}`.trimEnd();
      const afterMs = Number(answer.headers.get("retry-after") ?? 0) * 1000 || 0;
      return { taken: false, reason, again: AGAIN.has(answer.status), afterMs };
    } catch (error) {
      return { taken: false, reason: causeOf(error as Error), again: true };
    }
  }

  close(): void {}
}

/** `fetch failed` says nothing; what is behind it does. */
function causeOf(error: Error): string {
  return error.cause instanceof Error && error.cause.message !== "" ? error.cause.message : error.message;
}
