/**
 * A proxy's end of the config stream. It goes on for ever: whatever ends a connection, it comes again, and meanwhile
 * the proxy runs what it has.
 */
import net from "node:net";
import tls from "node:tls";
import type { Change } from "../config/changes.ts";
import { receive } from "../config/config-message.ts";
import type { LiveSnapshot } from "../config/snapshot.ts";
import { LineSplitter } from "../lines/line-splitter.ts";
import type { Clock, Random, Timer } from "../model/clock.ts";
import { pause } from "../model/pause.ts";
import type { Log } from "../telemetry/log.ts";
import { type Answerer, AskChannel, AskMessageSchema } from "./ask-channel.ts";
import { ALPN, MAX_SERVER_LINE_BYTES, PING_MS, RefusedSchema, SILENCE_MS } from "./stream-messages.ts";

export interface ConfigClientOptions {
  /** The controller: a name or address, and a port. */
  readonly host: string;
  readonly port: number;
  /** Name in the controller's certificate; the host where absent. */
  readonly serverName?: string;
  /** Read before each connection: both are renewed while a proxy runs. */
  ca(): Promise<Buffer | string>;
  token(): Promise<string>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** What is in force before the first message, such as from the proxy's own disk. */
  readonly initial?: LiveSnapshot;
  /**
   * Puts a configuration in force; awaited before it is acknowledged. Until then, none that follows changes it.
   * @param changes since the one before; absent: anything may be another
   * @returns keys of entrypoints that could not be opened
   */
  apply(snapshot: LiveSnapshot, changes?: readonly Change[]): Promise<readonly string[]>;
  onConnected?(connected: boolean): void;
  /** Whether another proxy of its name has the counts of the node; absent: none has. */
  standsBy?(): boolean;
  /** What the controller may ask; absent: nothing. */
  readonly answerer?: Answerer;
}

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;
/** Time for connecting, TLS and the first message. */
const GREETING_MS = 15_000;
/** Beyond that, answers without end leave out what comes. */
const MAX_UNSENT_BYTES = 1024 * 1024;

export class ConfigClient {
  readonly #options: ConfigClientOptions;
  #snapshot: LiveSnapshot | undefined;
  #delayMs = FIRST_DELAY_MS;
  /** What was received, one after the other: a delta starts from what the message before it led to. */
  #taking: Promise<void> = Promise.resolve();
  /** What is acknowledged, while its connection lasts. */
  #acknowledged: { readonly socket: tls.TLSSocket; readonly sequence: unknown; readonly version: unknown } | undefined;

  constructor(options: ConfigClientOptions) {
    this.#options = options;
    this.#snapshot = options.initial;
  }

  /** Runs until the signal aborts. Never throws. */
  async run(): Promise<void> {
    const { signal, log, clock, random, onConnected } = this.#options;
    let said = "";
    while (!signal.aborted) {
      let reason = "the controller closed the connection";
      try {
        await this.#connection();
      } catch (error) {
        reason = (error as Error).message;
      }
      onConnected?.(false);
      if (signal.aborted) return;
      const inForce = this.#snapshot === undefined ? "nothing is in force yet" : "running on what is in force";
      if (reason !== said) log.warn(`no config stream: ${inForce}`, { reason });
      said = reason;
      const delay = this.#delayMs * (0.5 + random());
      this.#delayMs = Math.min(this.#delayMs * 2, MAX_DELAY_MS);
      await pause(clock, delay, signal);
    }
  }

