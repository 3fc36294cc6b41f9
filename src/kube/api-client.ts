/**
 * Requests to the API server. All of them share one HTTP/2 connection, so that its pings tell within seconds that the
 * way is dead, for watches that wait for months of silence as for requests that wait for their turn.
 */
import http2 from "node:http2";
import { LineSplitter } from "../lines/line-splitter.ts";
import type { Clock, Timer } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { ApiAccess } from "./api-access.ts";
import { ApiError } from "./api-error.ts";

export type Query = Readonly<Record<string, string | number | undefined>>;

export interface RequestOptions {
  readonly query?: Query;
  readonly body?: unknown;
  /** Of the body; JSON where absent. */
  readonly contentType?: string;
  readonly accept?: string;
  /** From the call to the end of the answer, connecting included. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface WatchOptions {
  readonly query: Query;
  readonly accept?: string;
  readonly signal: AbortSignal;
  /** With each event as the server wrote it. */
  onEvent(event: unknown): void;
  /** The server has accepted the watch. */
  onOpen?(): void;
  /** Ends the watch when nothing was received for so long. */
  readonly silenceMs: number;
}

export interface ApiClientOptions {
  readonly access: ApiAccess;
  readonly clock: Clock;
  readonly log: Log;
  readonly userAgent: string;
}

/** What the rest of the room needs of a client. */
export type Api = Pick<ApiClient, "request" | "watch">;

/** The same API, whose requests are given up when the signal aborts, even where they were given no signal. */
export function endingWith(api: Api, signal: AbortSignal): Api {
  return {
    request: (method, path, options = {}) =>
      api.request(method, path, {
        ...options,
        signal: options.signal === undefined ? signal : AbortSignal.any([options.signal, signal]),
      }),
    watch: (path, options) => api.watch(path, { ...options, signal: AbortSignal.any([options.signal, signal]) }),
  };
}

export const MERGE_PATCH = "application/merge-patch+json";

const REQUEST_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 10_000;
const PING_INTERVAL_MS = 5_000;
/** With the interval before it, a dead connection is seen within 15 s. */
const PING_TIMEOUT_MS = 8_000;
/** A list page of large objects is some megabytes; a single event is at most an object (etcd's bound is 1.5 MB). */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
/** Flow-control window: 64 KiB, the default, makes long lists slow on a far connection. */
const WINDOW_BYTES = 4 * 1024 * 1024;

interface Opening {
  readonly method: string;
  readonly path: string;
  readonly query: Query | undefined;
  readonly headers: http2.OutgoingHttpHeaders;
  readonly endStream: boolean;
}

export class ApiClient {
  readonly #options: ApiClientOptions;
  #session: http2.ClientHttp2Session | undefined;
  /** Of `#session`: all that wait for it share one promise, or each would be a listener of its own there. */
  #up: Promise<http2.ClientHttp2Session> | undefined;
  #pinging: Timer | undefined;
  #closed = false;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  /** The namespace that it speaks from, where the credentials tell. */
  get namespace(): string | undefined {
    return this.#options.access.namespace;
  }

  /** @throws ApiError for every answer that is not 2xx, and where there is none */
  async request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const { query, body, contentType = "application/json", accept = "application/json", signal } = options;
    const what = `${method} ${path}`;
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers: http2.OutgoingHttpHeaders = { accept };
    if (payload !== undefined) headers["content-type"] = contentType;
    const over = new AbortController();
    const end = (why: string) => over.abort(new ApiError(`${what}: ${why}`));
    const timer = this.#options.clock.after(options.timeoutMs ?? REQUEST_TIMEOUT_MS, () => end("no answer in time"));
    const onAbort = () => end("given up");
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      const stream = await this.#open({ method, path, query, headers, endStream: payload === undefined }, over.signal);
      if (payload !== undefined) stream.end(payload);
      const { status, headers: answered } = await answerOf(stream, what);
      const text = await wholeBody(stream, what);
      if (status < 200 || status > 299) throw errorOf(what, status, answered, text);
      return (text === "" ? undefined : parseJson(text, what)) as T;
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /**
   * Resolves when the server ended the watch, or `signal` did.
   * @throws ApiError where it refused, the stream broke or fell silent
   */
  async watch(path: string, options: WatchOptions): Promise<void> {
    try {
      await this.#watch(path, options);
    } catch (error) {
      if (!options.signal.aborted) throw error;
    }
  }

