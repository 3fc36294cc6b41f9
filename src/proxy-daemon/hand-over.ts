/**
 * How one proxy follows another on the same ports, over a socket in their common state folder. The next one opens the ports
 * of calls beside the one before; when its configuration is in force it asks, the one before gives up what only one of
 * them can have (the ports of health, metrics and admin API), and says what it has counted and then so; the next one
 * says when it has them, and the one before when it knows. Whichever of them dies, the other serves on; where the next one
 * ends before it has them, or is not heard in time, they are taken back.
 *
 * At no time is nobody found while there is a proxy: until the next one has put a socket of its own in the place of the
 * one before's, at one stroke, that one is found, and whoever looks meanwhile is sent on to the one that has the ports then.
 */
import { once } from "node:events";
import { renameSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import type { Clock } from "../model/clock.ts";
import { letOthersRun } from "../model/let-others-run.ts";
import type { Log } from "../telemetry/log.ts";
import { type CountsListener, type HandedCounts, piecesOf, readCounts, wholeOf } from "./handed-counts.ts";
import { LineChannel } from "./line-channel.ts";

const ASK = "take over";
/** What has been counted was said before, in pieces. */
const YIELD = "yours";
const HAVE = "have them";
const GO_ON = "go on";
const TOO_LATE = "too late";
/** A proxy that hears gives its ports up in milliseconds. */
const YIELD_MS = 10_000;
/** And one that has been given them opens them in milliseconds: until then, nobody answers there. */
const HAVE_MS = 5_000;
/** And one that lets them go confirms it at once; who has them does not wait for that without end. */
const GO_ON_MS = 5_000;
/** How long one that ends waits for the next one to have read its counts. */
const FAREWELL_MS = 1_000;
/** A piece of the counts is some 50 KB. */
const MAX_LINE_BYTES = 1024 * 1024;
/** Of connect(2). The last: it closed in that instant. */
const NOBODY: ReadonlySet<string> = new Set(["ENOENT", "ECONNREFUSED", "ECONNRESET"]);
/** Its own user alone may ask for the ports. */
const MODE = 0o600;
/** Of the folder in which a socket waits for its name; no longer than that, as the kernel bounds paths of sockets. */
const UNNAMED = "next-";
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

type Heard = { readonly how: "said"; readonly line: string } | { readonly how: "ended" | "late" };

export class HandOver implements CountsListener {
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
  #giving: Promise<void> = Promise.resolve();
  #telling: Promise<void> = Promise.resolve();
  readonly #ports: Promise<OwnPorts>;
  #onPorts: (ports: OwnPorts) => void = () => {};
  #withdrawn = false;
  #closed = false;
  #saidUnreadable = false;

  constructor(options: HandOverOptions) {
    this.#options = options;
    this.#path = `${options.folder}/hand-over.sock`;
    this.#ports = new Promise((resolve) => {
      this.#onPorts = resolve;
    });
  }

  /** @returns whether another proxy has the ports. @throws the error of connect(2) where that cannot be known */
  async meet(): Promise<boolean> {
    if (this.#withdrawn) return false;
    const before = await connected(this.#path);
    // While it was connected to.
    if (this.#withdrawn) before?.destroy();
    else this.#before = before;
    return this.#before !== undefined;
  }

  /** Resolves when the one before is gone, which is not what it was asked for. */
  async gone(): Promise<void> {
    await this.#before?.ended();
  }

  /**
   * Resolves when the one before has given up, or is gone, or this is withdrawn. Once what it had is open here, `taken` says so.
   * @throws Error where it does neither
   */
  async takeOver(): Promise<TakenOver> {
    const { log } = this.#options;
    // The one that answers may itself have been followed meanwhile.
    while (this.#before !== undefined) {
      const counts: HandedCounts[] = [];
      const answer = await this.#ask(this.#before, (piece) => counts.push(piece));
      if (answer === "given") return { how: "given", counts: wholeOf(counts) };
      this.#before?.destroy();
      this.#before = undefined;
      if (this.#withdrawn) break;
      if (answer === "late") throw new Error("the proxy before this one does not give up its ports");
      log.warn("the proxy before this one ended, or has given its ports to another");
      await this.meet();
    }
    return GONE;
  }

  /**
   * Tells the one before that it may leave. Resolves when it does, or where it says nothing: it hears of it whenever it listens.
   * @throws Error where it did not wait: the ports are its own
   */
  async taken(): Promise<void> {
    const before = this.#before;
    if (before === undefined) return;
    this.#before = undefined;
    this.#replaced = before;
    before.say(HAVE);
    const heard = await this.#inTime(before, GO_ON_MS);
    if (heard.how === "late")
      this.#options.log.warn(
        "the proxy before this one does not answer: end it if it stands still, as it may have calls",
      );
    if (heard.how === "said" && heard.line === TOO_LATE) throw tooLate();
  }

  /** What was given was taken back. */
  get isTooLate(): boolean {
    return this.#before?.coming === TOO_LATE;
  }

  /** Why what was given cannot be opened. @returns the error where it is not that it was taken back */
  reasonFor(error: Error): Error {
    return this.isTooLate ? tooLate() : error;
  }

  /**
   * Resolves when the one that was replaced has ended.
   * @param onCounts what it counts until then
   * @throws Error where it says after all that it did not wait
   */
  async follow(onCounts: (counts: HandedCounts) => void): Promise<void> {
    const replaced = this.#replaced;
    for (let line = await replaced?.hear(); line !== undefined; line = await replaced?.hear()) {
      if (line === TOO_LATE) throw tooLate();
      // Where that came late.
      if (line === GO_ON) continue;
      const counts = this.#read(line);
      if (counts !== undefined) onCounts(counts);
      await letOthersRun();
    }
  }

  get isBehind(): boolean {
    return this.#next?.isBehind ?? false;
  }

  /** Tells the next one what is counted here. */
  tell(counts: HandedCounts): void {
    const next = this.#next;
    if (next !== undefined) this.#telling = this.#telling.then(() => inPieces(next, counts));
  }

  /** Resolves when nobody is being given the ports: they were taken, or are back. */
  settled(): Promise<void> {
    return this.#giving;
  }

  /** Resolves when the next one has heard all that was told, or cannot. */
  async farewell(): Promise<void> {
    const next = this.#next;
    if (next === undefined) return;
    await this.#telling;
    const timer = this.#options.clock.after(FAREWELL_MS, () => next.destroy());
    next.end();
    await next.ended();
    timer.cancel();
  }

  /** Asks nobody any more. What was given and not taken goes back. */
  withdraw(): void {
    this.#withdrawn = true;
    this.#before?.destroy();
    this.#before = undefined;
  }

  /** Gives these to who asks, also to who has asked already. */
  answer(ports: OwnPorts): void {
    this.#onPorts(ports);
  }

  /**
   * Waits for the next one, who finds this one from now on and nobody else. It is for who has the health port: only one
   * proxy can have that, so only one does this at a time.
   * @throws the error of mkdtemp(3), listen(2) or rename(2)
   */
  async listen(): Promise<void> {
    if (this.#withdrawn) return;
    const server = net.createServer((socket) => void this.#onNext(new LineChannel(socket, MAX_LINE_BYTES)));
    const folder = await mkdtemp(`${this.#options.folder}/${UNNAMED}`);
    try {
      server.listen(`${folder}/s`);
      await once(server, "listening");
      await chmod(`${folder}/s`, MODE);
      // Both in one step: once this is told to stop, the health port may be another's.
      if (!this.#withdrawn) {
        renameSync(`${folder}/s`, this.#path);
        this.stopListening();
        this.#server = server;
      }
    } finally {
      if (this.#server !== server) server.close();
      await rm(folder, { recursive: true, force: true });
    }
    // Of single accepts: the next ones may succeed.
    server.on("error", (error) => this.#options.log.warn("hand-over", { error: error.message }));
  }

  /** Nobody new comes. The name stays in the file system: it is another's, or leads to nobody. */
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

  async #ask(before: LineChannel, onCounts: (counts: HandedCounts) => void): Promise<"given" | "ended" | "late"> {
    before.say(ASK);
    this.#options.log.info("the proxy before this one is asked for its ports");
    for (;;) {
      const heard = await this.#inTime(before, YIELD_MS);
      if (heard.how !== "said") return heard.how;
      if (heard.line === YIELD) return "given";
      const counts = this.#read(heard.line);
      if (counts !== undefined) onCounts(counts);
      await letOthersRun();
    }
  }

  #read(text: string): HandedCounts | undefined {
    const counts = readCounts(text);
    if (counts === undefined && !this.#saidUnreadable) {
      this.#saidUnreadable = true;
      this.#options.log.warn("what the proxy before this one has counted cannot be read, and is lost");
    }
    return counts;
  }

  // ── to the next one ──

  async #onNext(next: LineChannel): Promise<void> {
    this.#waiting.add(next);
    void next.ended().then(() => this.#waiting.delete(next));
    if ((await next.hear()) !== ASK) {
      next.destroy();
      return;
    }
    const ports = await this.#ports;
    // Who asks beside the next one is dismissed when that is over, and looks who is there then.
    if (this.#next !== undefined || this.#closed) return;
    this.#giving = this.#give(next, ports);
    await this.#giving;
  }

  async #give(next: LineChannel, ports: OwnPorts): Promise<void> {
    const { log } = this.#options;
    this.#next = next;
    await inPieces(next, await ports.giveUp());
    next.say(YIELD);
    const heard = await this.#inTime(next, HAVE_MS);
    if (this.#closed) return;
    if (heard.how === "said" && heard.line === HAVE) {
      this.stopListening();
      next.say(GO_ON);
      ports.replaced();
    } else {
      if (heard.how === "late")
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

  #inTime(channel: LineChannel, ms: number): Promise<Heard> {
    return new Promise((resolve) => {
      // One that was stopped itself for so long looks first at what has come meanwhile, which takes a whole turn.
      const late = () => setImmediate(() => setImmediate(resolve, { how: "late" }));
      const timer = this.#options.clock.after(ms, late);
      void channel.hear().then((line) => {
        timer.cancel();
        resolve(line === undefined ? { how: "ended" } : { how: "said", line });
      });
    });
  }
}

async function inPieces(channel: LineChannel, counts: HandedCounts): Promise<void> {
  for (const piece of piecesOf(counts)) {
    channel.say(JSON.stringify(piece));
    await letOthersRun();
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
    await once(socket, "connect");
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (NOBODY.has(code)) return undefined;
    throw error;
  }
  return new LineChannel(socket, MAX_LINE_BYTES);
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