  /** Tells the controller anew which entrypoints of the configuration in force could not be opened, and whether it stands by. */
  report(closed: readonly string[]): void {
    if (this.#acknowledged === undefined) return;
    const { socket, sequence, version } = this.#acknowledged;
    const told = closed.length === 0 ? {} : { closed: closed.slice(0, 100) };
    const ack = { type: "ack", sequence, version, ...told, ...this.#standing() };
    socket.write(`${JSON.stringify(ack)}\n`);
  }

  #standing(): { readonly standsBy?: true } {
    return this.#options.standsBy?.() === true ? { standsBy: true } : {};
  }

  async #connection(): Promise<void> {
    const { host, port, serverName, signal, clock } = this.#options;
    // One after the other: where both are missing, the same one is told each time.
    const ca = await this.#options.ca();
    const token = await this.#options.token();
    if (signal.aborted) return;
    const name = serverName ?? host;
    const socket = tls.connect({
      host,
      port,
      ca,
      ...(net.isIP(name) === 0 ? { servername: name } : {}),
      minVersion: "TLSv1.3",
      ALPNProtocols: [ALPN],
    });
    socket.setNoDelay(true);
    const version = this.#snapshot?.version;
    const answers = this.#options.answerer !== undefined;
    const has = version === undefined ? {} : { version };
    const hello = { type: "hello", token, answers, ...has, ...this.#standing() };
    const channel = this.#channelOver(socket);
    const timers: { silence: Timer; ping: Timer | undefined } = {
      silence: clock.after(GREETING_MS, () => socket.destroy(new Error("the controller did not greet in time"))),
      ping: undefined,
    };
    const onAbort = () => socket.destroy();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("secureConnect", () => {
          socket.write(`${JSON.stringify(hello)}\n`);
          const pingLater = () => {
            timers.ping = clock.after(PING_MS, () => {
              socket.write('{"type":"ping"}\n');
              pingLater();
            });
          };
          pingLater();
        });
        socket.once("error", reject);
        socket.once("close", () => resolve());
        this.#readFrom(socket, timers, channel, reject);
      });
    } finally {
      timers.silence.cancel();
      timers.ping?.cancel();
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      channel.close();
      // The next hello names what is in force then: what has come is put in force before.
      await this.#taking;
      this.#acknowledged = undefined;
    }
  }

  #channelOver(socket: tls.TLSSocket): AskChannel {
    const { answerer } = this.#options;
    return new AskChannel({
      send: (message) => void socket.write(`${JSON.stringify(message)}\n`),
      isBehind: () => socket.writableLength > MAX_UNSENT_BYTES,
      ...(answerer === undefined ? {} : { answerer }),
    });
  }

  #readFrom(
    socket: tls.TLSSocket,
    timers: { silence: Timer },
    channel: AskChannel,
    fail: (error: Error) => void,
  ): void {
    const { clock } = this.#options;
    const lines = new LineSplitter(MAX_SERVER_LINE_BYTES);
    socket.on("data", (bytes: Buffer) => {
      timers.silence.cancel();
      timers.silence = clock.after(SILENCE_MS, () => socket.destroy(new Error("the controller fell silent")));
      try {
        lines.push(bytes, (line) => {
          const message = JSON.parse(line);
          const question = AskMessageSchema.safeParse(message);
          // A question does not wait for configurations to be in force.
          if (question.success) channel.take(question.data);
          else this.#taking = this.#taking.then(() => this.#take(message, socket)).catch(fail);
        });
      } catch (error) {
        fail(error as Error);
      }
    });
  }

  async #take(
    message: { type?: unknown; sequence?: unknown; version?: unknown },
    socket: tls.TLSSocket,
  ): Promise<void> {
    const { log, onConnected } = this.#options;
    if (message.type === "ping") return;
    const refused = RefusedSchema.safeParse(message);
    if (refused.success) throw new Error(`the controller refused: ${refused.data.reason}`);
    onConnected?.(true);
    this.#delayMs = FIRST_DELAY_MS;
    const received = receive(message, this.#snapshot);
    const { sequence = 0, version = "" } = message;
    if ("error" in received) {
      log.error("a configuration could not be read; the one before stays in force", { error: received.error });
      socket.write(`${JSON.stringify({ type: "nack", sequence, version, error: received.error.slice(0, 2000) })}\n`);
      return;
    }
    // Whatever keeps it from being in force, the whole is asked for next.
    this.#snapshot = undefined;
    const closed = await this.#options.apply(received.snapshot, received.changes);
    this.#snapshot = received.snapshot;
    this.#acknowledged = { socket, sequence, version };
    this.report(closed);
  }
}