  async #watch(path: string, options: WatchOptions): Promise<void> {
    const { signal, accept = "application/json" } = options;
    const what = `watch ${path}`;
    const query = { ...options.query, watch: "1" };
    const stream = await this.#open({ method: "GET", path, query, headers: { accept }, endStream: true }, signal);
    let silence: Timer | undefined;
    const heard = () => {
      silence?.cancel();
      silence = this.#options.clock.after(options.silenceMs, () =>
        stream.destroy(new ApiError(`${what}: silent for ${Math.round(options.silenceMs / 1000)} s`)),
      );
    };
    heard();
    try {
      const { status, headers } = await answerOf(stream, what);
      if (status !== 200) throw errorOf(what, status, headers, await wholeBody(stream, what));
      options.onOpen?.();
      await this.#readEvents(stream, what, options, heard);
    } finally {
      silence?.cancel();
      stream.destroy();
    }
  }

  close(): void {
    this.#closed = true;
    this.#pinging?.cancel();
    this.#session?.destroy();
  }

  async #readEvents(
    stream: http2.ClientHttp2Stream,
    what: string,
    options: WatchOptions,
    heard: () => void,
  ): Promise<void> {
    const lines = new LineSplitter(MAX_EVENT_BYTES);
    await new Promise<void>((resolve, reject) => {
      stream.on("data", (bytes: Buffer) => {
        heard();
        try {
          lines.push(bytes, (line) => options.onEvent(parseJson(line, what)));
        } catch (error) {
          stream.destroy(error as Error);
        }
      });
      whenEnded(stream, `${what}: cut off`, resolve, reject);
    });
  }

  /**
   * The stream ends with the signal, and nothing is sent once that has aborted.
   * @throws ApiError, or the signal's reason
   */
  async #open({ method, path, query, headers, endStream }: Opening, signal: AbortSignal) {
    const { access, userAgent } = this.#options;
    let authorization: string | undefined;
    try {
      authorization = await unlessAborted(access.authorization(), signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new ApiError(`credentials for the API server: ${(error as Error).message}`);
    }
    const session = await unlessAborted(this.#connected(), signal);
    signal.throwIfAborted();
    try {
      const base = new URL(access.server).pathname.replace(/\/$/, "");
      const stream = session.request(
        {
          ...headers,
          ":method": method,
          ":path": base + path + queryText(query),
          "user-agent": userAgent,
          ...(authorization === undefined ? {} : { authorization }),
        },
        { endStream },
      );
      // Whoever waits for the stream gets the error; none may be left without a listener.
      stream.on("error", () => {});
      const onAbort = () => stream.destroy(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      stream.once("close", () => signal.removeEventListener("abort", onAbort));
      return stream;
    } catch (error) {
      throw asApiError(error as Error, `${method} ${path}`);
    }
  }

  async #connected(): Promise<http2.ClientHttp2Session> {
    if (this.#closed) throw new ApiError("the client is closed");
    const known = this.#session;
    if (known === undefined || known.closed || known.destroyed) this.#up = this.#connect();
    return this.#up as Promise<http2.ClientHttp2Session>;
  }

  #connect(): Promise<http2.ClientHttp2Session> {
    const { access, log } = this.#options;
    const session = http2.connect(access.server, { ...access.tls, settings: { initialWindowSize: WINDOW_BYTES } });
    this.#session = session;
    session.setTimeout(0);
    const connecting = this.#options.clock.after(CONNECT_TIMEOUT_MS, () =>
      session.destroy(new ApiError(`no connection to the API server ${access.server} in time`)),
    );
    session.once("connect", () => {
      connecting.cancel();
      session.setLocalWindowSize(WINDOW_BYTES * 4);
      this.#ping(session);
    });
    session.on("error", (error) => log.debug("connection to the API server", { error: error.message }));
    // A server that goes away ends its streams itself; requests after that take a new connection.
    session.once("goaway", () => this.#forget(session));
    session.once("close", () => {
      connecting.cancel();
      this.#forget(session);
    });
    return connected(session);
  }

  #forget(session: http2.ClientHttp2Session): void {
    if (this.#session === session) this.#session = undefined;
  }

  #ping(session: http2.ClientHttp2Session): void {
    const { clock, access } = this.#options;
    this.#pinging?.cancel();
    this.#pinging = clock.after(PING_INTERVAL_MS, () => {
      if (session.destroyed) return;
      const late = clock.after(PING_TIMEOUT_MS, () =>
        session.destroy(new ApiError(`the API server ${access.server} does not answer pings`)),
      );
      const sent = session.ping(() => {
        late.cancel();
        if (!session.destroyed && this.#session === session) this.#ping(session);
      });
      if (!sent) late.cancel();
    });
  }
}

