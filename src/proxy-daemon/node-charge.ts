/**
 * Which of two proxies is in charge of a node: it has the own ports and the counts of the node, and saves its
 * configuration. Of two proxies never both are. One comes to be by the ports of its own, or by taking over from the one
 * before; and it gives that up to one that comes after.
 */
import type { Clock } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { type AdminPort, AdminPorts } from "./admin-ports.ts";
import { HandOver, migrateConnections } from "./hand-over.ts";
import { CountsTeller, type HandedCounts } from "./handed-counts.ts";
import type { NodeCounts } from "./node-counts.ts";

export interface NodeChargeOptions {
  /** Where two proxies find each other; undefined: ports are neither taken over nor given. */
  readonly folder: string | undefined;
  /** The own ports, that of health first. */
  readonly ports: readonly [AdminPort, ...AdminPort[]];
  readonly counts: NodeCounts;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when nothing is to begin any more. */
  readonly signal: AbortSignal;
  /** It is in charge from now on, as another proxy was before. */
  onTaken(): void;
  /** It is not in charge any more. Resolves when it has left what is not its own now. */
  onGiven(): Promise<void>;
}

export class NodeCharge {
  readonly #options: NodeChargeOptions;
  readonly #handOver: HandOver | undefined;
  readonly #ports: AdminPorts;
  /** Resolves when another proxy has taken over. */
  readonly replaced: Promise<void>;
  #onReplaced = () => {};
  #isReplaced = false;
  #isHere = true;
  #withdrawn = false;
  /** While another proxy has the ports. */
  #teller: CountsTeller | undefined;

  constructor(options: NodeChargeOptions) {
    const { folder, ports, clock, log } = options;
    this.#options = options;
    this.#handOver = folder === undefined ? undefined : new HandOver({ folder, clock, log });
    this.#ports = new AdminPorts({ ports, handOver: this.#handOver, clock, log });
    this.replaced = new Promise((resolve) => {
      this.#onReplaced = resolve;
    });
  }

  /** This proxy is in charge, or is not known yet not to be. */
  get isHere(): boolean {
    return this.#isHere;
  }

  get isReplaced(): boolean {
    return this.#isReplaced;
  }

  /** Opens the own ports, unless another proxy has them. @returns whether it did, or nothing opens here any more */
  async begin(): Promise<boolean> {
    await this.#prepareToShare();
    const isHere = await this.#ports.openOrMeet();
    this.#isHere = isHere;
    if (isHere && !this.#withdrawn) this.#answerNext();
    return isHere;
  }

  /** Takes over from the proxy before once `ready` has resolved or that one is gone. Resolves when it has, or is withdrawn. */
  async takeOverWhen(ready: Promise<void>): Promise<void> {
    let over = false;
    while (!over) {
      await Promise.race([ready, this.#handOver?.gone()]);
      // It may be told to stop while it waits: the one before goes on, then.
      over = this.#withdrawn || (await this.#takeOver());
    }
  }

  /** It is told to stop, and takes nothing over any more. One that asks only now is still given what this one has. */
  withdraw(): void {
    this.#withdrawn = true;
    this.#ports.openNoMore();
    this.#handOver?.withdraw();
  }

  /** Nothing is counted here any more. Resolves when who comes after has all of it. */
  async settle(): Promise<void> {
    // Who has asked just now may be about to have the ports, and what was counted since.
    await this.#handOver?.settled();
    if (this.#isReplaced) await this.#tellLastCounts();
  }

  async close(): Promise<void> {
    await this.#ports.close();
    this.#handOver?.close();
    this.#teller?.close();
  }

  async #prepareToShare(): Promise<void> {
    if (this.#handOver !== undefined && !(await migrateConnections()))
      this.#options.log.warn(
        "a connection that comes in the instant of a hand-over may be reset: set the sysctl net.ipv4.tcp_migrate_req=1",
      );
  }

  /** @returns false where another was quicker: that one is the one before now */
  async #takeOver(): Promise<boolean> {
    const { counts, log, signal } = this.#options;
    const handOver = this.#handOver as HandOver;
    const { how, counts: given } = await handOver.takeOver();
    if (this.#withdrawn) return true;
    if (given !== undefined) await counts.inherit(given);
    if (how === "given")
      await this.#ports.openGiven().catch((error: Error) => {
        throw handOver.reasonFor(error);
      });
    else if (!(await this.#ports.openOrMeet())) return false;
    if (this.#withdrawn) {
      handOver.stopListening();
      await this.#ports.close();
      return true;
    }
    await handOver.taken();
    if (signal.aborted) return true;
    void counts.follow(handOver).catch((error: Error) => {
      log.error("the proxy before this one has the ports", { error: error.message });
      this.#onReplaced();
    });
    this.#take();
    this.#answerNext();
    log.info("took over from the proxy before this one");
    return true;
  }

  /** Others may ask for what is in charge here. */
  #answerNext(): void {
    this.#handOver?.answer({
      giveUp: () => this.#giveUp(),
      takeBack: () => this.#takeBack(),
      replaced: () => {
        this.#isReplaced = true;
        if (this.#handOver !== undefined) this.#teller?.tellTo(this.#handOver);
        this.#onReplaced();
      },
    });
  }

  #take(): void {
    this.#isHere = true;
    this.#options.onTaken();
  }

  async #giveUp(): Promise<HandedCounts> {
    const { clock, counts, onGiven } = this.#options;
    this.#isHere = false;
    await Promise.all([onGiven(), this.#ports.close()]);
    this.#teller = new CountsTeller({ clock, read: () => counts.all() });
    return this.#teller.take();
  }

  async #takeBack(): Promise<void> {
    this.#take();
    await this.#ports.takeBack().catch((error) =>
      this.#options.log.error("the ports of health, metrics and admin API could not be taken back", {
        error: (error as Error).message,
      }),
    );
  }

  async #tellLastCounts(): Promise<void> {
    this.#teller?.close();
    const last = await this.#teller?.take();
    if (last !== undefined) this.#handOver?.tell(last);
    await this.#handOver?.farewell();
  }
}
