import type { Change } from "../config/changes.ts";
import type { MeshConfig } from "../config/mesh-config.ts";
import { letOthersRun } from "../model/let-others-run.ts";
import type { AccessLog } from "../proxy/access-log/access-log.ts";
import type { CallRecord } from "../proxy/access-log/call-fields.ts";
import { AuditLog } from "../proxy/entrypoint/audit-log.ts";
import { MeshProxy, type MeshProxyOptions } from "../proxy/entrypoint/mesh-proxy.ts";
import { type OpenTap, type TapReader, type TapSource, Taps } from "../proxy/tap/taps.ts";
import type { ProxyStanding } from "../proxy/traffic/proxy-standing.ts";
import { TrafficLedger } from "../proxy/traffic/traffic-ledger.ts";
import { MAX_EDGES, TrafficMeter } from "../proxy/traffic/traffic-meter.ts";
import type { TapFilter } from "../tap/tap-filter.ts";
import type { ProcessFigures } from "../telemetry/process-metrics.ts";
import type { TrafficReport } from "../traffic/traffic-report.ts";

/** What carries the calls of a node: this process, or worker processes. */
export interface DataPlane extends TapSource {
  /** Resolves when calls can be carried. */
  start(): Promise<void>;
  /**
   * Resolves when the configuration is in force everywhere.
   * @param changes since the one before; absent: anything may be another
   */
  apply(config: MeshConfig, changes?: readonly Change[]): Promise<void>;
  /** Keys of entrypoints that could not be opened. */
  closedEntrypoints(): string[];
  /** Goes on serving, and asks callers with each answer to connect anew. */
  startDraining(): void;
  /** Begins nothing more at its ports, which another process shares. Resolves when all that had come was taken. */
  leavePorts(): Promise<void>;
  /** Files of the access log were moved away. */
  reopenLogs(): void;
  /** Accepts nothing more and ends after what is under way, or after `drainMs`. */
  close(drainMs: number): Promise<void>;
  /** As it was when `traffic` was asked last, or newer. */
  standing(): ProxyStanding;
  /** Since the start. */
  traffic(): Promise<TrafficReport>;
  /** Adds all that another process had counted, which is told as of this one from then on. */
  inherit(before: TrafficReport): void;
  /** Adds what it has counted since. */
  add(passed: TrafficReport): void;
  /** In their order; empty where the figures of this process say all. */
  workers(): readonly WorkerFigures[];
}

export interface WorkerFigures extends ProcessFigures {
  readonly worker: number;
}

export interface ProxyOptions
  extends Omit<MeshProxyOptions, "onExchange" | "onRefused" | "onFlowOpen" | "onFlow" | "recordWants"> {
  readonly accessLog?: AccessLog;
  /** Looks at what passes besides: at each call when it is over, and at flows also when they have their endpoint. */
  readonly onlooker?: CallOnlooker;
}

export interface CallOnlooker {
  onCall(record: CallRecord): void;
  onFlowOpen(record: CallRecord): void;
}

/** All calls are carried by this process. */
export class OwnDataPlane implements DataPlane {
  readonly #meter: TrafficMeter;
  readonly #ledger: TrafficLedger;
  readonly #proxy: MeshProxy;
  readonly #accessLog: AccessLog | undefined;
  readonly #audit: AuditLog;
  readonly #taps: Taps;
  readonly #onlooker: CallOnlooker | undefined;

  constructor({ accessLog, onlooker, ...options }: ProxyOptions) {
    this.#meter = new TrafficMeter(MAX_EDGES, options.clock);
    this.#ledger = new TrafficLedger(options.clock);
    this.#accessLog = accessLog;
    const taps = new Taps(options.clock, accessLog?.wants);
    this.#taps = taps;
    this.#onlooker = onlooker;
    this.#audit = new AuditLog(options.log, options.clock);
    this.#proxy = new MeshProxy({
      ...options,
      recordWants: taps.wants,
      onExchange: (record) => {
        this.#meter.exchange(record);
        this.#note(record);
      },
      onRefused: (failure, entry, caller) => this.#meter.refused(failure, entry, caller),
      onFlowOpen: (record) => {
        this.#meter.flowOpened(record);
        onlooker?.onFlowOpen(record);
      },
      onFlow: (record) => {
        this.#meter.flow(record);
        this.#note(record);
      },
    });
  }

  /** Where its entrypoints listen, and what is open. */
  get proxy(): MeshProxy {
    return this.#proxy;
  }

  get tapCount(): number {
    return this.#taps.tapCount;
  }

  openTap(filter: TapFilter, reader: TapReader): OpenTap {
    return this.#taps.openTap(filter, reader);
  }

  async start(): Promise<void> {}

  apply(config: MeshConfig, changes?: readonly Change[]): Promise<void> {
    return this.#proxy.apply(config, changes);
  }

  closedEntrypoints(): string[] {
    return this.#proxy.closedEntrypoints();
  }

  startDraining(): void {
    this.#proxy.startDraining();
  }

  leavePorts(): Promise<void> {
    return this.#proxy.leavePorts();
  }

  reopenLogs(): void {
    this.#accessLog?.reopen();
  }

  /** Rules have changed: what mode audit has told may be told anew. */
  forgetAudited(): void {
    this.#audit.clear();
  }

  async close(drainMs: number): Promise<void> {
    await this.#proxy.close(drainMs);
    await this.#accessLog?.close();
  }

  standing(): ProxyStanding {
    return this.#proxy.standing();
  }

  async traffic(): Promise<TrafficReport> {
    // With thousands of edges each step takes milliseconds, and calls need this thread.
    const passed = this.takeTraffic();
    await letOthersRun();
    this.#ledger.add(passed);
    const report = this.#ledger.report();
    await letOthersRun();
    return report;
  }

  inherit(before: TrafficReport): void {
    this.#ledger.inherit(before);
  }

  add(passed: TrafficReport): void {
    this.#ledger.add(passed);
  }

  trafficNow(): TrafficReport {
    this.#ledger.add(this.takeTraffic());
    return this.#ledger.report();
  }

  /** What passed since the last time that it was asked, of which nothing is kept here. */
  takeTraffic(): TrafficReport {
    return this.#meter.take();
  }

  workers(): readonly WorkerFigures[] {
    return [];
  }

  #note(record: CallRecord): void {
    this.#audit.note(record);
    this.#accessLog?.note(record);
    this.#taps.note(record);
    this.#onlooker?.onCall(record);
  }
}
