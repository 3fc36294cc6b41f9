/**
 * The process on each node: the proxy, the DNS server of the mesh names, the config stream that feeds both, and what
 * kubelet and Prometheus ask for. It is ready from its first complete configuration until it is told to stop.
 */
import { type AdminRoutes, AdminServer, healthRoutes } from "../admin/admin-server.ts";
import { answererOf } from "../admin/answer-in-pieces.ts";
import type { Change } from "../config/changes.ts";
import type { LiveSnapshot } from "../config/snapshot.ts";
import { ConfigClient } from "../config-stream/config-client.ts";
import { DnsServer } from "../dns/dns-server.ts";
import { MeshZone } from "../dns/mesh-zone.ts";
import { standingMetrics, trafficMetrics } from "../proxy/traffic/traffic-metrics.ts";
import { DurationHistogram } from "../telemetry/duration-histogram.ts";
import type { Metric } from "../telemetry/exposition.ts";
import { buildInfo, ProcessMeter, processMetrics } from "../telemetry/process-metrics.ts";
import type { TrafficReport } from "../traffic/traffic-report.ts";
import { type DataPlane, OwnDataPlane } from "./data-plane.ts";
import { KeptMetrics } from "./kept-metrics.ts";
import { NodeCharge } from "./node-charge.ts";
import { NodeCounts } from "./node-counts.ts";
import { type NodeProxySettings, nodeProxyOptions } from "./node-proxy-options.ts";
import { configRoutes, type NodeView, openRoutes } from "./node-routes.ts";
import { configMetrics, workerMetrics } from "./proxy-metrics.ts";
import { SavedConfig } from "./saved-config.ts";
import { WorkerPool, type WorkerPoolOptions } from "./worker-pool.ts";

export interface ProxyDaemonOptions extends NodeProxySettings {
  readonly controller: { readonly host: string; readonly port: number; readonly serverName?: string };
  ca(): Promise<Buffer | string>;
  token(): Promise<string>;
  /** A folder of its own, for the last configuration. */
  readonly stateFolder: string;
  /** Of the program. */
  readonly version: string;
  /** Where DNS, health and metrics listen. */
  readonly address: string;
  readonly dnsPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
  /** On `ADMIN_ADDRESS`. */
  readonly adminPort: number;
  /** Processes that carry calls beside this one; absent: this one carries them itself. */
  readonly workers?: Omit<WorkerPoolOptions, "clock" | "log" | "onReopened">;
}

/**
 * Every Pod may reach every proxy, and the admin API tells who may call whom. So it is for those who are let into the
 * Pod, as by kubectl port-forward.
 */
const ADMIN_ADDRESS = "127.0.0.1";

export class ProxyDaemon {
  readonly #options: ProxyDaemonOptions;
  readonly #proxy: DataPlane;
  readonly #zone = new MeshZone([]);
  readonly #dns: DnsServer;
  readonly #charge: NodeCharge;
  readonly #saved: SavedConfig;
  /** Resolves when the first configuration is in force. */
  readonly #inForce: Promise<void>;
  #onInForce = () => {};
  /** Resolves when another proxy has taken over. */
  readonly replaced: Promise<void>;
  readonly #stop = new AbortController();
  #client: ConfigClient | undefined;
  #stream: Promise<void> = Promise.resolve();
  #snapshot: LiveSnapshot | undefined;
  #connected = false;
  #lostAt: number;
  #draining = false;
  #dnsListens = false;
  readonly #process = new ProcessMeter();
  readonly #counts: NodeCounts;
  readonly #applyTimes = new DurationHistogram();
  readonly #configRoutes: AdminRoutes;
  /** Seconds since the epoch. */
  #appliedAt = 0;

