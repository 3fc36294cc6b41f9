/**
 * A SOCKS5 entry (RFC 1928): any program calls mesh names through it without touching the machine's DNS. The user name
 * (RFC 1929) says which workload is calling, and the call leaves from that Pod's address; the password is ignored.
 * Without a user name, calls come from 127.0.0.1, which is nobody.
 */
import { once } from "node:events";
import net from "node:net";
import type { Clock } from "../../model/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import { SocksConnection } from "./socks-connection.ts";

export interface SocksServerOptions {
  /**
   * Address of the Pod that a user name means, or undefined where it means none.
   * @param user `namespace.pod` or `namespace/pod`, as it came
   */
  callerAddress(user: string): string | undefined;
  /** All user names, as `namespace.pod`, to name near ones where one is unknown. */
  callers?(): Iterable<string>;
  /**
   * @param name as it came; with a dot at its end it is whole
   * @param namespace of the caller, for its search domains; undefined for nobody
   * @returns the addresses in the order of trying; none where there is no such name
   */
  resolve(name: string, namespace: string | undefined): Promise<readonly string[]>;
  /** The port to dial for a port that could not be bound. */
  mapPort(address: string, port: number): number;
  readonly log: Log;
  readonly clock: Clock;
  readonly maxConnections?: number;
}

const DEFAULT_MAX_CONNECTIONS = 1024;

export class SocksServer {
  readonly #options: SocksServerOptions;
  readonly #connections = new Set<SocksConnection>();
  readonly #server: net.Server;

  constructor(options: SocksServerOptions) {
    this.#options = options;
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => {
      const connection = new SocksConnection(socket, options);
      this.#connections.add(connection);
      void connection.closed.then(() => this.#connections.delete(connection));
    });
    this.#server.maxConnections = options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
    this.#server.on("drop", () => options.log.warn("SOCKS5: too many connections; this one was not taken"));
  }

  /** @throws the error of bind(2); another try may follow */
  async listen(address: string, port: number): Promise<{ address: string; port: number }> {
    this.#server.listen({ host: address, port, exclusive: true });
    await once(this.#server, "listening");
    // After that, of single accepts (EMFILE): the next ones may succeed.
    this.#server.on("error", (error) => this.#options.log.warn("SOCKS5", { error: error.message }));
    const bound = this.#server.address() as net.AddressInfo;
    return { address: bound.address, port: bound.port };
  }

  /**
   * Accepts no more, and leaves nothing behind.
   * @param drainMs how long calls under way may take to end by themselves; those that do not are reset
   */
  async close(drainMs = 0): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const all = [...this.#connections].map((connection) => connection.closed);
    for (const connection of this.#connections) if (drainMs <= 0 || !connection.established) connection.abort();
    const deadline = this.#options.clock.after(drainMs, () => {
      for (const connection of this.#connections) connection.abort();
    });
    await Promise.all([closed, ...all]);
    deadline.cancel();
  }
}
