import { once } from "node:events";
import net from "node:net";
import { onTestFinished } from "vitest";

export interface SocketPair {
  readonly socket: net.Socket;
  /** Reads when it is told to. */
  readonly peer: net.Socket;
}

/** The two ends of a connection, which are gone with the test. */
export async function socketPair(): Promise<SocketPair> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection");
  const socket = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  const [[peer]] = (await Promise.all([accepted, once(socket, "connect")])) as [[net.Socket], unknown];
  server.close();
  peer.pause();
  peer.on("error", () => {});
  onTestFinished(() => {
    socket.destroy();
    peer.destroy();
  });
  return { socket, peer };
}

/** All that comes until the other end has ended. */
export async function readAll(peer: net.Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of peer) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
