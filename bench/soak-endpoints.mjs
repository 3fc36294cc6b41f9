/**
 * The endpoints of the soak: HTTP/1.1, HTTP/2 without TLS with gRPC, TCP and UDP on each address, all of which answer
 * what they were sent. Some leave and come back, finishing what is under way; others crash.
 */
import { createHash } from "node:crypto";
import dgram from "node:dgram";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { freePort } from "./processes.mjs";

const ADDRESSES = ["127.0.0.41", "127.0.0.42", "127.0.0.43"];
const PIECE = Buffer.alloc(16 * 1024, "s");
/** An endpoint that closes an idle connection in the moment in which it gets a POST would be at fault itself. */
const KEEP_ALIVE_MS = 3_600_000;

/** Writes `bytes` of content, no faster than they are taken. */
function give(stream, bytes) {
  let left = bytes;
  const more = () => {
    while (left > 0) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
      left -= piece.length;
      if (!stream.write(piece)) {
        stream.once("drain", more);
        return;
      }
    }
    stream.end();
  };
  more();
}

/** `/bytes/N` answers with N bytes; `/hash` with the SHA-256 of what was sent. */
function serve(request, response) {
  const bytes = /^\/bytes\/(\d+)$/.exec(request.url)?.[1];
  request.on("error", () => {});
  response.on("error", () => {});
  if (bytes !== undefined) {
    request.resume();
    response.writeHead(200, { "content-length": bytes });
    return give(response, Number(bytes));
  }
  const hash = createHash("sha256");
  request.on("data", (piece) => hash.update(piece));
  request.on("end", () => response.end(hash.digest("hex")));
}

/** A unary call of gRPC whose answer is its request, and one with twenty such answers. */
function serveGrpc(request, response) {
  const pieces = [];
  request.on("error", () => {});
  response.on("error", () => {});
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    const message = Buffer.concat(pieces);
    const times = request.url.endsWith("/Many") ? 20 : 1;
    response.writeHead(200, { "content-type": "application/grpc" });
    for (let sent = 0; sent < times; sent++) response.write(message);
    response.addTrailers({ "grpc-status": "0" });
    response.end();
  });
}

const h2cServer = () =>
  http2.createServer((request, response) => {
    const grpc = request.headers["content-type"]?.startsWith("application/grpc");
    (grpc ? serveGrpc : serve)(request, response);
  });

function http1Server() {
  const server = http.createServer(serve);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

const echoServer = () =>
  net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });

/** A server, and everything that it has open. */
class Endpoint {
  #make;
  #place;
  #server;
  #open = new Set();

  constructor(make, place) {
    this.#make = make;
    this.#place = place;
  }

  listen() {
    const server = this.#make();
    this.#server = server;
    const track = (each) => {
      this.#open.add(each);
      each.once("close", () => this.#open.delete(each));
    };
    server.on("connection", track);
    server.on("session", track);
    return new Promise((resolve, reject) => server.once("error", reject).listen(this.#place, resolve));
  }

  /** Accepts no more, and ends once nothing is under way: nobody should send it anything by now. */
  async leave() {
    // What was sent to it before, and waits unread while this process is busy, makes its connection no idle one.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections?.();
    for (const each of this.#open) if (each.goaway !== undefined) each.close();
    await closed;
  }

  async crash() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const each of this.#open) if (each.goaway === undefined) each.resetAndDestroy();
    await closed;
    await this.listen();
  }
}

function udpEcho(address, port) {
  const socket = dgram.createSocket("udp4");
  socket.on("message", (message, from) => socket.send(message, from.port, from.address));
  socket.on("error", () => {});
  return new Promise((resolve) => socket.bind(port, address, () => resolve(socket)));
}

/** What of each kind makes a server. Those of `app`, `grpc` and `echo` leave and come back; those of `crash` crash. */
const MAKERS = { app: http1Server, grpc: h2cServer, echo: echoServer, crash: http1Server };
const LASTING = ["app", "grpc", "echo"];

/** @returns `addresses`, `ports` by kind, and what becomes of an address: `leave`, `comeBack` and `crash` */
export async function startSoakEndpoints() {
  const ports = {};
  const byKind = {};
  for (const [kind, make] of Object.entries(MAKERS)) {
    const port = await freePort();
    ports[kind] = port;
    byKind[kind] = new Map(ADDRESSES.map((host) => [host, new Endpoint(make, { host, port, backlog: 1024 })]));
    await Promise.all([...byKind[kind].values()].map((each) => each.listen()));
  }
  ports.udp = await freePort();
  await Promise.all(ADDRESSES.map((address) => udpEcho(address, ports.udp)));
  return {
    addresses: ADDRESSES,
    ports,
    leave: (address) => Promise.all(LASTING.map((kind) => byKind[kind].get(address).leave())),
    comeBack: (address) => Promise.all(LASTING.map((kind) => byKind[kind].get(address).listen())),
    crash: (address) => byKind.crash.get(address).crash(),
  };
}
