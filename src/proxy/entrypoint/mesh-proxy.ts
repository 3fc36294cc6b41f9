/**
 * The proxy as a whole: a MeshConfig in, sockets out. A new configuration opens what is new, closes what is gone and
 * changes the rest in place; connections that were accepted live on until they end by themselves.
 */
import { type Change, changedKeys } from "../../config/changes.ts";
import type { Entrypoint, MeshConfig } from "../../config/mesh-config.ts";
import { emptyMeshConfig } from "../../config/mesh-config.ts";
import type { Clock, Random, Timer } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import type { Log } from "../../telemetry/log.ts";
import type { ExchangeRecord, RecordWants } from "../exchange/exchange-record.ts";
import { HttpEngine } from "../exchange/http-engine.ts";
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from "../exchange/http-options.ts";
import type { FlowRecord } from "../flow/flow-record.ts";
import { MeshRouteTable } from "../router/route-table.ts";
import type { Caller, RouteTable, ServicePortState } from "../router/types.ts";
import type { ReadBuffers, SharedReadSocket } from "../socket/shared-read.ts";
import { SocketBuffers } from "../socket/socket-buffers.ts";
import { TcpEngine } from "../tcp/tcp-engine.ts";
import type { TracingOptions } from "../tracing/tracer.ts";
import { type ProxyStanding, standingsOf } from "../traffic/proxy-standing.ts";
import { UdpEngine } from "../udp/udp-engine.ts";
import { Newcomers } from "./newcomers.ts";
import { type BoundPort, bindFirst, candidatePorts, TcpListener } from "./tcp-listener.ts";

export interface MeshProxyOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** This proxy's name, in X-Forwarded-Server. */
  readonly name: string;
  /** The node it runs on, for Services that prefer endpoints of the same node or zone. */
  readonly node?: string;
  /** A port that cannot be bound is replaced by another. */
  readonly substitutePorts: boolean;
  /** Another process may have the same ports, for as long as it takes to hand them over (SO_REUSEPORT). */
  readonly sharePorts?: boolean;
  /** Flows are dialled from their caller's own address, which must be one of this machine. */
  readonly dialFromCaller?: boolean;
  readonly connectTimeoutMs?: number;
  /** PEM certificates of authorities trusted beside the system's, for endpoints with TLS. */
  readonly trustedCa?: string;
  /** How long a connection waits for the configuration that knows its caller; absent: not at all. */
  readonly newcomerWaitMs?: number;
  readonly httpLimits?: Partial<HttpLimits>;
  /** Proxies that share the node's limit of connections; absent: this one has it for itself. */
  readonly sharers?: number;
  /** An entrypoint that could not be opened is open now. */
  readonly onReopened?: () => void;
  /** Spans of exchanges; absent: contexts of callers pass as they came. */
  readonly tracing?: TracingOptions;
  /** What `onExchange` wants to know; absent: what is at hand. */
  readonly recordWants?: RecordWants;
  readonly onExchange?: (record: ExchangeRecord) => void;
  /** Of a request that never became an exchange. */
  readonly onRefused?: (failure: Failure, entry: ServicePortState, caller: Caller) => void;
  readonly onFlowOpen?: (record: FlowRecord) => void;
  readonly onFlow?: (record: FlowRecord) => void;
}

export interface EntrypointStatus extends Entrypoint {
  /** Where it really listens; undefined where no port could be had. */
  readonly boundPort: number | undefined;
  /** Why that is not `port`. */
  readonly reason: string | undefined;
}

interface OpenEntrypoint {
  config: Entrypoint;
  bound: BoundPort | undefined;
  error: string | undefined;
  /** Begins nothing more; resolves when all that had come was taken. What is under way goes on. */
  leave(): Promise<void>;
  /** Ends what has no end of its own, too. */
  close(): Promise<void>;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;
/** Between tries to open what could not be opened: whoever has the port may give it up. */
const REOPEN_MS = 5_000;

export class MeshProxy {
  readonly #options: MeshProxyOptions;
  readonly #table: MeshRouteTable;
  readonly #http: HttpEngine;
  readonly #tcp: TcpEngine;
  readonly #udp: UdpEngine;
  readonly #buffers = new SocketBuffers();
  readonly #newcomers: Newcomers | undefined;
  readonly #entrypoints = new Map<string, OpenEntrypoint>();
  /** Those of them that are not open. */
  readonly #closedEntrypoints = new Set<string>();
  #config: MeshConfig = emptyMeshConfig();
  #applying: Promise<void> = Promise.resolve();
  #reopening: Timer | undefined;
  #left = false;
  #closed = false;

