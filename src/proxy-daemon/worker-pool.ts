/**
 * Carries the calls of a node on several cores: worker processes that accept from the same sockets, with one
 * configuration and one sum of what they count. A worker that dies is replaced, and what it counted is kept.
 *
 * Processes, because threads cannot share a listening socket; by node:cluster, whose primary opens the sockets and hands
 * them out, so that a port that cannot be had is found out as ever. The system says who accepts.
 */
import cluster, { type Worker } from "node:cluster";
import { type Change, type EntryPatch, patchOf } from "../config/changes.ts";
import { diffOf } from "../config/delta.ts";
import type { MeshConfig } from "../config/mesh-config.ts";
import type { Clock, Timer } from "../model/clock.ts";
import type { OpenTap, TapReader } from "../proxy/tap/taps.ts";
import { IDLE, type ProxyStanding, sumOfStandings, whatRemains } from "../proxy/traffic/proxy-standing.ts";
import { TrafficLedger } from "../proxy/traffic/traffic-ledger.ts";
import type { TapFilter } from "../tap/tap-filter.ts";
import type { Log } from "../telemetry/log.ts";
import type { TrafficReport } from "../traffic/traffic-report.ts";
import type { DataPlane, WorkerFigures } from "./data-plane.ts";
import type { FromWorker, ToWorker } from "./worker-messages.ts";
import { movesShares, shareOf } from "./worker-share.ts";

/** A worker that dies at once is started again after this, then after twice as long, up to `MAX_RESTART_MS`. */
const RESTART_MS = 200;
const MAX_RESTART_MS = 10_000;
/** Who lived so long did not die of what it was started with. */
const HEALTHY_MS = 30_000;
/** Figures of a worker that does not answer in this time are those that it told last. */
const REPORT_MS = 500;
/** After the drain time: what has not ended by then is ended. */
const EXIT_MS = 2_000;

export interface WorkerPoolOptions {
  readonly workers: number;
  /** The program of a worker, and its arguments. */
  readonly program: string;
  readonly programArguments: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly onReopened: () => void;
}

/** A worker's place, which one process after another may fill. */
interface Place {
  readonly index: number;
  process: Worker | undefined;
  /** It hears what it is sent. */
  ready: boolean;
  startedAt: number;
  restartMs: number;
  restart: Timer | undefined;
  /** What the process has been sent of the configuration's; undefined: nothing. */
  entrypoints: MeshConfig["entrypoints"] | undefined;
  /** The last configuration that is in force there. */
  appliedRound: number;
  closed: readonly string[];
  /** It begins nothing more at its ports. */
  left: boolean;
  standing: ProxyStanding;
  figures: WorkerFigures | undefined;
  /** Waits for what the process says next. */
  readonly waiting: Set<() => void>;
}

