/** Callers and endpoints that speak HTTP/2 by Node.js' own implementation, which shares no line with ours. */
import { once } from "node:events";
import http2 from "node:http2";
import type net from "node:net";

export interface Answer {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders | undefined;
  readonly body: string;
  readonly interim: readonly number[];
}

export interface CallOptions {
  readonly body?: string | Buffer;
  readonly trailers?: http2.OutgoingHttpHeaders;
}

/** A caller's connection with prior knowledge. */
export class Http2Caller {
  readonly session: http2.ClientHttp2Session;
  goaway: number | undefined;

  constructor(port: number, options: http2.ClientSessionOptions = {}) {
    this.session = http2.connect(`http://127.0.0.1:${port}`, options);
    this.session.on("error", () => {});
    this.session.on("goaway", (code) => {
      this.goaway = code;
    });
  }

  open(headers: http2.OutgoingHttpHeaders, options?: http2.ClientSessionRequestOptions): http2.ClientHttp2Stream {
    return this.session.request({ ":authority": "svc.ns", ...headers }, options);
  }

  /** @throws where the stream is reset: an error whose `message` names the code */
  call(headers: http2.OutgoingHttpHeaders, { body, trailers }: CallOptions = {}): Promise<Answer> {
    const stream = this.open(headers, { endStream: body === undefined, waitForTrailers: trailers !== undefined });
    if (trailers !== undefined) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    if (body !== undefined) stream.end(body);
    return answerOf(stream);
  }

  async close(): Promise<void> {
    if (this.session.destroyed) return;
    this.session.destroy();
    await once(this.session, "close");
  }
}

export async function answerOf(stream: http2.ClientHttp2Stream): Promise<Answer> {
  let headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
  let trailers: http2.IncomingHttpHeaders | undefined;
  const interim: number[] = [];
  const pieces: Buffer[] = [];
  stream.on("headers", (each) => interim.push(each[":status"] ?? 0));
  stream.on("response", (each) => {
    headers = each;
  });
  stream.on("trailers", (each) => {
    trailers = each;
  });
  stream.on("data", (piece: Buffer) => pieces.push(piece));
  await new Promise<void>((resolve, reject) => {
    stream.on("error", reject);
    stream.on("close", () => {
      if (stream.rstCode === http2.constants.NGHTTP2_NO_ERROR) resolve();
      else reject(new Error(`closed with ${stream.rstCode}`));
    });
  });
  return {
    status: headers[":status"] ?? 0,
    headers,
    trailers,
    body: Buffer.concat(pieces).toString("latin1"),
    interim,
  };
}

export type StreamHandler = (
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  rawHeaders: readonly string[],
) => void;

/** An endpoint of HTTP/2 without TLS. */
export class Http2FarEnd {
  readonly server: http2.Http2Server;
  readonly sessions: http2.ServerHttp2Session[] = [];

  private constructor(server: http2.Http2Server) {
    this.server = server;
    server.on("session", (session) => this.sessions.push(session));
    server.on("sessionError", () => {});
  }

  static async listen(handle: StreamHandler, settings: http2.Settings = {}): Promise<Http2FarEnd> {
    const server = http2.createServer({ settings });
    // The types of Node.js leave the raw fields out (docs: Event: 'stream').
    server.on("stream", ((
      stream: http2.ServerHttp2Stream,
      headers: http2.IncomingHttpHeaders,
      _flags: number,
      rawHeaders: readonly string[],
    ) => {
      stream.on("error", () => {});
      handle(stream, headers, rawHeaders);
    }) as (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void);
    const farEnd = new Http2FarEnd(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return farEnd;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as net.AddressInfo).port}`;
  }

  close(): void {
    this.server.close();
    for (const session of this.sessions) session.destroy();
  }
}

/** All of a stream's content, as text of one character a byte. */
export async function contentOf(stream: http2.Http2Stream): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString("latin1");
}