  constructor(options: MeshProxyOptions) {
    this.#options = options;
    const { clock, random, log, onExchange, onFlow } = options;
    const { newcomerWaitMs: waitMs, tracing } = options;
    if (waitMs !== undefined)
      this.#newcomers = new Newcomers({
        clock,
        waitMs,
        isKnown: (address) => this.#table.caller(address).workload !== undefined,
      });
    const connectTimeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    const { node } = options;
    this.#table = new MeshRouteTable({ clock, random, log, ...(node === undefined ? {} : { node }) });
    const buffers = this.#buffers;
    this.#http = new HttpEngine({
      buffers,
      table: this.#table,
      clock,
      log,
      server: options.name,
      connectTimeoutMs,
      limits: { ...options.httpLimits, ...shareOfLimits(options) },
      ...(tracing === undefined ? {} : { tracing: { ...tracing, random } }),
      ...(options.trustedCa === undefined ? {} : { trustedCa: options.trustedCa }),
      ...(options.recordWants === undefined ? {} : { recordWants: options.recordWants }),
      ...(onExchange === undefined ? {} : { onExchange }),
      ...(options.onRefused === undefined ? {} : { onRefused: options.onRefused }),
    });
    const flows = {
      table: this.#table,
      clock,
      ...(options.onFlowOpen === undefined ? {} : { onFlowOpen: options.onFlowOpen }),
      ...(onFlow === undefined ? {} : { onFlow }),
      ...(options.dialFromCaller === true ? { dialFrom: ({ address }: Caller) => address } : {}),
    };
    this.#tcp = new TcpEngine({ ...flows, limits: { connectTimeoutMs }, buffers });
    this.#udp = new UdpEngine(flows);
  }

  get table(): RouteTable {
    return this.#table;
  }

  get config(): MeshConfig {
    return this.#config;
  }

  get http(): HttpEngine {
    return this.#http;
  }

  get tcp(): TcpEngine {
    return this.#tcp;
  }

  get udp(): UdpEngine {
    return this.#udp;
  }

  /** What is open, held back or left out now. */
  standing(): ProxyStanding {
    return {
      connections: this.#http.openConnections,
      upstreamConnections: this.#http.openUpstreamConnections,
      tcpFlows: this.#tcp.activeFlows,
      udpFlows: this.#udp.activeFlows,
      servicePorts: standingsOf(this.#table.servicePorts()),
    };
  }

  /** Where each entrypoint listens, by its key. */
  status(): Map<string, EntrypointStatus> {
    const status = new Map<string, EntrypointStatus>();
    for (const [key, { config, bound, error }] of this.#entrypoints)
      status.set(key, { ...config, boundPort: bound?.port, reason: error ?? bound?.instead });
    return status;
  }

  /** Keys of those that could not be opened. */
  closedEntrypoints(): string[] {
    return [...this.#closedEntrypoints];
  }

  /**
   * Puts a configuration in force. Applications queue; each resolves when its sockets listen. An entrypoint that cannot
   * be opened is in `status()` with its reason and tried again from time to time, and the rest is in force.
   * @param changes since the one before; absent: anything may be another
   */
  apply(config: MeshConfig, changes?: readonly Change[]): Promise<void> {
    const applied = this.#applying.then(() => this.#apply(config, changes));
    this.#applying = applied.catch((error: Error) =>
      this.#options.log.error("a configuration could not be put in force", { error: error.message }),
    );
    return applied;
  }

  /** Goes on serving, and asks callers with each answer to connect anew: to another proxy, by then. */
  startDraining(): void {
    this.#http.startDraining();
  }

  /**
   * Begins nothing more at its ports, and takes what had come: calls come to whoever shares them. Exchanges and flows
   * under way go on, under configurations to come.
   */
  async leavePorts(): Promise<void> {
    this.#left = true;
    await this.#applying;
    this.#reopening?.cancel();
    this.#closedEntrypoints.clear();
    await Promise.all([...this.#entrypoints.values()].map((entrypoint) => entrypoint.leave()));
  }

  /** Accepts nothing more and ends after the exchanges and flows under way, or after `drainMs`. */
  async close(drainMs: number): Promise<void> {
    this.#closed = true;
    this.#newcomers?.close();
    await this.leavePorts();
    this.#entrypoints.clear();
    await Promise.all([this.#http.close(drainMs), this.#tcp.close(drainMs), this.#udp.close(drainMs)]);
  }

  async #apply(config: MeshConfig, changed?: readonly Change[]): Promise<void> {
    if (this.#closed) return;
    // Routes first: a socket that opens knows at once what its connections mean.
    const changes = this.#table.apply(config, changed);
    this.#config = config;
    this.#newcomers?.look();
    const gone: OpenEntrypoint[] = [];
    for (const key of changedKeys(changed, "entrypoints", config.entrypoints, this.#entrypoints.keys())) {
      const known = this.#entrypoints.get(key);
      const wanted = config.entrypoints[key];
      if (wanted === undefined) {
        this.#entrypoints.delete(key);
        this.#closedEntrypoints.delete(key);
        if (known !== undefined) gone.push(known);
      } else if (known !== undefined) known.config = wanted;
      else if (!this.#left) {
        this.#entrypoints.set(key, newEntrypoint(wanted));
        this.#closedEntrypoints.add(key);
      }
    }
    // An address given up may be asked for in the same step.
    await Promise.all(gone.map((entrypoint) => entrypoint.close()));
    await this.#openAll();
    for (const removed of changes.removedServicePorts) this.#http.drainServicePort(removed);
  }

  /** Opens what is not open, and comes back for what cannot be opened yet. */
  async #openAll(): Promise<void> {
    this.#reopening?.cancel();
    if (this.#left) return;
    const opening: Promise<void>[] = [];
    for (const key of this.#closedEntrypoints)
      opening.push(this.#open(key, this.#entrypoints.get(key) as OpenEntrypoint));
    await Promise.all(opening);
    if (this.#closedEntrypoints.size === 0) return;
    this.#reopening = this.#options.clock.after(REOPEN_MS, () => {
      this.#applying = this.#applying.then(() => this.#openAll());
    });
  }

  async #open(key: string, entrypoint: OpenEntrypoint): Promise<void> {
    const { log, onReopened } = this.#options;
    const before = entrypoint.error;
    try {
      if (entrypoint.config.transport === "tcp") await this.#openTcp(entrypoint);
      else await this.#openUdp(entrypoint);
      entrypoint.error = undefined;
      this.#closedEntrypoints.delete(key);
    } catch (error) {
      entrypoint.error = (error as Error).message;
      if (entrypoint.error !== before)
        log.warn("an entrypoint could not be opened; it is tried again", { entrypoint: key, error: entrypoint.error });
      return;
    }
    if (before === undefined) return;
    log.info("an entrypoint could be opened now", { entrypoint: key });
    onReopened?.();
  }

  async #openTcp(entrypoint: OpenEntrypoint): Promise<void> {
    const { address, port } = entrypoint.config;
    entrypoint.bound = await bindFirst(candidatePorts(port, this.#options.substitutePorts), async (candidate) => {
      const listener = new TcpListener(
        (caller) => this.#accept(caller, entrypoint),
        (error) => this.#options.log.warn("accepting failed", { address, port, error: error.message }),
        () => this.#readsInto(entrypoint),
        this.#options.sharePorts,
      );
      const bound = await listener.listen(address, candidate);
      entrypoint.leave = entrypoint.close = () => listener.close();
      return bound;
    });
  }

  async #openUdp(entrypoint: OpenEntrypoint): Promise<void> {
    const { address, port } = entrypoint.config;
    entrypoint.bound = await bindFirst(candidatePorts(port, this.#options.substitutePorts), async (candidate) => {
      const servicePort = () => this.#table.servicePort(entrypoint.config.servicePort);
      const bound = await this.#udp.listen(address, candidate, servicePort, this.#options.sharePorts);
      entrypoint.leave = () => bound.drain();
      entrypoint.close = () => bound.close();
      return bound.port;
    });
  }

  #readsInto({ config }: OpenEntrypoint): ReadBuffers {
    const { read, readFlow } = this.#buffers;
    return this.#table.servicePort(config.servicePort)?.config.trafficType === "http" ? read : readFlow;
  }

  #accept(caller: SharedReadSocket, entrypoint: OpenEntrypoint): void {
    const { accessControl } = this.#config;
    // Who calls matters to access control alone.
    if (this.#newcomers === undefined || this.#closed || accessControl === "off") this.#serve(caller, entrypoint);
    else this.#newcomers.admit(caller.socket, () => this.#serve(caller, entrypoint));
  }

  #serve(caller: SharedReadSocket, entrypoint: OpenEntrypoint): void {
    const servicePort = this.#table.servicePort(entrypoint.config.servicePort);
    if (servicePort === undefined) caller.socket.destroy();
    else if (servicePort.config.trafficType === "http") this.#http.accept(caller, servicePort);
    else this.#tcp.accept(caller, servicePort);
  }
}

function newEntrypoint(config: Entrypoint): OpenEntrypoint {
  return { config, bound: undefined, error: undefined, leave: async () => {}, close: async () => {} };
}

function shareOfLimits({ httpLimits, sharers = 1 }: MeshProxyOptions): Partial<HttpLimits> {
  const { maxConnections = DEFAULT_HTTP_LIMITS.maxConnections } = httpLimits ?? {};
  return { maxConnections: Math.ceil(maxConnections / sharers) };
}
