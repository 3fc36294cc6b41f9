/**
 * How one proxy follows another on the same ports, over a socket in their common state folder. The next one opens the ports
 * of calls beside the one before; when its configuration is in force it asks, and the one before gives up what only one of
 * them can have (this socket, the ports of health, metrics and admin API) and says so. Whichever of them dies, the other
 * serves on.
 */
import { readFile, unlink, writeFile } from "node:fs/promises";
import net from "node:net";
import type { Clock } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";

const ASK = "take over\n";
const YIELD = "yours\n";
/** A proxy that hears gives its ports up in milliseconds. */
const YIELD_MS = 10_000;
const MIGRATION = "/proc/sys/net/ipv4/tcp_migrate_req";

export interface HandOverOptions {
  /** The state folder. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class HandOver {
  readonly #path: string;
  readonly #options: HandOverOptions;
  #before: net.Socket | undefined;
  #server: net.Server | undefined;
  #closed = false;

  constructor(options: HandOverOptions) {
    this.#options = options;
    this.#path = `${options.folder}/hand-over.sock`;
  }

  /** @returns whether another proxy has the ports */
  async meet(): Promise<boolean> {
    if (this.#closed) return false;
    const socket = net.connect(this.#path);
    const met = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.on("error", () => {});
    this.#before = met ? socket : undefined;
    return met;
  }

  /** Resolves when the one before is gone, which is not what it was asked for. */
  async gone(): Promise<void> {
    const socket = this.#before;
    if (socket !== undefined && !socket.closed)
      await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  }

  /** Resolves when the one before has given up, or is gone, or this is closed. @throws Error where it does neither */
  async takeOver(): Promise<void> {
    const { clock, log } = this.#options;
    // The one that answers may itself have been followed meanwhile.
    for (let socket = this.#before; socket !== undefined; socket = this.#before) {
      const over = await this.#ask(socket, clock);
      socket.destroy();
      this.#before = undefined;
      if (over === "late") throw new Error("the proxy before this one does not give up its ports");
      if (over === "gone") log.warn("the proxy before this one ended while it handed over");
      if (over === "gone") await this.meet();
    }
  }

  /**
   * Waits for the next one.
   * @param giveUp frees what only one of them can have
   * @throws the error of listen(2)
   */
  async listen(giveUp: () => Promise<void>): Promise<void> {
    const server = net.createServer((socket) => this.#onNext(socket, giveUp));
    this.#server = server;
    // Nobody answers there, or `meet` would have found him: it is left of one that was killed.
    await unlink(this.#path).catch(() => {});
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#path, resolve);
    });
  }

  /** Asks nobody, and is asked by nobody, any more. */
  close(): void {
    this.#closed = true;
    this.#before?.destroy();
    this.#before = undefined;
    this.#server?.close();
    this.#server = undefined;
  }

  #ask(socket: net.Socket, clock: Clock): Promise<"given" | "gone" | "late"> {
    return new Promise((resolve) => {
      const timer = clock.after(YIELD_MS, () => resolve("late"));
      const over = (how: "given" | "gone") => {
        timer.cancel();
        resolve(how);
      };
      let text = "";
      socket.on("data", (bytes: Buffer) => {
        text += bytes.toString("latin1");
        if (text === YIELD) over("given");
      });
      socket.on("close", () => over("gone"));
      if (socket.destroyed) over("gone");
      else socket.write(ASK);
    });
  }

  #onNext(socket: net.Socket, giveUp: () => Promise<void>): void {
    let text = "";
    socket.on("error", () => {});
    socket.on("data", async (bytes: Buffer) => {
      text += bytes.toString("latin1");
      if (text.length > ASK.length) socket.destroy();
      if (text !== ASK || this.#server === undefined) return;
      this.close();
      await giveUp();
      socket.end(YIELD);
    });
  }
}

/**
 * Has the kernel move connections that wait at a socket which closes to another one of the same port, rather than reset
 * them (Linux 5.14). It is a setting of the network namespace, and matters to shared ports alone.
 * @returns whether it does so now
 */
export async function migrateConnections(): Promise<boolean> {
  try {
    if ((await readFile(MIGRATION, "utf8")).trim() !== "1") await writeFile(MIGRATION, "1");
    return true;
  } catch {
    return false;
  }
}
