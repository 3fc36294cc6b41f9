/**
 * A cluster of 127.0.0.0/8 in one process: samples on Pod addresses, DNS, plain forwarding on Service addresses, the
 * proxy on mesh addresses, SOCKS5 and the admin API. Each state of the manifests is put in force in an order in which
 * no call finds a hole: first who answers, then the way to it, then its name; and the other way round for what goes.
 */

import { AdminServer } from "../admin/admin-server.ts";
import type { MeshConfig } from "../config/mesh-config.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { DnsServer } from "../dns/dns-server.ts";
import { MeshZone } from "../dns/mesh-zone.ts";
import type { LocatedProblem } from "../manifests/manifest-file.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import { type Problem, problem } from "../model/problems.ts";
import { AccessLog } from "../proxy/access-log/access-log.ts";
import type { AccessLogSettings } from "../proxy/access-log/access-log-settings.ts";
import { isExchange } from "../proxy/access-log/call-fields.ts";
import { MeshProxy, type MeshProxyOptions } from "../proxy/entrypoint/mesh-proxy.ts";
import { standingMetrics, trafficMetrics } from "../proxy/traffic/traffic-metrics.ts";
import { OwnDataPlane } from "../proxy-daemon/data-plane.ts";
import type { Metric } from "../telemetry/exposition.ts";
import type { Log } from "../telemetry/log.ts";
import { buildInfo, ProcessMeter, processMetrics } from "../telemetry/process-metrics.ts";
import { bindCause } from "./bind-cause.ts";
import { ClusterZone } from "./cluster-zone.ts";
import { compileMesh, MESH_DOMAINS } from "./compile-mesh.ts";
import type { CallTarget } from "./example-calls.ts";
import { backingPods } from "./image-problems.ts";
import { loopbackRoutes } from "./loopback-routes.ts";
import { MeshInForce, type MeshInForceOptions } from "./mesh-in-force.ts";
import { plainForwarding } from "./plain-forwarding.ts";
import { resolveAsPod } from "./pod-resolver.ts";
import { type ReadyLine, readyPods, readyServices } from "./ready-line.ts";
import { SampleSet, type Substitute, sampleSockets } from "./sample-set.ts";
import { SocksServer } from "./socks/socks-server.ts";
import { WayLog } from "./way-log.ts";

export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

export interface LoopbackOptions extends MeshInForceOptions {
  /** Of the program. */
  readonly version: string;
  readonly dns: ListenAddress;
  readonly socks: ListenAddress;
  readonly admin: ListenAddress;
  /** PEM certificates of authorities trusted beside the system's, for endpoints with TLS. */
  readonly trustedCa?: string;
  /** Absent: no access log. */
  readonly accessLog?: AccessLogSettings;
  /** Spans of calls by mesh names. */
  readonly tracing?: MeshProxyOptions["tracing"];
  /** How many file descriptors this process may have; absent: as many as it needs. */
  readonly maxDescriptors?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** How long calls under way may take when a sample or the whole cluster ends. */
const DRAIN_MS = 5_000;
/** For files, the runtime, and some calls at a time. */
const SPARE_DESCRIPTORS = 100;
const PROXY_NAME = "tulle-local";

export class LoopbackCluster {
  readonly #options: LoopbackOptions;
  readonly #mesh: MeshInForce;
  readonly #ways = new WayLog();
  readonly #samples: SampleSet;
  readonly #plane: OwnDataPlane;
  readonly #proxy: MeshProxy;
  readonly #plain: MeshProxy;
  readonly #meshZone = new MeshZone(MESH_DOMAINS);
  readonly #clusterZone = new ClusterZone();
  readonly #dns: DnsServer;
  readonly #socks: SocksServer;
  readonly #admin: AdminServer;
  #where = { dns: "", socks: "", admin: "" };
  #ready = false;
  #closed = false;
  #opening: Promise<void> = Promise.resolve();
  readonly #process = new ProcessMeter();

