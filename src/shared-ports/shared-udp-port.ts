/**
 * A UDP socket whose port another process may have too (SO_REUSEPORT), and which can leave it to that one without losing a
 * datagram. The kernel gives a connected socket only what its peer sends, so a socket that is connected to nobody gets
 * nothing new, while what it was given before can still be read. It is unconnected for as long as it takes to send an
 * answer, because Node.js sends to others only then; what comes in that time is read like the rest.
 */
import type dgram from "node:dgram";
import { quietTurn } from "./quiet-turn.ts";

/** Port 9 discards (RFC 863): nothing ever comes from there. */
const NOBODY = { udp4: "127.0.0.1", udp6: "::1", port: 9 } as const;
export class SharedUdpPort {
  readonly socket: dgram.Socket;
  readonly #family: "udp4" | "udp6";
  #diverted = false;
  #received = 0;

  /**
   * @param socket bound to a port by its number (another loses its port when it is unconnected), and made with a `lookup`
   * that answers at once
   */
  constructor(socket: dgram.Socket) {
    this.socket = socket;
    this.#family = socket.address().family === "IPv6" ? "udp6" : "udp4";
    socket.on("message", () => {
      this.#received++;
    });
  }

  /** From now on new datagrams go to whoever shares the port; resolves when those that had come have been read. */
  async divert(): Promise<void> {
    if (!this.#diverted) {
      this.#diverted = true;
      this.#connect();
    }
    await new Promise<void>((resolve) => quietTurn(() => this.#received, resolve));
  }

  /** As `socket.send`. */
  send(bytes: Buffer, port: number, address: string, sent: (error: Error | null) => void): void {
    if (!this.#diverted) {
      this.socket.send(bytes, port, address, sent);
      return;
    }
    this.#disconnect();
    this.socket.send(bytes, port, address, sent);
    this.#connect();
  }

  #connect(): void {
    this.socket.connect(NOBODY.port, NOBODY[this.#family]);
  }

  #disconnect(): void {
    try {
      this.socket.disconnect();
    } catch {
      // It could not be connected, so it gets datagrams still.
    }
  }
}
