/**
 * How one proxy follows another on the same ports, over a socket in their common state folder. The next one opens the ports
 * of calls beside the one before; when its configuration is in force it asks, the one before gives up what only one of
 * them can have (this socket, the ports of health, metrics and admin API) and says so, and the next one says when it has
 * them. Whichever of them dies, the other serves on; where the next one ends before it has them, they are taken back.
 */
import { chmod, readFile, unlink, writeFile } from "node:fs/promises";
import net from "node:net";
import type { Clock } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";

const ASK = "take over\n";
const YIELD = "yours\n";
const HAVE = "have them\n";
/** A proxy that hears gives its ports up in milliseconds. */
const YIELD_MS = 10_000;
/** Its own user alone may ask for the ports. */
const MODE = 0o600;
const MIGRATION = "/proc/sys/net/ipv4/tcp_migrate_req";

export interface HandOverOptions {
  /** The state folder. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Of a proxy: what only one of two can have. */
export interface OwnPorts {
  /** Closes them for the next one. */
  giveUp(): Promise<void>;
  /** Opens them again: the next one has ended. */
  takeBack(): Promise<void>;
  /** The next one has them. */
  replaced(): void;
}

export class HandOver {
  readonly #path: string;
  readonly #options: HandOverOptions;
  #before: net.Socket | undefined;
  #server: net.Server | undefined;
  /** Those that come after, waiting. */
  readonly #waiting = new Set<net.Socket>();
  /** To whom the ports are given. */
  #next: net.Socket | undefined;
  #closed = false;

  constructor(options: HandOverOptions) {
    this.#options = options;
    this.#path = `${options.folder}/hand-over.sock`;
  }

  /** @returns whether another proxy has the ports. @throws the error of connect(2) where that cannot be known */
  async meet(): Promise<boolean> {
    if (this.#closed) return false;
    this.#before = await connected(this.#path);
    return this.#before !== undefined;
  }

  /** Resolves when the one before is gone, which is not what it was asked for. */
  async gone(): Promise<void> {
    const socket = this.#before;
    if (socket !== undefined && !socket.closed)
      await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  }

  /**
   * Resolves when the one before has given up, or is gone, or this is closed. Once what it had is open here, `taken` says so.
   * @returns how it went
   * @throws Error where it does neither
   */
  async takeOver(): Promise<"given" | "gone"> {
    const { clock, log } = this.#options;
    // The one that answers may itself have been followed meanwhile.
    while (this.#before !== undefined) {
      const over = await ask(this.#before, clock);
      if (over === "given") return over;
      this.#before?.destroy();
      this.#before = undefined;
      if (over === "late") throw new Error("the proxy before this one does not give up its ports");
      log.warn("the proxy before this one ended while it handed over");
      await this.meet();
    }
    return "gone";
  }

  /** Tells the one before that it may leave. */
  taken(): void {
    this.#before?.end(HAVE);
    this.#before = undefined;
  }

  /** Asks nobody any more. What was given and not taken goes back. */
  withdraw(): void {
    this.#before?.destroy();
    this.#before = undefined;
  }

  /**
   * Waits for the next one, if it does not yet.
   * @throws the error of listen(2), which is EADDRINUSE where another proxy waits there
   */
  async listen(ports: OwnPorts): Promise<void> {
    if (this.#closed || this.#server !== undefined) return;
    const server = net.createServer((socket) => void this.#onNext(socket, ports));
    try {
      await bound(server, this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      const other = await connected(this.#path);
      other?.destroy();
      if (other !== undefined) throw error;
      // It is left of one that was killed.
      await unlink(this.#path);
      await bound(server, this.#path);
    }
    this.#server = server;
    // Of single accepts: the next ones may succeed.
    server.on("error", (error) => this.#options.log.warn("hand-over", { error: error.message }));
    if (this.#closed) this.stopListening();
    else await chmod(this.#path, MODE);
  }

  /** Nobody new comes. The name in the file system goes with it. */
  stopListening(): void {
    if (this.#server?.listening === true) this.#server.close();
    this.#server = undefined;
  }

  /** Asks nobody, and is asked by nobody, any more. Who waits sees that this one is gone: what it had is to be free by then. */
  close(): void {
    this.#closed = true;
    this.withdraw();
    this.stopListening();
    this.#dismiss();
  }

  async #onNext(socket: net.Socket, ports: OwnPorts): Promise<void> {
    this.#waiting.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#waiting.delete(socket));
    if (!(await heard(socket, ASK))) socket.destroy();
    // Who asks beside the next one is dismissed when that is over, and looks who is there then.
    else if (this.#next === undefined && !this.#closed) await this.#give(socket, ports);
  }

  async #give(socket: net.Socket, ports: OwnPorts): Promise<void> {
    this.#next = socket;
    // The name is free for the next one by that.
    this.stopListening();
    await ports.giveUp();
    socket.write(YIELD);
    if (await heard(socket, HAVE)) ports.replaced();
    else if (!this.#closed) {
      socket.destroy();
      this.#options.log.warn("the next proxy ended before it had the ports");
      await ports.takeBack();
      this.#options.log.info("the ports are taken back");
      this.#next = undefined;
    }
    this.#dismiss();
  }

  #dismiss(): void {
    for (const socket of this.#waiting) socket.destroy();
  }
}

/** @returns undefined where nobody is there. @throws the error of connect(2) that does not tell */
async function connected(path: string): Promise<net.Socket | undefined> {
  const socket = net.connect(path);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ECONNREFUSED") return undefined;
    throw error;
  }
  socket.on("error", () => {});
  // Its end is not seen otherwise.
  socket.resume();
  return socket;
}

/** @throws the error of listen(2) */
async function bound(server: net.Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** The two speak in turn, so nothing comes while nobody listens. @returns false where something else is said, or the end */
function heard(socket: net.Socket, words: string): Promise<boolean> {
  return new Promise((resolve) => {
    let text = "";
    const over = (yes: boolean) => {
      socket.off("data", onData);
      socket.off("close", onClose);
      resolve(yes);
    };
    const onClose = () => over(false);
    const onData = (bytes: Buffer) => {
      text += bytes.toString("latin1");
      if (text === words || !words.startsWith(text)) over(text === words);
    };
    socket.on("data", onData);
    socket.on("close", onClose);
    if (socket.destroyed) over(false);
  });
}

async function ask(socket: net.Socket, clock: Clock): Promise<"given" | "gone" | "late"> {
  socket.write(ASK);
  return new Promise((resolve) => {
    const timer = clock.after(YIELD_MS, () => resolve("late"));
    void heard(socket, YIELD).then((given) => {
      timer.cancel();
      resolve(given ? "given" : "gone");
    });
  });
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
