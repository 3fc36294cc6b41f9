/**
 * The process on each node: the proxy, the DNS server of the mesh names, the config stream that feeds both, and what
 * kubelet and Prometheus ask for. It is ready from its first complete configuration until it is told to stop.
 */
import { type AdminRoutes, AdminServer, compactJson, healthRoutes, json, text } from "../admin/admin-server.ts";
import { answererOf } from "../admin/answer-in-pieces.ts";
import type { Change } from "../config/changes.ts";
import { callersOf } from "../config/mesh-config.ts";
import type { LiveSnapshot } from "../config/snapshot.ts";
import { ConfigClient } from "../config-stream/config-client.ts";
import { DnsServer } from "../dns/dns-server.ts";
import { MeshZone } from "../dns/mesh-zone.ts";
import type { Clock, Random } from "../model/clock.ts";
import { AccessLog } from "../proxy/access-log/access-log.ts";
import type { AccessLogSettings } from "../proxy/access-log/access-log-settings.ts";
import { standingMetrics, trafficMetrics } from "../proxy/traffic/traffic-metrics.ts";
import { DurationHistogram } from "../telemetry/duration-histogram.ts";
import type { Metric } from "../telemetry/exposition.ts";
import type { Log } from "../telemetry/log.ts";
import { buildInfo, ProcessMeter, processMetrics } from "../telemetry/process-metrics.ts";
import type { TrafficReport } from "../traffic/traffic-report.ts";
import { AdminPorts } from "./admin-ports.ts";
import { type DataPlane, OwnDataPlane, type ProxyOptions } from "./data-plane.ts";
import { HandOver, migrateConnections } from "./hand-over.ts";
import { CountsTeller, type HandedCounts } from "./handed-counts.ts";
import { KeptMetrics } from "./kept-metrics.ts";
import { NodeCounts } from "./node-counts.ts";
import { configMetrics, workerMetrics } from "./proxy-metrics.ts";
import { SavedConfig } from "./saved-config.ts";
import { tapRoute } from "./tap-route.ts";
import { WorkerPool, type WorkerPoolOptions } from "./worker-pool.ts";

