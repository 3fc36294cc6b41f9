/**
 * The API server's end of port forwarding, over WebSocket (RFC 6455) with the sub-protocol v4.channel.k8s.io: channel 0
 * is the port's bytes, channel 1 its errors, and each begins with the port's number.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import type { Duplex } from "node:stream";
import { CERTIFICATE, KEY } from "../../model/testkit/certificate.ts";
import type { ApiAccess } from "../api-access.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const PROTOCOL = "v4.channel.k8s.io";
const [BINARY, CLOSE] = [2, 8];

export interface ForwardRequest {
  readonly path: string;
  readonly authorization: string | undefined;
}

export interface ForwardedPod {
  readonly name: string;
  readonly component?: "controller" | "proxy";
  readonly ready?: boolean;
  readonly image?: string;
  readonly node?: string;
  /** Milliseconds since the epoch. */
  readonly createdAt?: number;
  readonly deletedAt?: number;
}

export type PortOf = (pod: string) => number | "closed" | "forbidden";

export class ForwardingServer {
  readonly requests: ForwardRequest[] = [];
  readonly #server = http2.createSecureServer({ cert: CERTIFICATE, key: KEY, allowHTTP1: true });
  /** Names of those that run in the namespace `tulle`, or what there is to say of them. */
  readonly pods: (string | ForwardedPod)[] = [];
  readonly #sockets = new Set<Duplex>();

  /** @param portOf the port of this machine that stands for a Pod's; "closed": nothing listens there */
  private constructor(portOf: PortOf) {
    this.#server.on("secureConnection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
    });
    this.#server.on("request", (request, response) => {
      const { pathname, searchParams } = new URL(request.url, "https://localhost");
      const pods = this.pods.map((pod) => podOf(typeof pod === "string" ? { name: pod } : pod));
      response.statusCode = pathname === "/api/v1/namespaces/tulle/pods" ? 200 : 404;
      if (!searchParams.has("watch")) response.end(JSON.stringify({ metadata: { resourceVersion: "1" }, items: pods }));
      // A watch that has nothing to tell.
      else response.write("\n");
    });
    this.#server.on("upgrade", (request, socket) => {
      this.requests.push({ path: request.url ?? "", authorization: request.headers.authorization });
      const pod = /\/pods\/([^/]+)\/portforward\?ports=\d+$/.exec(request.url ?? "")?.[1];
      const port = pod === undefined ? "forbidden" : portOf(decodeURIComponent(pod));
      if (port === "forbidden") socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
      else this.#forward(socket, request.headers["sec-websocket-key"] ?? "", port);
    });
  }

  static async start(portOf: PortOf): Promise<ForwardingServer> {
    const server = new ForwardingServer(portOf);
    server.#server.listen(0, "localhost");
    await once(server.#server, "listening");
    return server;
  }

  get access(): ApiAccess {
    const { port } = this.#server.address() as net.AddressInfo;
    return {
      server: `https://localhost:${port}`,
      tls: { ca: CERTIFICATE },
      authorization: async () => "Bearer secret",
    };
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #forward(socket: Duplex, key: string, port: number | "closed"): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    const accept = createHash("sha1")
      .update(key + GUID)
      .digest("base64");
    const head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
    head.push(`Sec-WebSocket-Accept: ${accept}`, `Sec-WebSocket-Protocol: ${PROTOCOL}`);
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    for (const channel of [0, 1]) socket.write(frame(BINARY, Buffer.from([channel, 0, 0])));
    if (port === "closed") {
      socket.write(frame(BINARY, Buffer.from("\u0001connection refused")));
      return;
    }
    const target = net.connect(port, "127.0.0.1");
    this.#sockets.add(target);
    target.on("error", () => {});
    target.on("data", (bytes) => socket.write(frame(BINARY, Buffer.concat([Buffer.from([0]), bytes]))));
    target.on("close", () => socket.end(frame(CLOSE, Buffer.alloc(0))));
    socket.on("close", () => target.destroy());
    readFrames(socket, (opcode, payload) => {
      if (opcode === CLOSE) target.end();
      else if (payload[0] === 0) target.write(payload.subarray(1));
    });
  }
}

function podOf({
  name,
  component = "proxy",
  ready = true,
  image = "tulle:1",
  node,
  createdAt = 0,
  deletedAt,
}: ForwardedPod) {
  const deletion = deletedAt === undefined ? {} : { deletionTimestamp: new Date(deletedAt).toISOString() };
  return {
    metadata: {
      name,
      namespace: "tulle",
      resourceVersion: "1",
      labels: { "app.kubernetes.io/component": component, "app.kubernetes.io/part-of": "tulle" },
      creationTimestamp: new Date(createdAt).toISOString(),
      ...deletion,
    },
    spec: { nodeName: node ?? `node-of-${name}`, containers: [{ image }] },
    status: { phase: "Running", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
  };
}

/** As a server sends it: whole, and not masked (§5.1). */
function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : 4);
  head[0] = 0x80 | opcode;
  head[1] = Math.min(length, 126);
  if (length >= 126) head.writeUInt16BE(length, 2);
  return Buffer.concat([head, payload]);
}

/** A client's frames are masked (§5.3); those of these tests are shorter than 64 KiB. */
function readFrames(socket: Duplex, onFrame: (opcode: number, payload: Buffer) => void): void {
  let unread = Buffer.alloc(0);
  socket.on("data", (bytes: Buffer) => {
    unread = Buffer.concat([unread, bytes]);
    for (;;) {
      const short = (unread[1] ?? 0) & 0x7f;
      const start = short === 126 ? 4 : 2;
      if (unread.length < start + 4) return;
      const length = short === 126 ? unread.readUInt16BE(2) : short;
      if (unread.length < start + 4 + length) return;
      const mask = unread.subarray(start, start + 4);
      const payload = Buffer.from(unread.subarray(start + 4, start + 4 + length));
      for (let at = 0; at < length; at++) payload[at] = (payload[at] as number) ^ (mask[at % 4] as number);
      const opcode = (unread[0] as number) & 0x0f;
      unread = unread.subarray(start + 4 + length);
      onFrame(opcode, payload);
    }
  });
}
