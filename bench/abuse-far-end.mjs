/** The endpoints that abuse is sent to: one port, and the path of a request says how the endpoint misbehaves. */
import net from "node:net";
import { BODY } from "./backend.mjs";

const ADDRESSES = ["127.0.0.2", "127.0.0.3"];
const PIECE = Buffer.alloc(64 * 1024, "x");
const GIBIBYTE = 1024 ** 3;

/** Writes `piece` for as long as it is taken, `bytes` of it at most. */
function pour(socket, piece, bytes, counts) {
  let left = bytes;
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      left -= piece.length;
      counts.sent += piece.length;
      if (!socket.write(piece)) return;
    }
  };
  socket.on("drain", more);
  more();
}

const endless = (text) => Buffer.from(text.repeat(Math.ceil(16_384 / text.length)), "latin1");
const CHUNKED_HEAD = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** By path: what is done on the socket once a head is there. */
const PATHS = {
  "/"(socket) {
    socket.write(
      `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
      "latin1",
    );
  },
  /** Reads no more and answers nothing. */
  "/deaf"(socket) {
    socket.pause();
  },
  /** Reads all and answers nothing. */
  "/drop"() {},
  "/gibibyte"(socket, counts) {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${GIBIBYTE}\r\n\r\n`);
    pour(socket, PIECE, GIBIBYTE, counts);
  },
  "/tiny-chunks"(socket, counts) {
    socket.write(CHUNKED_HEAD);
    pour(socket, endless("1\r\nx\r\n"), Number.POSITIVE_INFINITY, counts);
  },
  "/trailers"(socket, counts) {
    socket.write(`${CHUNKED_HEAD}0\r\n`);
    pour(socket, endless("X-Trailer: xxxxxxxxxxxxxxxx\r\n"), Number.POSITIVE_INFINITY, counts);
  },
  "/head"(socket, counts) {
    socket.write("HTTP/1.1 200 OK\r\n");
    pour(socket, endless("X-Field: xxxxxxxxxxxxxxxxxx\r\n"), Number.POSITIVE_INFINITY, counts);
  },
  "/hints"(socket, counts) {
    pour(socket, endless("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), Number.POSITIVE_INFINITY, counts);
  },
};

/**
 * @returns the addresses that listen, `counts.sent` of bytes given to sockets, `dropAll` for the connections that are
 *   open, and `close`
 */
export async function startFarEnd(port) {
  const sockets = new Set();
  const counts = { sent: 0 };
  const serve = (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    let head = "";
    let deaf = false;
    socket.on("data", (bytes) => {
      if (deaf) return;
      head += bytes.latin1Slice();
      for (let end = head.indexOf("\r\n\r\n"); end !== -1 && !deaf; end = head.indexOf("\r\n\r\n")) {
        const path = head.split(" ", 2)[1] ?? "/";
        head = head.slice(end + 4);
        deaf = path !== "/";
        (PATHS[path] ?? PATHS["/"])(socket, counts);
      }
    });
  };
  const servers = await Promise.all(
    ADDRESSES.map(
      (address) =>
        new Promise((resolve, reject) => {
          const server = net.createServer(serve).once("error", reject);
          server.listen({ port, host: address, backlog: 4096 }, () => resolve(server));
        }),
    ),
  );
  const dropAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    addresses: ADDRESSES,
    counts,
    dropAll,
    close() {
      dropAll();
      for (const server of servers) server.close();
    },
  };
}