  constructor(options: ProxyDaemonOptions) {
    const { clock, log, stateFolder, workers, handOver = false } = options;
    this.#options = options;
    this.#lostAt = clock.now();
    const onReopened = () => this.#tellStanding();
    this.#proxy =
      workers === undefined
        ? new OwnDataPlane({ ...nodeProxyOptions(options), onReopened })
        : new WorkerPool({ ...workers, clock, log, onReopened });
    this.#counts = new NodeCounts({ clock, plane: this.#proxy });
    this.#dns = new DnsServer({ zones: [this.#zone], clock, log, sharesPort: handOver });
    this.#saved = new SavedConfig(stateFolder, clock, log);
    this.#inForce = new Promise((resolve) => {
      this.#onInForce = resolve;
    });
    const health = healthRoutes(() => this.#notReady());
    const view: NodeView = {
      plane: this.#proxy,
      counts: this.#counts,
      metrics: new KeptMetrics({ clock, metrics: () => this.#metricsNow() }),
      clock,
      snapshot: () => this.#snapshot,
      status: () => this.#status(),
      inCharge: () => this.#charge.isHere,
    };
    const open = { ...openRoutes(view), ...health };
    this.#configRoutes = configRoutes(view);
    const { address, healthPort, metricsPort, adminPort } = options;
    this.#charge = new NodeCharge({
      folder: handOver ? stateFolder : undefined,
      ports: [
        { server: new AdminServer(health), address, port: healthPort },
        { server: new AdminServer(open), address, port: metricsPort },
        { server: new AdminServer({ ...this.#configRoutes, ...open }), address: ADMIN_ADDRESS, port: adminPort },
      ],
      counts: this.#counts,
      clock,
      log,
      signal: this.#stop.signal,
      onTaken: () => {
        this.#tellStanding();
        if (this.#snapshot !== undefined) this.#saved.save(this.#snapshot);
      },
      onGiven: () => {
        this.#tellStanding();
        return this.#saved.leave();
      },
    });
    this.replaced = this.#charge.replaced;
  }

  /**
   * Opens what does not need a configuration, takes up the last one, and follows the controller. Where it takes over from
   * another proxy, it resolves when it has.
   */
  async start(): Promise<void> {
    await this.#proxy.start();
    const follows = !(await this.#charge.begin());
    if (this.#draining) return;
    await this.#followController();
    if (follows) await this.#charge.takeOverWhen(this.#inForce);
  }

  #tellStanding(): void {
    this.#client?.report(this.#proxy.closedEntrypoints());
  }

  async #followController(): Promise<void> {
    const { controller, clock, random, log, ca, token } = this.#options;
    const initial = await this.#saved.load();
    if (initial !== undefined) {
      log.info("the last configuration is in force until the controller is heard", { version: initial.version });
      await this.#apply(initial);
    }
    this.#client = new ConfigClient({
      ...controller,
      ca,
      token,
      clock,
      random,
      log,
      signal: this.#stop.signal,
      ...(initial === undefined ? {} : { initial }),
      apply: async (snapshot, changes) => {
        const closed = await this.#apply(snapshot, changes);
        if (this.#charge.isHere) this.#saved.save(snapshot);
        return closed;
      },
      onConnected: (connected) => this.#onConnected(connected),
      standsBy: () => !this.#charge.isHere,
      answerer: answererOf(this.#configRoutes),
    });
    this.#stream = this.#client.run();
  }

  /**
   * Not ready from now on, but serving: the cluster needs a while to send its calls elsewhere, and callers are asked
   * with each answer to connect anew. Then nothing new is accepted, and what is under way may finish. Where another proxy
   * has taken over, new calls go there from the beginning; one that asks only now is given the ports as well.
   */
  async stop(lameDuckMs: number, drainMs: number): Promise<void> {
    this.#draining = true;
    this.#charge.withdraw();
    this.#proxy.startDraining();
    const lameDuck =
      lameDuckMs === 0
        ? Promise.resolve()
        : new Promise<void>((resolve) => void this.#options.clock.after(lameDuckMs, resolve));
    await Promise.race([this.replaced, lameDuck]);
    if (this.#charge.isReplaced) await Promise.all([this.#proxy.leavePorts(), this.#dns.leavePort()]);
    await lameDuck;
    this.#stop.abort();
    this.#counts.close();
    await this.#proxy.close(drainMs);
    await this.#charge.settle();
    await Promise.all([this.#stream, this.#saved.flush(), this.#dns.close()]);
    await this.#charge.close();
    this.#process.close();
  }

  /** Files of the access log were moved away. */
  reopenLogs(): void {
    this.#proxy.reopenLogs();
  }

  async #apply(snapshot: LiveSnapshot, changes?: readonly Change[]): Promise<readonly string[]> {
    const { address, dnsPort, clock, log } = this.#options;
    const startedAt = clock.now();
    // Sockets before names: a name that can be looked up can be called.
    await this.#proxy.apply(snapshot.config, changes);
    this.#applyTimes.note(clock.now() - startedAt);
    this.#appliedAt = clock.wall() / 1000;
    this.#zone.update(snapshot.config, changes);
    const first = this.#snapshot === undefined;
    this.#snapshot = snapshot;
    if (!this.#dnsListens) {
      await this.#dns.listen(address, dnsPort);
      this.#dnsListens = true;
    }
    if (first) log.info("the first configuration is in force", { version: snapshot.version });
    this.#onInForce();
    return this.#proxy.closedEntrypoints();
  }

  #onConnected(connected: boolean): void {
    if (this.#connected && !connected) this.#lostAt = this.#options.clock.now();
    if (!this.#connected && connected) this.#options.log.info("the config stream is up");
    this.#connected = connected;
  }

  #notReady(): string {
    if (this.#draining) return "it is draining";
    return this.#snapshot === undefined ? "no configuration is in force yet" : "";
  }

  /** Seconds since the controller was last heard; 0 while it is. */
  get #silentSeconds(): number {
    return this.#connected ? 0 : Math.round((this.#options.clock.now() - this.#lostAt) / 1000);
  }

  #status(): object {
    return {
      name: this.#options.name,
      version: this.#snapshot?.version ?? "",
      connected: this.#connected,
      silentSeconds: this.#silentSeconds,
      draining: this.#draining,
    };
  }

  async #metricsNow(): Promise<Iterable<Metric>> {
    // The workers are asked once, for all that they have to say.
    return this.#metricsOf(await this.#proxy.traffic());
  }

  *#metricsOf(traffic: TrafficReport): Generator<Metric> {
    const proxy = this.#proxy;
    yield buildInfo(this.#options.version);
    yield* trafficMetrics(traffic);
    yield* [
      ...standingMetrics(this.#counts.standing()),
      ...configMetrics({
        version: this.#snapshot?.version ?? "",
        appliedAt: this.#appliedAt,
        applyTimes: this.#applyTimes,
        connected: this.#connected,
        silentSeconds: this.#silentSeconds,
        closedEntrypoints: proxy.closedEntrypoints().length,
      }),
      ...workerMetrics(proxy.workers()),
      ...processMetrics(this.#process.figures(this.#options.clock.wall())),
    ];
  }
}
