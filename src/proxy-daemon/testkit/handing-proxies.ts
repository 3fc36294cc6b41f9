/** Proxies of one node, as far as they hand over to each other: what each has is words. Closed when the test is over. */
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { IDLE, type ProxyStanding } from "../../proxy/traffic/proxy-standing.ts";
import { silentLog } from "../../telemetry/log.ts";
import { NO_TRAFFIC } from "../../traffic/traffic-report.ts";
import { HandOver, type OwnPorts, type TakenOver } from "../hand-over.ts";
import type { HandedCounts } from "../handed-counts.ts";

export const countsOf = (standing: Partial<ProxyStanding>): HandedCounts => ({
  traffic: NO_TRAFFIC,
  standing: { ...IDLE, ...standing },
});

/** What one that runs gives. */
export const GIVEN: TakenOver = { how: "given", counts: countsOf({ connections: 7 }) };
export const GONE: TakenOver = { how: "gone", counts: undefined };

/** Ports that are words. */
export class ToldPorts implements OwnPorts {
  /** What was asked of them, in order. */
  readonly said: string[] = [];
  readonly #handOver: HandOver | undefined;
  #onSaid = () => {};

  /** @param handOver of whose proxy they are: it listens again when they are taken back */
  constructor(handOver?: HandOver) {
    this.#handOver = handOver;
  }

  async giveUp(): Promise<HandedCounts> {
    this.#say("gave up");
    return GIVEN.counts as HandedCounts;
  }

  async takeBack(): Promise<void> {
    await this.#handOver?.listen();
    this.#say("took back");
  }

  replaced(): void {
    this.#say("replaced");
  }

  async until(word: string): Promise<void> {
    while (!this.said.includes(word))
      await new Promise<void>((resolve) => {
        this.#onSaid = resolve;
      });
  }

  #say(word: string): void {
    this.said.push(word);
    this.#onSaid();
  }
}

export interface Running {
  readonly handOver: HandOver;
  readonly own: ToldPorts;
}

/** Speaks by hand. */
export interface Spoken {
  say(line: string): void;
  end(): void;
}

export class HandingProxies {
  readonly clock = new ManualClock();
  readonly folder = mkdtempSync(join(tmpdir(), "tulle-hand-over-"));
  /** Where they find each other. */
  readonly socket = join(this.folder, "hand-over.sock");

  constructor() {
    onTestFinished(() => {
      chmodSync(this.folder, 0o700);
      rmSync(this.folder, { recursive: true });
    });
  }

  /** One that has looked for nobody yet. */
  proxy(): HandOver {
    const made = new HandOver({ folder: this.folder, clock: this.clock, log: silentLog });
    onTestFinished(() => made.close());
    return made;
  }

  async putInCharge(handOver: HandOver, own: OwnPorts): Promise<void> {
    await handOver.listen();
    handOver.answer(own);
  }

  /** One that is in charge, and waits for others. */
  async running(): Promise<Running> {
    const handOver = this.proxy();
    const own = new ToldPorts(handOver);
    await this.putInCharge(handOver, own);
    return { handOver, own };
  }

  /** The next one, which has met the one before. */
  async met(): Promise<HandOver> {
    const next = this.proxy();
    if (!(await next.meet())) throw new Error("nobody was met");
    return next;
  }

  /** The next one, which was given the ports, and has not said that it has them. */
  async given(): Promise<HandOver> {
    const next = await this.met();
    const { how } = await next.takeOver();
    if (how !== "given") throw new Error(`the ports were not given: ${how}`);
    return next;
  }

  /** The next one, which has the ports. */
  async taken(): Promise<HandOver> {
    const next = await this.given();
    await next.taken();
    return next;
  }

  /** One that is in charge, spoken by hand: says the first when it is asked, and the second when its ports are taken. */
  async byHand(given: string, taken: string): Promise<Spoken> {
    const sockets: net.Socket[] = [];
    const server = net.createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      socket.on("data", (bytes) => socket.write(bytes.toString() === "take over\n" ? given : taken));
    });
    server.listen(this.socket);
    await once(server, "listening");
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return {
      say: (line) => {
        for (const socket of sockets) socket.write(`${line}\n`);
      },
      end: () => {
        for (const socket of sockets) socket.end();
      },
    };
  }
}

/** Of whom `next` has taken over: how many connections that one says that it has, in order, until it ends. */
export function followed(next: HandOver): { readonly heard: number[]; readonly ended: Promise<void> } {
  const heard: number[] = [];
  return { heard, ended: next.follow(({ standing }) => heard.push(standing.connections)) };
}
