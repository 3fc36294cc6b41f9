/** Both ends of a call through SOCKS5, as sockets that say and see bytes. */
import { once } from "node:events";
import net from "node:net";
import { onTestFinished } from "vitest";

export const SOCKS_ADDRESS = "127.1.95.1";
export const FAR_ADDRESS = "127.1.95.2";

/** A peer whose bytes are kept, one character a byte. */
export class Peer {
  readonly socket: net.Socket;
  text = "";
  ended = false;
  error = "";
  #wake = () => {};

  constructor(socket: net.Socket) {
    this.socket = socket;
    onTestFinished(() => void socket.destroy());
    socket.on("data", (bytes) => {
      this.text += bytes.toString("latin1");
      this.#wake();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#wake();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? "";
      this.#wake();
    });
    socket.on("close", () => this.#wake());
  }

  static async to(port: number, host = SOCKS_ADDRESS): Promise<Peer> {
    const socket = net.connect({ host, port, noDelay: true, allowHalfOpen: true });
    await once(socket, "connect");
    return new Peer(socket);
  }

  say(...bytes: readonly (number | string)[]): void {
    this.socket.write(Buffer.concat(bytes.map((part) => Buffer.from(typeof part === "string" ? part : [part]))));
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition())
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  /** Takes so many bytes, or what came before the end. */
  async take(count: number): Promise<number[]> {
    await this.until(() => this.text.length >= count || this.ended || this.socket.closed);
    const taken = this.text.slice(0, count);
    this.text = this.text.slice(count);
    return [...Buffer.from(taken, "latin1")];
  }

  async closed(): Promise<void> {
    await this.until(() => this.socket.closed);
  }
}

/** A server far away, whose connections are waited for. */
export async function farEnd(host = FAR_ADDRESS): Promise<{ port: number; accept(): Promise<Peer> }> {
  const accepted: Peer[] = [];
  let wake = () => {};
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    accepted.push(new Peer(socket));
    wake();
  });
  onTestFinished(() => void server.close());
  await once(server.listen(0, host), "listening");
  return {
    port: (server.address() as net.AddressInfo).port,
    async accept() {
      while (accepted.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return accepted.shift() as Peer;
    },
  };
}

export const high = (port: number) => [port >> 8, port & 255] as const;
export const toName = (name: string, port: number) => [5, 1, 0, 3, name.length, name, ...high(port)] as const;
export const toAddress = (address: string, port: number) =>
  [5, 1, 0, 1, ...address.split(".").map(Number), ...high(port)] as const;
export const login = (user: string) => [1, user.length, user, 3, "any"] as const;
