import type { EndpointState } from "../router/types.ts";
import { clientSpan, serverSpan } from "./exchange-spans.ts";
import type { PendingSpans, Span } from "./span.ts";
import type { OwnSpan, TracedExchange, TryTrace } from "./traced-exchange.ts";

/**
 * What spans tell of an exchange, noted while it goes on; made for each that is recorded. The spans themselves are written
 * later and together with others': of code that one request in a hundred runs through, nothing is in the processor's
 * caches, and there it takes some five times as long.
 */
export class RecordedExchange implements PendingSpans {
  readonly #own: OwnSpan;
  readonly #tries: TryTrace[] = [];
  #exchange: TracedExchange | undefined;
  #durationMs = 0;

  constructor(own: OwnSpan) {
    this.#own = own;
  }

  beginTry(spanId: string, endpoint: EndpointState, startedMs: number): TryTrace {
    const begun: TryTrace = {
      spanId,
      ordinal: this.#tries.length + 1,
      endpoint,
      scheme: endpoint.owner.config.scheme,
      startedMs,
      endedMs: 0,
      version: "",
      status: 0,
      grpcStatus: -1,
      failure: "",
    };
    this.#tries.push(begun);
    return begun;
  }

  /** The last was none. */
  dropTry(): void {
    this.#tries.pop();
  }

  /** @param exchange is its owner's again when this returns */
  end(exchange: TracedExchange, durationMs: number): void {
    this.#durationMs = durationMs;
    this.#exchange = {
      entry: exchange.entry,
      caller: exchange.caller,
      protocol: exchange.protocol,
      method: exchange.method,
      target: exchange.target,
      status: exchange.status,
      grpcStatus: exchange.grpcStatus,
      failure: exchange.failure,
      path: exchange.path.slice(),
      origin: exchange.origin,
      attempts: exchange.attempts,
      bytesUp: exchange.bytesUp,
      bytesDown: exchange.bytesDown,
      wouldDeny: exchange.wouldDeny,
    };
  }

  get count(): number {
    return 1 + this.#tries.length;
  }

  write(): Span[] {
    const exchange = this.#exchange;
    if (exchange === undefined) return [];
    const own = this.#own;
    return [serverSpan(exchange, own, this.#durationMs), ...this.#tries.map((each) => clientSpan(exchange, own, each))];
  }
}
