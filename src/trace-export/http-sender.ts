import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import type { Clock } from "../model/clock.ts";
import type { Span } from "../proxy/tracing/span.ts";
import { SEND_TIMEOUT_MS, type SendOutcome, type SpanSender } from "./span-sender.ts";

export interface HttpSenderOptions {
  readonly url: string;
  readonly contentType: string;
  /** Name, value. */
  readonly headers: Readonly<Record<string, string>>;
  readonly clock: Clock;
  encode(spans: readonly Span[]): string | Uint8Array;
  /** @returns how many the collector would not have, from its answer */
  refusedIn(answer: Uint8Array): number;
}

interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly retryAfter: string;
  readonly body: Uint8Array;
}

/** Statuses after which OTLP's specification has a client try again; Zipkin's has none. */
const AGAIN = new Set([408, 429, 502, 503, 504]);
/** An answer has a message at most; whoever answers more is no collector. */
const MAX_ANSWER_BYTES = 65_536;

/**
 * Each piece of spans in a POST, over a connection that is kept. By node:http rather than `fetch`, which takes twice the
 * time, some of it from the calls of this thread.
 */
export class HttpSender implements SpanSender {
  readonly #options: HttpSenderOptions;
  readonly #url: URL;
  readonly #request: typeof http.request;
  readonly #agent: http.Agent;
  /** Ends the piece that was begun last. */
  #underWay: AbortController | undefined;

  constructor(options: HttpSenderOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
    const { request, Agent } = this.#url.protocol === "https:" ? https : http;
    this.#request = request;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 });
  }

  async send(spans: readonly Span[]): Promise<SendOutcome> {
    const { encode, refusedIn } = this.#options;
    try {
      const { status, statusText, retryAfter, body } = await this.#post(encode(spans));
      if (status >= 200 && status < 300) return { taken: true, refused: refusedIn(body) };
      const reason = `it answers ${status} ${statusText}`.trimEnd();
      return { taken: false, reason, again: AGAIN.has(status), afterMs: this.#msOf(retryAfter) };
    } catch (error) {
      return { taken: false, reason: causeOf(error as Error), again: true };
    }
  }

  close(): void {
    this.#underWay?.abort(new Error("the sender is closed"));
    this.#agent.destroy();
  }

  /** @param retryAfter seconds, or a date (RFC 9110 §10.2.3). @returns 0 where it says nothing that can be meant */
  #msOf(retryAfter: string): number {
    if (/^\d+$/.test(retryAfter)) return Number(retryAfter) * 1000;
    return Math.max(Date.parse(retryAfter) - this.#options.clock.wall() || 0, 0);
  }

  /** @throws where no whole answer comes in time */
  async #post(body: string | Uint8Array): Promise<Answer> {
    const underWay = new AbortController();
    this.#underWay = underWay;
    const { signal } = underWay;
    const timer = this.#options.clock.after(SEND_TIMEOUT_MS, () =>
      underWay.abort(new Error(`no answer within ${SEND_TIMEOUT_MS / 1000} s`)),
    );
    try {
      return await wholeOf(await this.#headOf(body, signal));
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      timer.cancel();
    }
  }

  async #headOf(body: string | Uint8Array, signal: AbortSignal): Promise<http.IncomingMessage> {
    const request = this.#begin(body, signal);
    try {
      return await answerTo(request, signal);
    } catch (error) {
      // The collector may have closed a connection that had waited in the moment in which it was used.
      if (!request.reusedSocket || signal.aborted) throw error;
      return answerTo(this.#begin(body, signal), signal);
    }
  }

  #begin(body: string | Uint8Array, signal: AbortSignal): http.ClientRequest {
    const { contentType, headers } = this.#options;
    const length = String(Buffer.byteLength(body));
    const request = this.#request(this.#url, {
      method: "POST",
      headers: { ...headers, "content-type": contentType, "content-length": length },
      agent: this.#agent,
    });
    // An error may come in the very moment in which the head of the answer does. From there on, the answer tells of it.
    request.on("error", () => {});
    signal.addEventListener("abort", () => request.destroy(), { once: true });
    return request.end(body);
  }
}

/** @throws where none comes, or `signal` aborts: of an answer that changes the protocol, the request tells nothing */
async function answerTo(request: http.ClientRequest, signal: AbortSignal): Promise<http.IncomingMessage> {
  const [answer] = (await once(request, "response", { signal })) as [http.IncomingMessage];
  return answer;
}

/** @throws where it ends too early or too late */
async function wholeOf(answer: http.IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MAX_ANSWER_BYTES) throw new Error(`it answers more than ${MAX_ANSWER_BYTES} bytes`);
    pieces.push(piece);
  }
  const { statusCode = 0, statusMessage = "", headers } = answer;
  const retryAfter = headers["retry-after"] ?? "";
  return { status: statusCode, statusText: statusMessage, retryAfter, body: Buffer.concat(pieces) };
}

/** Of a name that has several addresses, what happened at the first is behind the error. */
function causeOf(error: Error): string {
  return error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0].message : error.message;
}