  constructor(options: LoopbackOptions) {
    const { clock, random, log } = options;
    this.#options = options;
    this.#mesh = new MeshInForce(options);
    this.#samples = new SampleSet(clock, log);
    const { accessLog } = options;
    this.#plane = new OwnDataPlane({
      clock,
      random,
      log,
      name: PROXY_NAME,
      substitutePorts: true,
      ...(options.trustedCa === undefined ? {} : { trustedCa: options.trustedCa }),
      ...(options.tracing === undefined ? {} : { tracing: options.tracing }),
      ...(accessLog === undefined ? {} : { accessLog: new AccessLog({ settings: accessLog, clock, random, log }) }),
      onlooker: {
        onCall: (record) => {
          if (isExchange(record)) this.#ways.note(record);
        },
        onFlowOpen: (record) => this.#ways.note(record),
      },
    });
    this.#proxy = this.#plane.proxy;
    // Past the mesh, an endpoint sees its caller, as behind kube-proxy.
    this.#plain = new MeshProxy({ clock, random, log, name: "plain", substitutePorts: true, dialFromCaller: true });
    this.#dns = new DnsServer({ zones: [this.#meshZone, this.#clusterZone], log, clock });
    this.#socks = new SocksServer({
      callerAddress: (user) => this.#callerAddress(user),
      callers: () => this.#mesh.pods().map(({ meta }) => `${meta.namespace}.${meta.name}`),
      resolve: async (name, namespace) => resolveAsPod([this.#meshZone, this.#clusterZone], name, namespace),
      mapPort: (address, port) => this.boundPort(address, port),
      log,
      clock,
    });
    const routes = loopbackRoutes({
      proxyName: PROXY_NAME,
      mesh: this.#mesh,
      plane: this.#plane,
      clock,
      ready: () => this.#ready,
      metrics: () => this.#metrics(),
    });
    this.#admin = new AdminServer(routes, "everywhere");
  }

  /** Opens DNS, SOCKS5 and the admin API. A port that cannot be had is replaced by any, and said. */
  listen(): Promise<void> {
    return this.#unlessClosed(() => this.#listenAll(), undefined);
  }

  async #listenAll(): Promise<void> {
    const { dns, socks, admin } = this.#options;
    this.#where = {
      dns: await this.#listen("DNS (--dns)", dns, (port) => this.#dns.listen(dns.address, port)),
      socks: await this.#listen("SOCKS5 (--socks)", socks, (port) => this.#socks.listen(socks.address, port)),
      admin: await this.#listen("the admin API (--admin)", admin, (port) => this.#admin.listen(admin.address, port)),
    };
  }

  get where(): { readonly dns: string; readonly socks: string; readonly admin: string } {
    return this.#where;
  }

  get snapshot(): Snapshot {
    return this.#mesh.snapshot;
  }

  /**
   * Puts a state of the objects in force, or none of it where it needs more sockets than this process may have: half a
   * mesh would be harder to understand than the one before. Calls must not overlap.
   * @param known what the source itself found wrong
   * @returns what else is wrong
   */
  update(state: ClusterStateView, known: readonly LocatedProblem[]): Promise<readonly LocatedProblem[]> {
    return this.#unlessClosed(() => this.#update(state, known), []);
  }

  async #update(state: ClusterStateView, known: readonly LocatedProblem[]): Promise<readonly LocatedProblem[]> {
    const { config, problems } = compileMesh(state, this.#options);
    const plain = plainForwarding(state);
    const tooMany = this.#tooManySockets(state, [config, plain]);
    if (tooMany !== undefined) {
      this.#mesh.noteProblems(known, [tooMany]);
      return this.#mesh.locate([tooMany]);
    }
    const stopGone = await this.#samples.update(state.list("Pod"), backingPods(state));
    const changed = this.#mesh.update(state, this.#samples.dialled(config));
    const { snapshot } = this.#mesh;
    if (changed) this.#plane.forgetAudited();
    await Promise.all([
      changed ? this.#proxy.apply(snapshot.config) : undefined,
      this.#plain.apply(this.#samples.dialled(plain)),
    ]);
    this.#mesh.history.note(snapshot, this.#options.clock.wall());
    this.#meshZone.update(config);
    this.#clusterZone.update(state);
    await stopGone();
    const found = [...problems, ...this.#samples.problems];
    this.#mesh.noteProblems(known, found);
    this.#ready = true;
    return this.#mesh.locate(found);
  }

  readyLine(): ReadyLine {
    const { config } = this.#mesh.snapshot;
    const entrypoints = this.#proxy.status();
    return {
      ready: true,
      dns: this.#where.dns,
      socks: this.#where.socks,
      admin: `http://${this.#where.admin}`,
      pods: readyPods(this.#mesh.pods()),
      services: readyServices(
        config,
        (key) => entrypoints.get(key)?.boundPort,
        (key) => this.#mesh.service(key)?.clusterIPs[0],
      ),
    };
  }

  /** What listens elsewhere than its Service or container says. */
  substitutes(): readonly Substitute[] {
    const found = [...this.#samples.substitutes.values()];
    for (const proxy of [this.#proxy, this.#plain])
      for (const { address, port, boundPort, reason = "" } of proxy.status().values())
        if (boundPort !== undefined && boundPort !== port)
          found.push({ address, port, boundPort, reason: bindCause({ message: reason }) });
    return found;
  }

  /** The port to dial for `address:port`. */
  boundPort(address: string, port: number): number {
    for (const proxy of [this.#proxy, this.#plain])
      for (const entrypoint of proxy.status().values())
        if (entrypoint.address === address && entrypoint.port === port) return entrypoint.boundPort ?? port;
    return port;
  }

  /** The running mesh, for the example's calls. */
  callTarget(resolve: (host: string) => Promise<string>): CallTarget {
    return {
      accessControl: this.#options.accessControl,
      podAddress: (namespace, name) => this.#mesh.podAddress(`${namespace}/${name}`),
      resolve,
      boundPort: (address, port) => this.boundPort(address, port),
      way: (callerAddress) => this.#ways.take(callerAddress),
    };
  }

  /** The file of the access log was moved away. */
  reopenLogs(): void {
    this.#plane.reopenLogs();
  }

  /** Ends everything: no new calls, then those under way, then what serves them. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#opening;
    await Promise.all([this.#socks.close(DRAIN_MS), this.#plane.close(DRAIN_MS), this.#plain.close(DRAIN_MS)]);
    await Promise.all([this.#samples.close(), this.#dns.close(), this.#admin.close()]);
    this.#process.close();
  }

  /** What opens sockets is waited for before they are closed, and never begins after. */
  #unlessClosed<T>(open: () => Promise<T>, otherwise: T): Promise<T> {
    if (this.#closed) return Promise.resolve(otherwise);
    const opening = open();
    this.#opening = opening.then(
      () => {},
      () => {},
    );
    return opening;
  }

  #tooManySockets(state: ClusterStateView, configs: readonly MeshConfig[]): Problem | undefined {
    const { maxDescriptors = Number.POSITIVE_INFINITY } = this.#options;
    const entrypoints = configs.reduce((sum, each) => sum + Object.keys(each.entrypoints).length, 0);
    const needed = sampleSockets(state.list("Pod")) + entrypoints + SPARE_DESCRIPTORS;
    if (needed <= maxDescriptors) return undefined;
    const detail = `${needed} file descriptors are needed, and this process may have ${maxDescriptors}`;
    return problem("DescriptorsExhausted", { kind: "Process", namespace: "", name: "tulle" }, "", detail);
  }

  #metrics(): Metric[] {
    const { version, clock } = this.#options;
    return [
      buildInfo(version),
      ...trafficMetrics(this.#plane.trafficNow()),
      ...standingMetrics(this.#proxy.standing()),
      ...processMetrics(this.#process.figures(clock.wall())),
    ];
  }

  async #listen(
    what: string,
    wanted: ListenAddress,
    listen: (port: number) => Promise<{ address: string; port: number }>,
  ): Promise<string> {
    try {
      const bound = await listen(wanted.port);
      return `${bound.address}:${bound.port}`;
    } catch (error) {
      const { address, port } = wanted;
      const bound = await listen(0).catch((last: NodeJS.ErrnoException) => {
        throw new Error(`${what} cannot listen on ${address}:${port}: ${bindCause(last)}`, { cause: last });
      });
      this.#options.log.warn(`${what} listens on ${bound.address}:${bound.port} instead of ${address}:${port}`, {
        error: (error as Error).message,
      });
      return `${bound.address}:${bound.port}`;
    }
  }

  /** `namespace.pod` or `namespace/pod`; a Pod's name may hold dots, a namespace's not. */
  #callerAddress(user: string): string | undefined {
    const split = user.search(/[./]/);
    return split < 0 ? undefined : this.#mesh.podAddress(`${user.slice(0, split)}/${user.slice(split + 1)}`);
  }
}
