/** Asks the admin API of another process. */
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

/**
 * @param signal ends the asking, as after a time
 * @returns what was answered with status 200
 * @throws Error that says whom was asked and why there is no answer, whatever the far end does
 */
export async function getJson({ host, port, path, connect }: AdminPlace, signal: AbortSignal): Promise<unknown> {
  try {
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
    if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${body.slice(0, 200).trim()}`);
    return JSON.parse(body);
  } catch (error) {
    const reason = signal.aborted ? "no answer in time" : (error as Error).message;
    throw new Error(`${host}:${port}${path}: ${reason}`);
  }
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
