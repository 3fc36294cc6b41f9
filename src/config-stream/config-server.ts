/** The controller's end of the config stream: where proxies and other controllers connect, and what is sent to all of them. */
import { once } from "node:events";
import tls from "node:tls";
import type { Change } from "../config/changes.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { PublishedConfigs } from "./published-configs.ts";
import { ALPN } from "./stream-messages.ts";
import { type AskableProxy, HELLO_MS, type ProxyStatus, type Reception, Subscriber } from "./subscriber.ts";

export interface ConfigServerOptions extends Reception {
  readonly cert: Buffer | string;
  readonly key: Buffer | string;
}

export class ConfigServer {
  readonly #options: ConfigServerOptions;
  readonly #server: tls.Server;
  readonly #subscribers = new Set<Subscriber>();
  readonly #followers = new Set<(proxy: AskableProxy) => void>();
  readonly #published = new PublishedConfigs();
  #suspended = "";

  constructor(options: ConfigServerOptions) {
    this.#options = options;
    const { cert, key, log } = options;
    this.#server = tls.createServer(
      { cert, key, minVersion: "TLSv1.3", ALPNProtocols: [ALPN], handshakeTimeout: HELLO_MS, noDelay: true },
      (socket) => this.#accept(socket),
    );
    this.#server.on("error", (error) => log.warn("config stream", { error: error.message }));
    this.#server.on("tlsClientError", (error, socket) =>
      log.debug("config stream: no TLS with a caller", { error: error.message, peer: socket.remoteAddress ?? "" }),
    );
  }

  async listen(address: string, port: number): Promise<number> {
    this.#server.listen(port, address);
    await once(this.#server, "listening");
    return (this.#server.address() as { port: number }).port;
  }

  /** A renewed certificate, for connections from now on. */
  setCertificate(cert: Buffer | string, key: Buffer | string): void {
    this.#server.setSecureContext({ cert, key, minVersion: "TLSv1.3" });
  }

  get published(): Snapshot | undefined {
    return this.#published.snapshot;
  }

  /**
   * Sends it to every proxy, at once or as soon as the one before is acknowledged.
   * @param changes since what was published before; they must be told of a configuration that changed in place
   */
  publish(snapshot: Snapshot, changes?: readonly Change[]): void {
    if (!this.#published.add(snapshot, this.#options.clock.now(), changes)) return;
    for (const subscriber of this.#subscribers) subscriber.update();
  }

  /** Sends the proxies to another controller, and refuses those that come, until it is called with an empty reason. */
  suspend(reason: string): void {
    this.#suspended = reason;
    if (reason !== "") for (const subscriber of this.#subscribers) subscriber.refuse(reason);
  }

  /** The proxies connected here that can be asked. */
  askable(): AskableProxy[] {
    return [...this.#subscribers].filter(({ canBeAsked }) => canBeAsked);
  }

  /** Calls `onProxy` for each proxy connected here that can be asked, and for each that comes. @returns ends that */
  follow(onProxy: (proxy: AskableProxy) => void): () => void {
    for (const proxy of this.askable()) onProxy(proxy);
    this.#followers.add(onProxy);
    return () => this.#followers.delete(onProxy);
  }

  /** The proxies connected here. */
  status(): ProxyStatus[] {
    return [...this.#subscribers].flatMap((subscriber) => subscriber.status ?? []);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const subscriber of this.#subscribers) subscriber.end();
    await closed;
  }

  #accept(socket: tls.TLSSocket): void {
    const subscriber: Subscriber = new Subscriber(socket, {
      ...this.#options,
      published: this.#published,
      suspended: () => this.#suspended,
      onAskable: () => {
        for (const onProxy of [...this.#followers]) onProxy(subscriber);
      },
      onClose: () => this.#subscribers.delete(subscriber),
    });
    this.#subscribers.add(subscriber);
  }
}
