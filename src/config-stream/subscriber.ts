/**
 * One connection to a controller: a proxy that follows it, or another controller that asks. A proxy has at most one
 * configuration under way: what is published before it acknowledged that one is merged into the next, so a slow proxy
 * skips what it would only have overwritten, and no queue grows.
 */
import type tls from "node:tls";
import { LineSplitter } from "../lines/line-splitter.ts";
import type { Clock, Timer } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { type Answerer, type AnswerReader, AskChannel } from "./ask-channel.ts";
import type { ConfigMessage, Published, PublishedConfigs } from "./published-configs.ts";
import {
  MAX_CLIENT_LINE_BYTES,
  PING_MS,
  type ProxyMessage,
  ProxyMessageSchema,
  SILENCE_MS,
} from "./stream-messages.ts";

/** Who a proxy is, as its token says. */
export interface ProxyIdentity {
  readonly pod: string;
  readonly node: string;
}

/** Who may connect: proxies get configurations, other controllers may ask. */
export interface PeerIdentity extends ProxyIdentity {
  readonly role: "proxy" | "controller";
}

/** A proxy that can be asked. */
export interface AskableProxy {
  readonly pod: string;
  /** Since it came. */
  readonly connectedMs: number;
  /** Another of its name has the counts of the node. */
  readonly standsBy: boolean;
  /** @returns says that the answer is not wanted any more */
  ask(path: string, reader: AnswerReader): () => void;
}

/** What this controller knows of a proxy that is connected to it. */
export interface ProxyStatus extends ProxyIdentity {
  readonly address: string;
  /** Version in force there; empty before the first acknowledgement. */
  readonly version: string;
  readonly sequence: number;
  /** Why it refused the last configuration; empty where it did not. */
  readonly error: string;
  readonly closedEntrypoints: readonly string[];
  /** Milliseconds from publishing, or from its coming where that was later, to the acknowledgement; of the last one. */
  readonly lagMs: number;
  /** Since it came. */
  readonly connectedMs: number;
  /** Another of its name has the counts of the node. */
  readonly standsBy: boolean;
}

/** How everybody who comes is met. */
export interface Reception {
  readonly clock: Clock;
  readonly log: Log;
  /** @throws Error with the reason, for the log and the proxy */
  authenticate(token: string): Promise<PeerIdentity>;
  /** What other controllers may ask; absent: nothing. */
  readonly answerer?: Answerer;
  /** A proxy came, went, acknowledged or refused. */
  onStatus?(status: ProxyStatus): void;
}

export interface SubscriberOptions extends Reception {
  readonly published: PublishedConfigs;
  /** Why no proxy is served now; empty when they are. */
  suspended(): string;
  /** It is known, and can be asked. */
  onAskable(): void;
  onClose(): void;
}

/** Time from accept to an authenticated hello. */
export const HELLO_MS = 10_000;
/** Beyond that, answers without end leave out what comes. */
const MAX_UNSENT_BYTES = 1024 * 1024;
/** Messages that wait for their sender's token to be looked at. */
const MAX_EARLY = 16;

export class Subscriber implements AskableProxy {
  readonly #socket: tls.TLSSocket;
  readonly #options: SubscriberOptions;
  readonly #lines = new LineSplitter(MAX_CLIENT_LINE_BYTES);
  #identity: PeerIdentity | undefined;
  #answers = false;
  #channel: AskChannel | undefined;
  /** What the proxy has in force, as far as it said. */
  #version = "";
  #sequence = 0;
  #error = "";
  #closedEntrypoints: readonly string[] = [];
  #lagMs = 0;
  #standsBy = false;
  #connectedAt = 0;
  /** What was sent and is not acknowledged yet. */
  #pending: (Published & { readonly sentAs: ConfigMessage["type"] }) | undefined;
  #greeted = false;
  #silence: Timer | undefined;
  #ping: Timer | undefined;

  /** What came before it was known who speaks. */
  readonly #early: ProxyMessage[] = [];