export class WorkerPool implements DataPlane {
  readonly #options: WorkerPoolOptions;
  readonly #places: Place[];
  #config: MeshConfig | undefined;
  #round = 0;
  /** Of processes that are gone. */
  #past: ProxyStanding = IDLE;
  /** Of those and of those that run. */
  readonly #ledger: TrafficLedger;
  readonly #taps = new Map<number, { readonly filter: TapFilter; readonly reader: TapReader }>();
  #nextTap = 0;
  #draining = false;
  #leaving = false;
  #closing = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#ledger = new TrafficLedger(options.clock);
    this.#places = Array.from({ length: options.workers }, (_, index) => ({
      index,
      process: undefined,
      ready: false,
      startedAt: 0,
      restartMs: RESTART_MS,
      restart: undefined,
      entrypoints: undefined,
      appliedRound: 0,
      closed: [],
      left: false,
      standing: IDLE,
      figures: undefined,
      waiting: new Set(),
    }));
  }

  async start(): Promise<void> {
    // Round robin would have the primary accept every connection and pass it on.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({ exec: this.#options.program, args: [...this.#options.programArguments] });
    for (const place of this.#places) this.#fork(place);
    await Promise.all(this.#places.map((place) => this.#until(place, () => place.ready)));
  }

  async apply(config: MeshConfig, changes?: readonly Change[]): Promise<void> {
    this.#config = config;
    const round = ++this.#round;
    if (changes === undefined) for (const place of this.#places) this.#sendConfig(place);
    else {
      const patch = patchOf(changes, config);
      const moves = movesShares(changes, config);
      for (const place of this.#places) this.#sendPatch(place, patch, moves);
    }
    const isGone = (place: Place) => this.#leaving && place.process === undefined;
    const isApplied = (place: Place) => this.#closing || place.appliedRound >= round || isGone(place);
    await Promise.all(this.#places.map((place) => this.#until(place, () => isApplied(place))));
  }

  closedEntrypoints(): string[] {
    return [...new Set(this.#places.flatMap(({ closed }) => closed))];
  }

  startDraining(): void {
    this.#draining = true;
    for (const place of this.#places) this.#send(place, { type: "drain" });
  }

  async leavePorts(): Promise<void> {
    // One that dies from now on has nothing to come back to.
    this.#leaving = true;
    for (const place of this.#places) {
      place.restart?.cancel();
      // One that does not listen yet carries nothing.
      if (place.ready) this.#send(place, { type: "leavePorts" });
      else place.process?.process.kill("SIGKILL");
    }
    const hasLeft = (place: Place) => place.left || place.process === undefined;
    await Promise.all(this.#places.map((place) => this.#until(place, () => hasLeft(place))));
  }

  get tapCount(): number {
    return this.#taps.size;
  }

  openTap(filter: TapFilter, reader: TapReader): OpenTap {
    const tap = this.#nextTap++;
    this.#taps.set(tap, { filter, reader });
    for (const place of this.#places) this.#send(place, { type: "tap", tap, filter });
    return {
      close: () => {
        if (this.#taps.delete(tap)) for (const place of this.#places) this.#send(place, { type: "untap", tap });
      },
    };
  }

  reopenLogs(): void {
    for (const place of this.#places) this.#send(place, { type: "reopenLogs" });
  }

  async close(drainMs: number): Promise<void> {
    this.#closing = true;
    for (const place of this.#places) {
      place.restart?.cancel();
      this.#wake(place);
      // One that does not listen yet carries nothing.
      if (place.ready) this.#send(place, { type: "close", drainMs });
      else place.process?.process.kill("SIGKILL");
    }
    const timer = this.#options.clock.after(drainMs + EXIT_MS, () => {
      for (const { process } of this.#places) process?.process.kill("SIGKILL");
    });
    await Promise.all(this.#places.map((place) => this.#until(place, () => place.process === undefined)));
    timer.cancel();
  }

  standing(): ProxyStanding {
    return sumOfStandings([this.#past, ...this.#places.map(({ standing }) => standing)]);
  }

  async traffic(): Promise<TrafficReport> {
    await this.#askForReports();
    return this.#ledger.report();
  }

  inherit(before: TrafficReport): void {
    this.#ledger.inherit(before);
  }

  add(passed: TrafficReport): void {
    this.#ledger.add(passed);
  }

  workers(): readonly WorkerFigures[] {
    return this.#places.flatMap(({ figures }) => (figures === undefined ? [] : [figures]));
  }

  // ── processes ──

  #fork(place: Place): void {
    const { clock, log } = this.#options;
    const worker = cluster.fork();
    place.process = worker;
    place.startedAt = clock.now();
    worker.on("message", (message: FromWorker) => this.#onMessage(place, message));
    worker.on("error", (error) =>
      log.warn("a worker cannot be reached", { worker: place.index, error: error.message }),
    );
    worker.on("exit", (code, signal) => this.#onExit(place, signal ?? String(code)));
  }

  #onExit(place: Place, reason: string): void {
    const { clock, log } = this.#options;
    // What was open there is not any more.
    this.#past = sumOfStandings([this.#past, whatRemains(place.standing)]);
    place.process = undefined;
    place.ready = false;
    place.entrypoints = undefined;
    place.standing = IDLE;
    place.figures = undefined;
    place.closed = [];
    this.#wake(place);
    if (this.#closing || this.#leaving) return;
    if (clock.now() - place.startedAt >= HEALTHY_MS) place.restartMs = RESTART_MS;
    log.error("a worker ended; it is started again", { worker: place.index, reason, afterMs: place.restartMs });
    place.restart = clock.after(place.restartMs, () => this.#fork(place));
    place.restartMs = Math.min(place.restartMs * 2, MAX_RESTART_MS);
  }

  #onMessage(place: Place, message: FromWorker): void {
    switch (message.type) {
      case "ready":
        place.ready = true;
        for (const [tap, { filter }] of this.#taps) this.#send(place, { type: "tap", tap, filter });
        this.#sendConfig(place);
        break;
      case "applied":
        place.appliedRound = message.round;
        place.closed = message.closed;
        break;
      case "left":
        place.left = true;
        break;
      case "reopened":
        place.closed = message.closed;
        this.#options.onReopened();
        break;
      case "tapped":
        this.#onTapped(message.tap, message.lines, message.lost);
        return;
      case "report":
        place.standing = message.standing;
        this.#ledger.add(message.traffic);
        place.figures = { worker: place.index, ...message.figures };
    }
    this.#wake(place);
  }

  #onTapped(tap: number, lines: readonly string[], lost: number): void {
    const reader = this.#taps.get(tap)?.reader;
    for (const line of lines) reader?.onCall(line);
    if (lost > 0) reader?.onLost(lost);
  }

  #sendConfig(place: Place): void {
    if (this.#config === undefined || !place.ready) return;
    const config = shareOf(this.#config, place.index, this.#places.length);
    this.#send(place, { type: "config", round: this.#round, config });
    // A copy: the configuration may change in place.
    place.entrypoints = { ...config.entrypoints };
    if (this.#draining) this.#send(place, { type: "drain" });
  }

  /** @param moves whether workers may have other entrypoints than before */
  #sendPatch(place: Place, { entrypoints: _, ...rest }: EntryPatch, moves: boolean): void {
    // Who is not ready yet gets the whole when it is.
    if (this.#config === undefined || place.entrypoints === undefined || !place.ready) return;
    const share = moves
      ? { ...shareOf(this.#config, place.index, this.#places.length).entrypoints }
      : place.entrypoints;
    const entrypoints = diffOf(place.entrypoints, share) as EntryPatch["entrypoints"];
    const patch = entrypoints === undefined ? rest : { ...rest, entrypoints };
    this.#send(place, { type: "patch", round: this.#round, patch });
    place.entrypoints = share;
  }

  #send(place: Place, message: ToWorker): void {
    // That it is gone meanwhile, its exit says.
    if (place.ready && place.process?.isConnected() === true) place.process.send(message, () => {});
  }

  // ── waiting ──

  async #askForReports(): Promise<void> {
    const before = this.#places.map(({ figures }) => figures);
    for (const place of this.#places) this.#send(place, { type: "report" });
    const answered = (place: Place) => place.process === undefined || place.figures !== before[place.index];
    let late = false;
    const timer = this.#options.clock.after(REPORT_MS, () => {
      late = true;
      for (const place of this.#places) this.#wake(place);
    });
    await Promise.all(this.#places.map((place) => this.#until(place, () => late || answered(place))));
    timer.cancel();
  }

  async #until(place: Place, condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => place.waiting.add(resolve));
  }

  #wake(place: Place): void {
    for (const resolve of place.waiting) resolve();
    place.waiting.clear();
  }
}
