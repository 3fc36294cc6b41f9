import type { Http2Stream, StreamCarrier } from "./http2-stream.ts";

/** The streams of a connection with content that no window took, in the order in which they are served. */
export class WaitingStreams {
  readonly #streams = new Set<Http2Stream>();

  add(stream: Http2Stream): void {
    this.#streams.add(stream);
  }

  delete(stream: Http2Stream): void {
    this.#streams.delete(stream);
  }

  /** Has each send in turn, a frame each, until none of them can move. */
  serve(carrier: StreamCarrier): void {
    let stuck = 0;
    while (this.#streams.size > stuck && carrier.sendRoom > 0 && carrier.socketReady) {
      const stream = this.#streams.values().next().value as Http2Stream;
      this.#streams.delete(stream);
      const moved = stream.sendPending();
      if (!stream.hasPending) continue;
      this.#streams.add(stream);
      stuck = moved ? 0 : stuck + 1;
    }
  }
}
