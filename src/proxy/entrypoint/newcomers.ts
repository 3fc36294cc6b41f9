/**
 * Callers whose address the configuration does not know yet: a Pod may call before the proxy has heard of it. Their
 * connections wait for the configuration that knows them, a bounded time; then they are strangers, and stay so for a
 * while without waiting again.
 */
import type net from "node:net";
import type { Clock, Timer } from "../../model/clock.ts";

export interface NewcomersOptions {
  readonly clock: Clock;
  readonly waitMs: number;
  isKnown(address: string): boolean;
}

/** Connections that wait at the same time; beyond that nobody does. */
const MAX_WAITING = 1000;
/** How long a stranger is remembered. */
const STRANGER_MS = 30_000;
const MAX_STRANGERS = 10_000;

interface Waiting {
  readonly address: string;
  readonly timer: Timer;
  go(): void;
}

export class Newcomers {
  readonly #options: NewcomersOptions;
  readonly #waiting = new Set<Waiting>();
  /** Address → until when. */
  readonly #strangers = new Map<string, number>();

  constructor(options: NewcomersOptions) {
    this.#options = options;
  }

  /** Calls `serve` now or when the caller is known or given up; never, when the connection ends before. */
  admit(socket: net.Socket, serve: () => void): void {
    const { clock, waitMs, isKnown } = this.#options;
    const address = socket.remoteAddress ?? "";
    if (isKnown(address) || this.#isStranger(address) || this.#waiting.size >= MAX_WAITING) {
      serve();
      return;
    }
    const ignore = () => {};
    const leave = () => this.#leave(waiting);
    const waiting: Waiting = {
      address,
      timer: clock.after(waitMs, () => {
        this.#remember(address);
        waiting.go();
      }),
      go: () => {
        this.#leave(waiting);
        socket.off("error", ignore);
        socket.off("close", leave);
        if (socket.destroyed) return;
        serve();
        socket.resume();
      },
    };
    this.#waiting.add(waiting);
    // Nobody listens yet, so its bytes stay where they are.
    socket.pause();
    socket.on("error", ignore);
    socket.once("close", leave);
  }

  /** A configuration is in force. */
  look(): void {
    for (const waiting of this.#waiting) if (this.#options.isKnown(waiting.address)) waiting.go();
  }

  /** Nobody waits any more. */
  close(): void {
    for (const waiting of this.#waiting) waiting.go();
  }

  #leave(waiting: Waiting): void {
    waiting.timer.cancel();
    this.#waiting.delete(waiting);
  }

  #isStranger(address: string): boolean {
    const until = this.#strangers.get(address);
    if (until === undefined) return false;
    if (until > this.#options.clock.now()) return true;
    this.#strangers.delete(address);
    return false;
  }

  #remember(address: string): void {
    this.#strangers.delete(address);
    this.#strangers.set(address, this.#options.clock.now() + STRANGER_MS);
    if (this.#strangers.size > MAX_STRANGERS) this.#strangers.delete(this.#strangers.keys().next().value as string);
  }
}