export interface ProxyDaemonOptions {
  readonly controller: { readonly host: string; readonly port: number; readonly serverName?: string };
  ca(): Promise<Buffer | string>;
  token(): Promise<string>;
  /** A folder of its own, for the last configuration. */
  readonly stateFolder: string;
  /** This proxy's Pod. */
  readonly name: string;
  /** Of the program. */
  readonly version: string;
  /** Its node. */
  readonly node?: string;
  /** Where DNS, health and metrics listen. */
  readonly address: string;
  readonly dnsPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
  /** On `ADMIN_ADDRESS`. */
  readonly adminPort: number;
  /** Ports are taken over from a proxy that runs on the same state folder, and are given to one that comes after. */
  readonly handOver?: boolean;
  /** PEM certificates of authorities trusted beside the system's, for endpoints with TLS. */
  readonly trustedCa?: string;
  /** Absent: no access log. */
  readonly accessLog?: AccessLogSettings;
  /** Spans of the calls that this process carries itself. */
  readonly tracing?: ProxyOptions["tracing"];
  /** Processes that carry calls beside this one; absent: this one carries them itself. */
  readonly workers?: Omit<WorkerPoolOptions, "clock" | "log" | "onReopened">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/**
 * Every Pod may reach every proxy, and the admin API tells who may call whom. So it is for those who are let into the
 * Pod, as by kubectl port-forward.
 */
const ADMIN_ADDRESS = "127.0.0.1";
/** How long a connection waits for the configuration that knows its caller. */
const NEWCOMER_WAIT_MS = 1_000;

/** To who reads counters: a figure that is not the node's would look like a step back, and then one forward. */
const NOT_IN_CHARGE = text("another proxy has the counts of this node\n", 503);

/** How a node's proxy is set up, in this process or in a worker. */
export function nodeProxyOptions(
  options: Pick<
    ProxyDaemonOptions,
    "clock" | "random" | "log" | "name" | "node" | "trustedCa" | "tracing" | "accessLog" | "handOver"
  >,
): ProxyOptions {
  const { clock, random, log, name, node, trustedCa, tracing, accessLog: settings, handOver = false } = options;
  return {
    clock,
    random,
    log,
    name,
    substitutePorts: false,
    sharePorts: handOver,
    newcomerWaitMs: NEWCOMER_WAIT_MS,
    ...(node === undefined ? {} : { node }),
    ...(trustedCa === undefined ? {} : { trustedCa }),
    ...(settings === undefined ? {} : { accessLog: new AccessLog({ settings, clock, random, log }) }),
    ...(tracing === undefined ? {} : { tracing }),
  };
}

export class ProxyDaemon {
  readonly #options: ProxyDaemonOptions;
  readonly #proxy: DataPlane;
  readonly #zone = new MeshZone([]);
  readonly #dns: DnsServer;
  readonly #ports: AdminPorts;
  readonly #saved: SavedConfig;
  readonly #handOver: HandOver | undefined;
  /** Resolves when the first configuration is in force. */
  readonly #inForce: Promise<void>;
  #onInForce = () => {};
  /** Resolves when another proxy has taken over. */
  readonly replaced: Promise<void>;
  #onReplaced = () => {};
  #isReplaced = false;
  /** It has the own ports and the counts of the node, and saves its configuration: of two proxies never both do. */
  #inCharge = true;
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
  /** While another proxy has the ports. */
  #teller: CountsTeller | undefined;
  readonly #applyTimes = new DurationHistogram();
  readonly #kept: KeptMetrics;
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
    this.#kept = new KeptMetrics({ clock, metrics: () => this.#metricsNow() });
    this.#counts = new NodeCounts({ clock, plane: this.#proxy });
    this.#dns = new DnsServer({ zones: [this.#zone], clock, log, sharesPort: handOver });
    this.#saved = new SavedConfig(stateFolder, clock, log);
    this.#handOver = handOver ? new HandOver({ folder: stateFolder, clock, log }) : undefined;
    this.#inForce = new Promise((resolve) => {
      this.#onInForce = resolve;
    });
    this.replaced = new Promise((resolve) => {
      this.#onReplaced = resolve;
    });
    const health = healthRoutes(() => this.#notReady());
    const open = { ...this.#openRoutes(), ...health };
    const { address, healthPort, metricsPort, adminPort } = options;
    this.#ports = new AdminPorts({
      ports: [
        { server: new AdminServer(health), address, port: healthPort },
        { server: new AdminServer(open), address, port: metricsPort },
        { server: new AdminServer({ ...this.#configRoutes(), ...open }), address: ADMIN_ADDRESS, port: adminPort },
      ],
      handOver: this.#handOver,
      clock,
      log,
    });
  }

  /**
   * Opens what does not need a configuration, takes up the last one, and follows the controller. Where it takes over from
   * another proxy, it resolves when it has.
   */
  async start(): Promise<void> {
    await this.#proxy.start();
    await this.#prepareToShare();
    this.#inCharge = await this.#ports.openOrMeet();
    if (this.#draining) return;
    let follows = !this.#inCharge;
    if (!follows) this.#answerNext();
    await this.#followController();
    while (follows) {
      await Promise.race([this.#inForce, this.#handOver?.gone()]);
      // It may be told to stop while it waits: the one before goes on, then.
      follows = !this.#draining && !(await this.#takeOver());
    }
  }

  /** @returns false where another was quicker: that one is the one before now */
  async #takeOver(): Promise<boolean> {
    const { log } = this.#options;
    const handOver = this.#handOver as HandOver;
    const { how, counts } = await handOver.takeOver();
    if (this.#draining) return true;
    if (counts !== undefined) await this.#counts.inherit(counts);
    if (how === "given")
      await this.#ports.openGiven().catch((error: Error) => {
        throw handOver.reasonFor(error);
      });
    else if (!(await this.#ports.openOrMeet())) return false;
    if (this.#draining) {
      handOver.stopListening();
      await this.#ports.close();
      return true;
    }
    await handOver.taken();
    if (this.#stop.signal.aborted) return true;
    void this.#counts.follow(handOver).catch((error: Error) => {
      log.error("the proxy before this one has the ports", { error: error.message });
      this.#onReplaced();
    });
    this.#takeCharge();
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

  #takeCharge(): void {
    this.#inCharge = true;
    this.#tellStanding();
    if (this.#snapshot !== undefined) this.#saved.save(this.#snapshot);
  }

  #tellStanding(): void {
    this.#client?.report(this.#proxy.closedEntrypoints());
  }

  async #prepareToShare(): Promise<void> {
    if (this.#handOver !== undefined && !(await migrateConnections()))
      this.#options.log.warn(
        "a connection that comes in the instant of a hand-over may be reset: set the sysctl net.ipv4.tcp_migrate_req=1",
      );
  }

  async #giveUp(): Promise<HandedCounts> {
    this.#inCharge = false;
    this.#tellStanding();
    await Promise.all([this.#saved.leave(), this.#ports.close()]);
    this.#teller = new CountsTeller({ clock: this.#options.clock, read: () => this.#counts.all() });
    return this.#teller.take();
  }

  async #takeBack(): Promise<void> {
    this.#takeCharge();
    await this.#ports.takeBack().catch((error) =>
      this.#options.log.error("the ports of health, metrics and admin API could not be taken back", {
        error: (error as Error).message,
      }),
    );
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
        if (this.#inCharge) this.#saved.save(snapshot);
        return closed;
      },
      onConnected: (connected) => this.#onConnected(connected),
      standsBy: () => !this.#inCharge,
      answerer: answererOf(this.#configRoutes()),
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
    this.#ports.openNoMore();
    this.#handOver?.withdraw();
    this.#proxy.startDraining();
    const lameDuck =
      lameDuckMs === 0
        ? Promise.resolve()
        : new Promise<void>((resolve) => void this.#options.clock.after(lameDuckMs, resolve));
    await Promise.race([this.replaced, lameDuck]);
    if (this.#isReplaced) await Promise.all([this.#proxy.leavePorts(), this.#dns.leavePort()]);
    await lameDuck;
    this.#stop.abort();
    this.#counts.close();
    await this.#proxy.close(drainMs);
    // Who has asked just now may be about to have the ports, and what was counted since.
    await this.#handOver?.settled();
    if (this.#isReplaced) await this.#tellLastCounts();
    await Promise.all([this.#stream, this.#saved.flush(), this.#dns.close()]);
    await this.#ports.close();
    this.#handOver?.close();
    this.#teller?.close();
    this.#process.close();
  }

  async #tellLastCounts(): Promise<void> {
    this.#teller?.close();
    const last = await this.#teller?.take();
    if (last !== undefined) this.#handOver?.tell(last);
    await this.#handOver?.farewell();
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

  /** What every Pod may see, unless a NetworkPolicy keeps it from that: metrics name who called what. */
  #openRoutes(): AdminRoutes {
    const status = () => ({
      name: this.#options.name,
      version: this.#snapshot?.version ?? "",
      connected: this.#connected,
      silentSeconds: this.#silentSeconds,
      draining: this.#draining,
    });
    return {
      "/api/status": {
        says: "what is in force here, and whether the controller is heard",
        answer: () => json(status()),
      },
      "/metrics": {
        says: "counters for Prometheus",
        answer: (_, { accept }) => (this.#inCharge ? this.#kept.answer(accept) : NOT_IN_CHARGE),
      },
    };
  }

  #configRoutes(): AdminRoutes {
    return {
      ...tapRoute(this.#proxy, this.#options.clock),
      "/api/config": {
        says: "the configuration in force (MeshConfig) and its version",
        answer: () => json(this.#snapshot ?? {}),
      },
      "/api/service-ports": {
        says: "keys of the service ports that the mesh serves",
        answer: () => compactJson(Object.keys(this.#snapshot?.config.servicePorts ?? {})),
      },
      "/api/callers": {
        says: "Pods that the mesh knows as callers",
        answer: () => compactJson(callersOf(this.#snapshot?.config)),
      },
      "/api/traffic": {
        says: "what has passed since the start, by caller, service port and backend (TrafficReport)",
        answer: async () => (this.#inCharge ? compactJson(await this.#proxy.traffic()) : NOT_IN_CHARGE),
      },
      "/api/traffic/recent": {
        says: "of that, what has passed in the last 30 s, at most 10 s ago",
        answer: () => (this.#inCharge ? compactJson(this.#counts.recent()) : NOT_IN_CHARGE),
      },
      "/api/service-port/{namespace}/{service}/{port}": {
        says: "what is in force for one port of a Service",
        answer: ([namespace = "", service = "", port = ""]) => {
          const found = this.#snapshot?.config.servicePorts[`${namespace}/${service}:${port}`];
          return found === undefined ? json({ error: "the mesh does not serve it" }, 404) : json(found);
        },
      },
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
