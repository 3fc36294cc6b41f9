/** Asks the admin API of another process. */
import http from "node:http";

export interface AdminPlace {
  /** A name or an address. */
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/**
 * @param signal ends the asking, as after a time
 * @returns what was answered with status 200
 * @throws Error that says whom was asked and why there is no answer, whatever the far end does
 */
export async function getJson({ host, port, path }: AdminPlace, signal: AbortSignal): Promise<unknown> {
  try {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get({ host, port, path, agent: false, signal }, resolve).on("error", reject);
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
