import type net from "node:net";
import { LineSplitter } from "../lines/line-splitter.ts";

/** Beyond that, the other waits until they are heard. */
const MAX_UNHEARD = 16;

/** Lines between two processes, none of which is lost while nobody waits for it. */
export class LineChannel {
  readonly #socket: net.Socket;
  readonly #lines: string[] = [];
  #waiting: ((line: string | undefined) => void) | undefined;

  /** @param maxBytes of a line: a longer one ends the channel */
  constructor(socket: net.Socket, maxBytes: number) {
    this.#socket = socket;
    const splitter = new LineSplitter(maxBytes);
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      try {
        splitter.push(bytes, (line) => this.#onLine(line));
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on("close", () => this.#waiting?.(undefined));
  }

  say(line: string): void {
    if (this.#socket.writable) this.#socket.write(`${line}\n`);
  }

  /** What was said waits here: the other does not read. */
  get isBehind(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** One waits at a time. @returns undefined once the other has ended and all that it said was heard */
  async hear(): Promise<string | undefined> {
    const line = this.#lines.shift();
    if (this.#lines.length < MAX_UNHEARD) this.#socket.resume();
    if (line !== undefined || this.#socket.closed) return line;
    const heard = await new Promise<string | undefined>((resolve) => {
      this.#waiting = resolve;
    });
    this.#waiting = undefined;
    return heard;
  }

  /** The line that will be heard next, if it has come. */
  get coming(): string | undefined {
    return this.#lines[0];
  }

  /** Resolves when the other, or this one, has ended. */
  async ended(): Promise<void> {
    if (!this.#socket.closed) await new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
  }

  /** The other hears what was said, and then the end. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onLine(line: string): void {
    if (this.#waiting === undefined) {
      this.#lines.push(line);
      if (this.#lines.length >= MAX_UNHEARD) this.#socket.pause();
    } else {
      const resolve = this.#waiting;
      this.#waiting = undefined;
      resolve(line);
    }
  }
}
