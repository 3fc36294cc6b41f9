/** Asks another process over HTTP. */
import http from "node:http";
import type { Duplex } from "node:stream";

export interface AdminPlace {
  /** A name or an address. */
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** The way there; absent: a connection of its own. Its far end is a loopback. */
  readonly connect?: () => Promise<Duplex>;
}

export interface GotAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/**
 * @param signal ends the asking, as after a time
 * @throws Error that says why there is no answer
 */
export async function getAnswer({ host, port, path, connect }: AdminPlace, signal: AbortSignal): Promise<GotAnswer> {
  const stream = connect === undefined ? undefined : await opened(connect(), signal);
  const way =
    stream === undefined
      ? { host, port, agent: false as const }
      : // There, no other name is answered.
        { createConnection: () => stream, headers: { host: `localhost:${port}` } };
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get({ ...way, path, signal }, resolve).on("error", reject);
  });
  let body = "";
  response.setEncoding("utf8");
  for await (const piece of response) body += piece;
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

/** What comes after it was given up is closed. */
function opened(opening: Promise<Duplex>, signal: AbortSignal): Promise<Duplex> {
  const gaveUp = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  opening.then(
    (stream) => {
      if (signal.aborted) stream.destroy();
    },
    () => {},
  );
  return Promise.race([opening, gaveUp]);
}
