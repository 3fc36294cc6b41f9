/** Reads `/api/tap` of a proxy, or of `tulle local`. */
import http from "node:http";
import type { Duplex } from "node:stream";
import { refusalOf, somethingElse } from "../admin/far-end.ts";
import { LineSplitter } from "../lines/line-splitter.ts";

/** A call's line is bounded by its head. */
const MAX_LINE_BYTES = 1024 * 1024;

/** Of an answer that is no tap. */
const MAX_REFUSAL = 1_000;

export interface TapPlace {
  readonly host: string;
  readonly port: number;
  /** The way there; absent: a connection of its own. */
  readonly connect?: () => Promise<Duplex>;
}

/**
 * Resolves when the far end ended the tap, as after the calls that it was asked for, or went away.
 * @throws Error where there is none; never once the signal has aborted
 */
export async function readTap(
  { host, port, connect }: TapPlace,
  query: URLSearchParams,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<void> {
  let begun = false;
  try {
    const stream = await connect?.();
    const options = {
      ...(stream === undefined ? { host, port, agent: false as const } : { createConnection: () => stream }),
      path: `/api/tap?${query}`,
      // Through a Pod's loopback no other name is answered.
      headers: { host: `localhost:${port}`, accept: "application/x-ndjson" },
      signal,
    };
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get(options, resolve).on("error", reject);
    });
    const { statusCode = 0, headers } = response;
    const type = headers["content-type"];
    if (statusCode !== 200) throw refusalOf(statusCode, type, await textOf(response));
    if (type !== "application/x-ndjson") {
      response.destroy();
      throw somethingElse(type);
    }
    begun = true;
    const lines = new LineSplitter(MAX_LINE_BYTES);
    for await (const bytes of response) lines.push(bytes as Buffer, onLine);
  } catch (error) {
    // A process that ends may reset what it still serves, or end it.
    const wentAway = begun && (error as NodeJS.ErrnoException).code === "ECONNRESET";
    if (!wentAway && !signal.aborted) throw error;
  }
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of response) {
    text += String(piece);
    if (text.length >= MAX_REFUSAL) break;
  }
  return text;
}
