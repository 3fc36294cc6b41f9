/** The DNS server's sockets: UDP and TCP on one port number (RFC 7766 asks for both). */
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import type { Clock } from "../model/clock.ts";
import { SHARED_PORT } from "../shared-ports/port-sharing.ts";
import { quietTurn } from "../shared-ports/quiet-turn.ts";
import { SharedUdpPort } from "../shared-ports/shared-udp-port.ts";
import type { Log } from "../telemetry/log.ts";
import { answer } from "./answer.ts";
import { DnsStream } from "./dns-stream.ts";
import { RCODE, refusal } from "./query.ts";
import type { Zone } from "./zone.ts";

export interface DnsServerOptions {
  readonly zones: readonly Zone[];
  readonly clock: Clock;
  readonly log: Log;
  /** Of answers; short, because names come and go. */
  readonly ttlSeconds?: number;
  /** Of the lack of an answer. */
  readonly negativeTtlSeconds?: number;
  readonly maxConnections?: number;
  /** Another process may have the same port, for as long as it takes to hand it over. */
  readonly sharesPort?: boolean;
}

const DEFAULT_TTL_SECONDS = 5;
const DEFAULT_MAX_CONNECTIONS = 256;
/** Tries for a port number that is free for both transports, where any will do. */
const PORT_TRIES = 20;

export class DnsServer {
  readonly #options: DnsServerOptions;
  /** The one that has been quiet the longest is first. */
  readonly #streams = new Set<DnsStream>();
  #udp: SharedUdpPort | undefined;
  #tcp: net.Server | undefined;
  #accepted = 0;
  #turn = 0;

  constructor(options: DnsServerOptions) {
    this.#options = options;
  }

  /**
   * @param port 0 for any
   * @throws the error of bind(2), with both sockets closed; another try may follow
   */
  async listen(address: string, port: number): Promise<{ address: string; port: number }> {
    for (let tried = 1; ; tried++) {
      try {
        return await this.#listenOnce(address, port);
      } catch (error) {
        await this.close();
        const taken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
        if (port !== 0 || !taken || tried === PORT_TRIES) throw error;
      }
    }
  }

  /** Leaves its port to whoever shares it. Questions that had come are answered, and connections live on. */
  async leavePort(): Promise<void> {
    const { sharesPort } = this.#options;
    const tcp = this.#tcp;
    this.#tcp = undefined;
    await Promise.all([
      sharesPort === true ? this.#udp?.divert() : undefined,
      new Promise<void>((resolve) =>
        quietTurn(
          () => this.#accepted,
          () => {
            tcp?.close();
            resolve();
          },
        ),
      ),
    ]);
  }

  /** Every question that was read has been answered by then; nothing is left open. */
  async close(): Promise<void> {
    const tcp = this.#tcp;
    const udp = this.#udp;
    this.#tcp = this.#udp = undefined;
    for (const stream of this.#streams) stream.destroy();
    await Promise.all([
      tcp === undefined || !tcp.listening ? undefined : new Promise<void>((resolve) => tcp.close(() => resolve())),
      udp === undefined ? undefined : new Promise<void>((resolve) => udp.socket.close(() => resolve())),
    ]);
  }

  async #listenOnce(address: string, port: number): Promise<{ address: string; port: number }> {
    const shared = this.#options.sharesPort === true ? SHARED_PORT : {};
    const tcp = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    this.#tcp = tcp;
    tcp.listen({ host: address, port, exclusive: true, ...shared });
    await once(tcp, "listening");
    // After that, of single accepts (EMFILE): the next ones may succeed.
    tcp.on("error", (error) => this.#options.log.warn("DNS over TCP", { error: error.message }));
    const bound = tcp.address() as net.AddressInfo;
    this.#udp = await this.#bindUdp(address, bound.port);
    return { address: bound.address, port: bound.port };
  }

  async #bindUdp(address: string, port: number): Promise<SharedUdpPort> {
    const family = net.isIPv6(address) ? 6 : 4;
    const udp = dgram.createSocket({
      type: family === 6 ? "udp6" : "udp4",
      lookup: (host, _options, callback) => callback(null, host, family),
      ...(this.#options.sharesPort === true ? SHARED_PORT : {}),
    });
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error) => {
        udp.close();
        reject(error);
      };
      udp.once("error", failed);
      udp.bind({ port, address, exclusive: true }, () => {
        udp.off("error", failed);
        resolve();
      });
    });
    // Of single datagrams: a caller whose port is closed again.
    udp.on("error", () => {});
    udp.on("message", (message, from) => {
      const reply = this.#answer(message, "udp");
      // A source port of 0 cannot be answered, and send() would throw.
      if (reply !== undefined && from.port !== 0) bound.send(reply, from.port, from.address, () => {});
    });
    const bound = new SharedUdpPort(udp);
    return bound;
  }

  #accept(socket: net.Socket): void {
    this.#accepted++;
    const { clock, maxConnections = DEFAULT_MAX_CONNECTIONS } = this.#options;
    const [quietest] = this.#streams;
    if (this.#streams.size >= maxConnections && quietest !== undefined) {
      this.#streams.delete(quietest);
      quietest.destroy();
    }
    const stream = new DnsStream(socket, {
      clock,
      answer: (message) => this.#answer(message, "tcp"),
      onUse: () => {
        this.#streams.delete(stream);
        this.#streams.add(stream);
      },
      onClose: () => this.#streams.delete(stream),
    });
    this.#streams.add(stream);
  }

  #answer(message: Buffer, transport: "udp" | "tcp"): Buffer | undefined {
    const { zones, log, ttlSeconds = DEFAULT_TTL_SECONDS, negativeTtlSeconds = DEFAULT_TTL_SECONDS } = this.#options;
    try {
      return answer(message, { zones, ttlSeconds, negativeTtlSeconds, transport, nextTurn: () => this.#turn++ });
    } catch (error) {
      // What a zone holds cannot be written; the questions after it are none the worse.
      log.error("a DNS question could not be answered", { error: (error as Error).message });
      return refusal(message, RCODE.serverFailure);
    }
  }
}
