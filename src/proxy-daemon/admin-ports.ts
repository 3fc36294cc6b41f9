/**
 * The ports of a proxy that calls do not come to: health, metrics and admin API. Of two proxies one has them, and with them
 * what one of two does. Who that is, the first of them decides, which the kernel lets one process alone have: a proxy is
 * found by others (`HandOver.listen`) only while it has that one.
 */
import type { AdminServer } from "../admin/admin-server.ts";
import type { Clock } from "../model/clock.ts";
import { pause } from "../model/pause.ts";
import type { Log } from "../telemetry/log.ts";
import type { HandOver } from "./hand-over.ts";

/** How often, and how far apart, it is tried to open the ports of a process that has just ended. */
const FREED_TRIES = 20;
const FREED_MS = 100;
/** Those that were given are free, but for a third proxy that takes itself for the only one until it looks once more. */
const GIVEN_TRIES = 5;

export interface AdminPort {
  readonly server: AdminServer;
  readonly address: string;
  readonly port: number;
}

export interface AdminPortsOptions {
  /** That of health first. */
  readonly ports: readonly [AdminPort, ...AdminPort[]];
  /** Undefined: no other proxy is asked for them. */
  readonly handOver: Pick<HandOver, "meet" | "listen" | "isTooLate"> | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export class AdminPorts {
  readonly #options: AdminPortsOptions;
  readonly #stopping = new AbortController();

  constructor(options: AdminPortsOptions) {
    this.#options = options;
  }

  /**
   * Opens them, unless a proxy is met that has them. Of two that met nobody, one gets the port of health, and the other meets
   * that one.
   * @returns whether they are open, or nothing opens here any more
   * @throws the error of listen(2), also where they are taken and no proxy is met
   */
  async openOrMeet(): Promise<boolean> {
    const { handOver, log } = this.#options;
    const [health] = this.#options.ports;
    for (let tried = 1; ; tried++) {
      try {
        if (!(await this.#meets())) {
          await this.#open(health);
          // It may be free because it is being handed over: this process may have stood still since it met nobody.
          if (!(await this.#meets())) {
            await this.#openAll();
            return true;
          }
        }
        await this.close();
        return false;
      } catch (error) {
        if (handOver === undefined || !isTaken(error) || tried === FREED_TRIES) throw error;
        // By a proxy that is about to say that it is there, or by one that has just ended.
        if (tried === 1) log.info("a port is taken, and is tried again for 2 s", { error: (error as Error).message });
      }
      await this.#pause();
    }
  }

  /** Opens what another proxy gave up. @throws the error of listen(2) */
  openGiven(): Promise<void> {
    return this.#openFreed(GIVEN_TRIES);
  }

  /** Opens what another proxy was given, when that has ended. @throws the error of listen(2), but that they are taken */
  takeBack(): Promise<void> {
    return this.#openFreed(Number.POSITIVE_INFINITY);
  }

  /** What is open stays open. */
  openNoMore(): void {
    this.#stopping.abort();
  }

  async close(): Promise<void> {
    await Promise.all(this.#options.ports.map(({ server }) => server.close()));
  }

  async #openFreed(tries: number): Promise<void> {
    for (let tried = 1; ; tried++) {
      try {
        await this.#openAll();
        return;
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        if (!isTaken(error) || tried >= tries || this.#options.handOver?.isTooLate === true) throw error;
      }
      await this.#pause();
    }
  }

  async #openAll(): Promise<void> {
    for (const port of this.#options.ports) await this.#open(port);
    await this.#options.handOver?.listen();
  }

  async #open({ server, address, port }: AdminPort): Promise<void> {
    if (!this.#stopping.signal.aborted && !server.listening) await server.listen(address, port);
  }

  async #meets(): Promise<boolean> {
    const { handOver, log } = this.#options;
    const meets = (await handOver?.meet()) === true;
    if (meets) log.info("another proxy has the ports; it is asked for them once a configuration is in force here");
    return meets;
  }

  #pause(): Promise<void> {
    return pause(this.#options.clock, FREED_MS, this.#stopping.signal);
  }
}

const isTaken = (error: unknown) => (error as NodeJS.ErrnoException).code === "EADDRINUSE";
