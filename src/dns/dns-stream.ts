import type net from "node:net";
import type { Clock, Timer } from "../model/clock.ts";
import { MAX_MESSAGE_BYTES } from "./query.ts";

const IDLE_MS = 10_000;
const LENGTH_BYTES = 2;
/** Answers that wait for their reader; above that, no further question is read. */
const MAX_WAITING_BYTES = 256 << 10;

export interface DnsStreamOptions {
  readonly clock: Clock;
  /** @returns undefined where the question gets no answer */
  answer(message: Buffer): Buffer | undefined;
  /** A question was answered; the connection is in use. */
  onUse(): void;
  onClose(): void;
}

/**
 * DNS over one TCP connection: messages behind their length (RFC 1035 §4.2.2), several in flight (RFC 7766 §6.2.1.1). It
 * ends when its caller does, after a while without a whole question, and at a length that no question has.
 */
export class DnsStream {
  readonly #socket: net.Socket;
  readonly #options: DnsStreamOptions;
  #unread: Buffer = Buffer.alloc(0);
  #ended = false;
  #idle: Timer;

  /** @param socket with allowHalfOpen: who ends his side still gets his answers */
  constructor(socket: net.Socket, options: DnsStreamOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#idle = this.#startIdle();
    socket.on("data", (bytes) => {
      this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
      this.#read();
    });
    socket.on("drain", () => {
      socket.resume();
      this.#read();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#read();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#idle.cancel();
      options.onClose();
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Answers the whole questions that are there, as long as their answers are taken. */
  #read(): void {
    while (this.#unread.length >= LENGTH_BYTES) {
      if (this.#socket.writableLength > MAX_WAITING_BYTES) {
        this.#socket.pause();
        return;
      }
      const length = this.#unread.readUInt16BE(0);
      if (length > MAX_MESSAGE_BYTES) {
        this.#socket.destroy();
        return;
      }
      if (this.#unread.length < LENGTH_BYTES + length) break;
      const reply = this.#options.answer(this.#unread.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
      this.#unread = this.#unread.subarray(LENGTH_BYTES + length);
      if (reply !== undefined) this.#write(reply);
    }
    if (this.#ended) this.#socket.end();
  }

  #write(reply: Buffer): void {
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt16BE(reply.length);
    this.#socket.write(Buffer.concat([length, reply]));
    this.#idle.cancel();
    this.#idle = this.#startIdle();
    this.#options.onUse();
  }

  #startIdle(): Timer {
    return this.#options.clock.after(IDLE_MS, () => this.#socket.destroy());
  }
}
