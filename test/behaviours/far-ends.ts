/** Endpoints that do what no sample does: they speak TLS and HTTP/2, reset, or answer late. */
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import { systemClock } from "../../src/model/clock.ts";
import { CERTIFICATE, KEY } from "../../src/model/testkit/certificate.ts";

/** Longer than Traefik gives half a TCP connection by default. */
const LATE_MS = 200;

const echo: http.RequestListener = (request, response) => {
  let length = 0;
  request.on("data", (bytes: Buffer) => {
    length += bytes.length;
  });
  request.on("end", () => {
    const { method, url, httpVersion, headers } = request;
    const secure = request.socket as { readonly servername?: string | false };
    response.end(JSON.stringify({ method, url, httpVersion, headers, length, serverName: secure.servername ?? "" }));
  });
};

/** A gRPC call is answered by its trailers, anything else by the version of HTTP. */
function answerGrpc(request: http2.Http2ServerRequest, response: http2.Http2ServerResponse): void {
  if (request.headers["content-type"] !== "application/grpc") {
    response.end(JSON.stringify({ httpVersion: request.httpVersion, serverName: "" }));
    return;
  }
  request.resume();
  response.setHeader("content-type", "application/grpc");
  response.addTrailers({ "grpc-status": "0" });
  // An empty message of gRPC.
  response.end(Buffer.alloc(5));
}

/** What `echo` says. */
export interface Echoed {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the request's content, in bytes. */
  readonly length: number;
  /** Of TLS. */
  readonly serverName: string;
}

export class FarEnds {
  readonly #servers: (net.Server | http2.Http2Server)[] = [];
  readonly #sockets = new Set<net.Socket>();
  /** Says what it was asked. */
  echo = 0;
  /** The same in TLS. */
  https = 0;
  /** HTTP/2 with prior knowledge. */
  h2c = 0;
  /** Ends each connection with a reset as soon as a request is there. */
  reset = 0;
  /** TCP: says `late` when the caller has ended its side, after a while. */
  late = 0;

  static async start(): Promise<FarEnds> {
    const far = new FarEnds();
    far.echo = await far.#listen(http.createServer(echo), "127.0.0.1");
    far.h2c = await far.#listen(http2.createServer(answerGrpc), "127.0.0.1");
    const tls = { cert: CERTIFICATE, key: KEY };
    far.https = await far.#listen(https.createServer(tls, echo), "0.0.0.0");
    far.reset = await far.#listen(
      net.createServer((socket) => {
        socket.on("error", () => {});
        socket.on("data", () => socket.resetAndDestroy());
      }),
      "127.0.0.1",
    );
    const answerLate = (socket: net.Socket) => {
      socket.on("error", () => {});
      socket.resume().on("end", () => systemClock.after(LATE_MS, () => socket.end("late")));
    };
    far.late = await far.#listen(net.createServer({ allowHalfOpen: true }, answerLate), "127.0.0.1");
    return far;
  }

  async close(): Promise<void> {
    const closed = this.#servers.map((server) => once(server, "close"));
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }

  async #listen(server: net.Server | http2.Http2Server, address: string): Promise<number> {
    server.on("connection", (socket: net.Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.listen(0, address);
    await once(server, "listening");
    this.#servers.push(server);
    return (server.address() as net.AddressInfo).port;
  }
}