  constructor(socket: tls.TLSSocket, options: SubscriberOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#silence = options.clock.after(HELLO_MS, () => socket.destroy());
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    // What ended it is of no use here: the proxy comes again.
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#silence?.cancel();
      this.#ping?.cancel();
      this.#channel?.close();
      options.onClose();
      if (this.#identity !== undefined)
        options.log.info(`${this.#identity.role} gone`, { pod: this.#identity.pod, node: this.#identity.node });
    });
  }

  get pod(): string {
    return this.#identity?.pod ?? "";
  }

  get connectedMs(): number {
    return this.#options.clock.now() - this.#connectedAt;
  }

  get standsBy(): boolean {
    return this.#standsBy;
  }

  get canBeAsked(): boolean {
    return this.#identity?.role === "proxy" && this.#answers && !this.#socket.destroyed;
  }

  ask(path: string, reader: AnswerReader): () => void {
    return (this.#channel as AskChannel).ask(path, reader);
  }

  get status(): ProxyStatus | undefined {
    const identity = this.#identity;
    if (identity?.role !== "proxy") return undefined;
    return {
      pod: identity.pod,
      node: identity.node,
      address: this.#socket.remoteAddress ?? "",
      version: this.#version,
      sequence: this.#sequence,
      error: this.#error,
      closedEntrypoints: this.#closedEntrypoints,
      lagMs: this.#lagMs,
      connectedMs: this.connectedMs,
      standsBy: this.#standsBy,
    };
  }

  /** There may be something newer than what it has. */
  update(): void {
    const latest = this.#options.published.last;
    if (this.#identity?.role !== "proxy" || this.#pending !== undefined || latest === undefined) return;
    if (latest.version === this.#version && this.#sequence > 0) return;
    const { type, text } = this.#options.published.messageFrom(this.#version);
    this.#pending = { ...latest, sentAs: type };
    this.#write(text);
  }

  refuse(reason: string): void {
    this.#write(`${JSON.stringify({ type: "refused", reason: reason.slice(0, 1000) })}\n`);
    this.end();
  }

  end(): void {
    this.#socket.end();
    this.#options.clock.after(1_000, () => this.#socket.destroy());
  }

  #read(bytes: Buffer): void {
    try {
      this.#lines.push(bytes, (line) => this.#take(ProxyMessageSchema.parse(JSON.parse(line))));
    } catch (error) {
      this.refuse(`not understood: ${(error as Error).message}`);
    }
  }

  #take(message: ProxyMessage): void {
    if (message.type === "hello") {
      const suspended = this.#options.suspended();
      if (suspended !== "") this.refuse(suspended);
      else if (this.#greeted) this.refuse("a second hello");
      else void this.#greet(message);
      this.#greeted = true;
      return;
    }
    if (this.#identity === undefined) {
      // Another controller asks right after its hello, while its token is looked at.
      if (this.#greeted && this.#early.length < MAX_EARLY) this.#early.push(message);
      else this.refuse("the first message must be a hello");
      return;
    }
    this.#heard();
    if (message.type === "ping") return;
    if (message.type !== "ack" && message.type !== "nack") {
      this.#channel?.take(message);
      return;
    }
    const pending = this.#pending;
    if (pending === undefined || pending.sequence !== message.sequence) {
      if (message.type === "ack" && message.sequence === this.#sequence) this.#noteAgain(message);
      return;
    }
    this.#pending = undefined;
    if (message.type === "nack") {
      this.#error = message.error;
      // The whole, next: a delta may not have fitted what is in force there.
      this.#version = "";
      const { pod, node } = this.#identity;
      this.#options.log.error("a proxy refused a configuration", { pod, node, error: message.error });
    } else {
      this.#error = "";
      this.#version = message.version;
      this.#sequence = message.sequence;
      this.#note(message);
      // What was published before it came could not reach it.
      this.#lagMs = this.#options.clock.now() - Math.max(pending.at, this.#connectedAt);
    }
    if (this.status !== undefined) this.#options.onStatus?.(this.status);
    // A configuration that was refused whole is not sent again; the next one is.
    const refusedWhole = message.type === "nack" && pending.sentAs === "full";
    if (!refusedWhole || this.#options.published.last?.sequence !== pending.sequence) this.update();
  }

  #note({ closed = [], standsBy = false }: ProxyMessage & { type: "ack" }): void {
    this.#closedEntrypoints = closed;
    this.#standsBy = standsBy;
  }

  /** What opens later than its configuration is in force, and who comes to be in charge, is told by acknowledging anew. */
  #noteAgain(message: ProxyMessage & { type: "ack" }): void {
    this.#note(message);
    if (this.status !== undefined) this.#options.onStatus?.(this.status);
  }

  async #greet({
    token,
    version = "",
    answers = false,
    standsBy = false,
  }: ProxyMessage & { type: "hello" }): Promise<void> {
    let identity: PeerIdentity;
    try {
      identity = await this.#options.authenticate(token);
    } catch (error) {
      const reason = (error as Error).message;
      this.#options.log.warn("config stream: a caller was refused", { peer: this.#socket.remoteAddress ?? "", reason });
      this.refuse(reason);
      return;
    }
    // Gone while its token was looked at: there is nobody to speak to, and no close to end it.
    if (this.#socket.destroyed) return;
    this.#identity = identity;
    this.#connectedAt = this.#options.clock.now();
    const { pod, node, role } = identity;
    this.#options.log.info(`${role} connected`, { pod, node });
    this.#answers = answers;
    this.#standsBy = standsBy;
    this.#channel = this.#channelFor(role);
    this.#version = version;
    this.#heard();
    this.#pingLater();
    this.update();
    if (this.canBeAsked) this.#options.onAskable();
    for (const message of this.#early.splice(0)) this.#take(message);
  }

  #channelFor(role: PeerIdentity["role"]): AskChannel {
    const { answerer } = this.#options;
    return new AskChannel({
      send: (message) => this.#write(`${JSON.stringify(message)}\n`),
      isBehind: () => this.#socket.writableLength > MAX_UNSENT_BYTES,
      // A proxy has nothing to ask: what others do is none of its business.
      ...(answerer === undefined || role === "proxy" ? {} : { answerer }),
    });
  }

  #heard(): void {
    this.#silence?.cancel();
    this.#silence = this.#options.clock.after(SILENCE_MS, () => this.#socket.destroy());
  }

  #pingLater(): void {
    this.#ping = this.#options.clock.after(PING_MS, () => {
      // Behind a configuration that is still being sent, a ping would say nothing new.
      if (this.#socket.writableLength === 0) this.#write('{"type":"ping"}\n');
      this.#pingLater();
    });
  }

  #write(text: string): void {
    if (this.#socket.writable) this.#socket.write(text);
  }
}