/** @throws the signal's reason where that comes first */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function connected(session: http2.ClientHttp2Session): Promise<http2.ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(asApiError(error, "connecting to the API server"));
    const closed = () => reject(new ApiError("the connection to the API server closed before it was up"));
    session.once("connect", () => {
      session.off("error", failed);
      session.off("close", closed);
      resolve(session);
    });
    session.once("error", failed);
    session.once("close", closed);
  });
}

function answerOf(
  stream: http2.ClientHttp2Stream,
  what: string,
): Promise<{ status: number; headers: http2.IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    stream.once("response", (headers) => resolve({ status: headers[":status"] ?? 0, headers }));
    stream.once("error", (error) => reject(asApiError(error, what)));
    stream.once("close", () => reject(new ApiError(`${what}: cut off before the answer`)));
  });
}

async function wholeBody(stream: http2.ClientHttp2Stream, what: string): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    stream.on("data", (bytes: Buffer) => {
      length += bytes.length;
      if (length > MAX_ANSWER_BYTES) stream.destroy(new ApiError(`${what}: the answer is too long`));
      else pieces.push(bytes);
    });
    const whole = () => resolve(Buffer.concat(pieces).toString("utf8"));
    whenEnded(stream, `${what}: cut off within the answer`, whole, reject);
  });
}

/** The runtime says `end` of a stream that was reset, too: only once it is closed is it known how it ended. */
function whenEnded(
  stream: http2.ClientHttp2Stream,
  cutOff: string,
  resolve: () => void,
  reject: (error: ApiError) => void,
): void {
  let failure: Error | undefined;
  stream.once("error", (error) => {
    failure = error;
  });
  stream.once("close", () => {
    if (failure instanceof ApiError) reject(failure);
    else if (failure !== undefined || stream.rstCode !== http2.constants.NGHTTP2_NO_ERROR || !stream.readableEnded)
      reject(new ApiError(failure === undefined ? cutOff : `${cutOff}: ${failure.message}`));
    else resolve();
  });
}

function asApiError(error: Error, what: string): ApiError {
  return error instanceof ApiError ? error : new ApiError(`${what}: ${error.message}`);
}

function errorOf(what: string, status: number, headers: http2.IncomingHttpHeaders, body: string): ApiError {
  let said = { message: body.slice(0, 200), reason: "" };
  try {
    const parsed = JSON.parse(body) as { message?: string; reason?: string };
    said = { message: parsed.message ?? said.message, reason: parsed.reason ?? "" };
  } catch {
    // A proxy on the way answers in its own form; its first words are in the message.
  }
  const seconds = Number(headers["retry-after"]);
  const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
  return new ApiError(`${what}: ${status} ${said.message}`.trim(), status, said.reason, retryAfterMs);
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(`${what}: the answer is not JSON: ${text.slice(0, 100)}`);
  }
}

function queryText(query: Query | undefined): string {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  if (pairs.length === 0) return "";
  return `?${pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`).join("&")}`;
}
