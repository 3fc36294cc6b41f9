/**
 * How one proxy follows another on the same ports, over a socket in their common state folder. The next one opens the ports
 * of calls beside the one before; when its configuration is in force it asks, the one before gives up what only one of
 * them can have (this socket, the ports of health, metrics and admin API) and says so, with what it has counted; the next one
 * says when it has them, and the one before when it knows. Whichever of them dies, the other serves on; where the next one
 * ends before it has them, or is not heard in time, they are taken back.
 */
import { chmod, readFile, unlink, writeFile } from "node:fs/promises";
import net from "node:net";
import type { Clock } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { type HandedCounts, readCounts } from "./handed-counts.ts";
import { LineChannel } from "./line-channel.ts";

const ASK = "take over";
/** What has been counted follows. */
const YIELD = "yours ";
const HAVE = "have them";
const GO_ON = "go on";
const TOO_LATE = "too late";
/** A proxy that hears gives its ports up in milliseconds. */
const YIELD_MS = 10_000;
/** And one that has been given them opens them in milliseconds: until then, nobody answers there. */
const HAVE_MS = 5_000;
/** How long one that ends waits for the next one to have read its counts. */
const FAREWELL_MS = 1_000;
/** 2,000 edges are a megabyte. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;
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
  /** Closes them for the next one. @returns what was counted since the start */
  giveUp(): Promise<HandedCounts>;
  /** Opens them again: the next one has ended, or does not answer. */
  takeBack(): Promise<void>;
  /** The next one has them. */
  replaced(): void;
}

export interface TakenOver {
  /** Where the one before is gone, only what it had is left. */
  readonly how: "given" | "gone";
  readonly counts: HandedCounts | undefined;
}

const GONE: TakenOver = { how: "gone", counts: undefined };

export class HandOver {
  readonly #path: string;
  readonly #options: HandOverOptions;
  #before: LineChannel | undefined;
  /** The one before, when it has left. */
  #replaced: LineChannel | undefined;
  #server: net.Server | undefined;
  /** Those that come after, waiting. */
  readonly #waiting = new Set<LineChannel>();
  /** To whom the ports are given. */
  #next: LineChannel | undefined;
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
    await this.#before?.ended();
  }

  /**
   * Resolves when the one before has given up, or is gone, or this is closed. Once what it had is open here, `taken` says so.
   * @throws Error where it does neither
   */
  async takeOver(): Promise<TakenOver> {
    const { log } = this.#options;
    // The one that answers may itself have been followed meanwhile.
    while (this.#before !== undefined) {
      const over = await this.#ask(this.#before);
      if (over !== "gone" && over !== "late") return { how: "given", counts: over };
      this.#before?.destroy();
      this.#before = undefined;
      if (over === "late") throw new Error("the proxy before this one does not give up its ports");
      log.warn("the proxy before this one ended while it handed over");
      await this.meet();
    }
    return GONE;
  }

  /**
   * Tells the one before that it may leave. Resolves when it does.
   * @throws Error where it did not wait: the ports are its own
   */
  async taken(): Promise<void> {
    const before = this.#before;
    before?.say(HAVE);
    const answer = await before?.hear();
    this.#before = undefined;
    this.#replaced = before;
    if (answer === TOO_LATE) throw tooLate();
  }

  /** Why what was given cannot be opened. @returns the error where it is not that it was taken back */
  reasonFor(error: Error): Error {
    return this.#before?.coming === TOO_LATE ? tooLate() : error;
  }

  /** Resolves when the one that was replaced has ended. @param onCounts what it counts until then */
  async follow(onCounts: (counts: HandedCounts) => void): Promise<void> {
    const replaced = this.#replaced;
    for (let line = await replaced?.hear(); line !== undefined; line = await replaced?.hear()) {
      const counts = this.#read(line);
      if (counts !== undefined) onCounts(counts);
    }
  }

  /** Tells the next one what is counted here. */
  tell(counts: HandedCounts): void {
    this.#next?.say(JSON.stringify(counts));
  }

  /** Resolves when the next one has heard all that was told, or cannot. */
  async farewell(): Promise<void> {
    const next = this.#next;
    if (next === undefined) return;
    const timer = this.#options.clock.after(FAREWELL_MS, () => next.destroy());
    next.end();
    await next.ended();
    timer.cancel();
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
    const server = net.createServer((socket) => void this.#onNext(new LineChannel(socket, MAX_LINE_BYTES), ports));
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
    this.#replaced?.destroy();
    this.stopListening();
    this.#dismiss();
  }

  // ── to the one before ──

  async #ask(before: LineChannel): Promise<HandedCounts | undefined | "gone" | "late"> {
    before.say(ASK);
    this.#options.log.info("the proxy before this one is asked for its ports");
    const answer = await this.#inTime(before, YIELD_MS);
    if (answer === "late") return answer;
    return answer?.startsWith(YIELD) ? this.#read(answer.slice(YIELD.length)) : "gone";
  }

  #read(text: string): HandedCounts | undefined {
    const counts = readCounts(text);
    if (counts === undefined)
      this.#options.log.warn("what the proxy before this one has counted cannot be read, and is lost");
    return counts;
  }

  // ── to the next one ──

  async #onNext(next: LineChannel, ports: OwnPorts): Promise<void> {
    this.#waiting.add(next);
    void next.ended().then(() => this.#waiting.delete(next));
    if ((await next.hear()) !== ASK) next.destroy();
    // Who asks beside the next one is dismissed when that is over, and looks who is there then.
    else if (this.#next === undefined && !this.#closed) await this.#give(next, ports);
  }

  async #give(next: LineChannel, ports: OwnPorts): Promise<void> {
    const { log } = this.#options;
    this.#next = next;
    // The name is free for the next one by that.
    this.stopListening();
    next.say(YIELD + JSON.stringify(await ports.giveUp()));
    const answer = await this.#inTime(next, HAVE_MS);
    if (answer === HAVE) {
      next.say(GO_ON);
      ports.replaced();
    } else if (!this.#closed) {
      if (answer === "late")
        log.error("the next proxy does not answer and gets no ports: end it, as it may have calls");
      else log.warn("the next proxy ended before it had the ports");
      next.say(TOO_LATE);
      next.end();
      await ports.takeBack();
      log.info("the ports are taken back");
      this.#next = undefined;
    }
    // It hears more: what is counted here, or that it is too late.
    this.#dismiss(next);
  }

  #dismiss(but?: LineChannel): void {
    for (const each of this.#waiting) if (each !== but) each.destroy();
  }

  async #inTime(channel: LineChannel, ms: number): Promise<string | undefined> {
    const over = new AbortController();
    const late = new Promise<"late">((resolve) => {
      // One that was stopped itself for so long looks first at what has come meanwhile, which takes a whole turn.
      const timer = this.#options.clock.after(ms, () => setImmediate(() => setImmediate(resolve, "late")));
      over.signal.addEventListener("abort", () => timer.cancel());
    });
    const heard = await Promise.race([channel.hear(), late]);
    over.abort();
    return heard;
  }
}

function tooLate(): Error {
  const seconds = HAVE_MS / 1000;
  return new Error(`the proxy before this one took its ports back: this one had not opened them within ${seconds} s`);
}

/** @returns undefined where nobody is there. @throws the error of connect(2) that does not tell */
async function connected(path: string): Promise<LineChannel | undefined> {
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
  return new LineChannel(socket, MAX_LINE_BYTES);
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
