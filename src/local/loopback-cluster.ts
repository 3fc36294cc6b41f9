/**
 * A cluster of 127.0.0.0/8 in one process: samples on Pod addresses, DNS, plain forwarding on Service addresses, the
 * proxy on mesh addresses, SOCKS5 and the admin API. Each state of the manifests is put in force in an order in which
 * no call finds a hole: first who answers, then the way to it, then its name; and the other way round for what goes.
 */

import {
  type AdminRoutes,
  AdminServer,
  type Answer,
  compactJson,
  healthRoutes,
  json,
  text,
  versionedJson,
} from "../admin/admin-server.ts";
import { ConfigHistory } from "../config/config-history.ts";
import {
  type AccessMode,
  callersOf,
  emptyMeshConfig,
  type MeshConfig,
  type TrafficType,
} from "../config/mesh-config.ts";
import { type Snapshot, seal } from "../config/snapshot.ts";
import { dashboardRoutes } from "../dashboard/dashboard-routes.ts";
import { DnsServer } from "../dns/dns-server.ts";
import { MeshZone } from "../dns/mesh-zone.ts";
import type { ExplainedMesh } from "../explain/explain.ts";
import { explainRoute } from "../explain/explain-route.ts";
import type { LoopbackAddresses } from "../manifests/loopback-addresses.ts";
import type { LocatedProblem } from "../manifests/manifest-file.ts";
import type { Clock, Random } from "../model/clock.ts";
import { ClusterState, type ClusterStateView } from "../model/cluster-state.ts";
import { keyOf } from "../model/objects.ts";
import { type Problem, problem } from "../model/problems.ts";
import { AccessLog } from "../proxy/access-log/access-log.ts";
import type { AccessLogSettings } from "../proxy/access-log/access-log-settings.ts";
import { isExchange } from "../proxy/access-log/call-fields.ts";
import { MeshProxy, type MeshProxyOptions } from "../proxy/entrypoint/mesh-proxy.ts";
import { standingMetrics, trafficMetrics } from "../proxy/traffic/traffic-metrics.ts";
import { OwnDataPlane } from "../proxy-daemon/data-plane.ts";
import { tapRoute } from "../proxy-daemon/tap-route.ts";
import { expose, type Metric } from "../telemetry/exposition.ts";
import type { Log } from "../telemetry/log.ts";
import { buildInfo, ProcessMeter, processMetrics } from "../telemetry/process-metrics.ts";
import { buildTopology } from "../topology/build-topology.ts";
import { type MeshNow, topologyRoute } from "../topology-view/topology-route.ts";
import { configurationRoute } from "../traefik/configuration-route.ts";
import { AssignedNumbers } from "../traefik/entrypoint-numbers.ts";
import { nodeData } from "../traefik/node-data.ts";
import { bindCause } from "./bind-cause.ts";
import { ClusterZone } from "./cluster-zone.ts";
import { compileMesh, MESH_DOMAINS } from "./compile-mesh.ts";
import type { CallTarget } from "./example-calls.ts";
import { backingPods } from "./image-problems.ts";
import { plainForwarding } from "./plain-forwarding.ts";
import type { ReadyLine, ReadyPort, ReadyService } from "./ready-line.ts";
import { SampleSet, type Substitute, sampleSockets } from "./sample-set.ts";
import { SocksServer } from "./socks/socks-server.ts";
import { WayLog } from "./way-log.ts";

export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

export interface LoopbackOptions {
  /** Of the program. */
  readonly version: string;
  readonly accessControl: AccessMode;
  readonly defaultTrafficType: TrafficType;
  readonly addresses: LoopbackAddresses;
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
  /** Of what was found wrong with objects, what is wrong with those that the user wrote, and where. */
  readonly locate?: (problems: readonly Problem[]) => readonly LocatedProblem[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** How long calls under way may take when a sample or the whole cluster ends. */
const DRAIN_MS = 5_000;
/** For files, the runtime, and some calls at a time. */
const SPARE_DESCRIPTORS = 100;
/** Of the one proxy that there is. */
const PROXY_NAME = "tulle-local";
/** Aliases of aliases. */
const MAX_ALIASES = 8;

export class LoopbackCluster {
  readonly #options: LoopbackOptions;
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
  #state: ClusterStateView | undefined;
  #updates = 0;
  #snapshot: Snapshot = seal(emptyMeshConfig());
  #located: readonly LocatedProblem[] = [];
  #problems: readonly Problem[] = [];
  #where = { dns: "", socks: "", admin: "" };
  #ready = false;
  #closed = false;
  #opening: Promise<void> = Promise.resolve();
  readonly #history = new ConfigHistory();
  readonly #numbers = new AssignedNumbers();
  readonly #process = new ProcessMeter();

  constructor(options: LoopbackOptions) {
    const { clock, random, log } = options;
    this.#options = options;
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
      callers: () => [...(this.#state?.list("Pod") ?? [])].map(({ meta }) => `${meta.namespace}.${meta.name}`),
      resolve: (name, namespace) => this.#resolveFor(name, namespace),
      mapPort: (address, port) => this.boundPort(address, port),
      log,
      clock,
    });
    this.#admin = new AdminServer(this.#routes(), "everywhere");
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
    return this.#snapshot;
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
      const found = nowhere([tooMany]);
      this.#say([...known, ...found]);
      return found;
    }
    const stopGone = await this.#samples.update(state.list("Pod"), backingPods(state));
    const snapshot = seal(this.#substituted(config));
    const unchanged = snapshot.version === this.#snapshot.version;
    // The source goes on writing into its own.
    this.#state = ClusterState.copyOf(state);
    this.#updates++;
    this.#snapshot = unchanged ? this.#snapshot : snapshot;
    if (!unchanged) this.#plane.forgetAudited();
    await Promise.all([
      unchanged ? undefined : this.#proxy.apply(snapshot.config),
      this.#plain.apply(this.#substituted(plain)),
    ]);
    this.#history.note(this.#snapshot, this.#options.clock.wall());
    this.#meshZone.update(config);
    this.#clusterZone.update(state);
    await stopGone();
    const { locate = nowhere } = this.#options;
    const found = locate([...problems, ...this.#samples.problems]);
    this.#say([...known, ...found]);
    this.#ready = true;
    return found;
  }

  #say(located: readonly LocatedProblem[]): void {
    this.#located = located;
    this.#problems = located.map(({ problem: each }) => each);
  }

  readyLine(): ReadyLine {
    const state = this.#state;
    const pods = state === undefined ? [] : [...state.list("Pod")];
    return {
      ready: true,
      dns: this.#where.dns,
      socks: this.#where.socks,
      admin: `http://${this.#where.admin}`,
      pods: pods
        .filter((pod) => pod.ips.length > 0)
        .map(({ meta, ips, serviceAccount }) => ({
          namespace: meta.namespace,
          name: meta.name,
          ip: ips[0] as string,
          serviceAccount,
        }))
        .sort((a, b) => compare(keyOf(a), keyOf(b))),
      services: this.#services(),
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
      podAddress: (namespace, name) => this.#state?.get("Pod", `${namespace}/${name}`)?.ips[0],
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

  #routes(): AdminRoutes {
    const notReady = () => (this.#ready ? "" : "no configuration is in force yet");
    const nodes = () => [{ Name: PROXY_NAME, IP: "127.0.0.1", Ready: this.#ready, version: this.#snapshot.version }];
    return {
      ...dashboardRoutes(),
      ...topologyRoute(() => this.#meshNow()),
      "/api/config": {
        says: "the configuration in force (MeshConfig) and its version",
        answer: (_, { ifNoneMatch }) => versionedJson(this.#snapshot.version, ifNoneMatch, () => this.#snapshot),
      },
      "/api/service-ports": {
        says: "keys of the service ports that the mesh serves",
        answer: () => compactJson(Object.keys(this.#snapshot.config.servicePorts)),
      },
      "/api/callers": {
        says: "Pods that the mesh knows as callers",
        answer: () => compactJson(callersOf(this.#snapshot.config)),
      },
      "/api/traffic": {
        says: "what has passed since the start, by caller, service port and backend (TrafficReport)",
        answer: () => compactJson(this.#plane.trafficNow()),
      },
      "/api/history": {
        says: "the configurations that were in force, and what changed from each to the next",
        answer: () => json(this.#history.entries()),
      },
      ...configurationRoute(() => {
        const state = this.#state;
        if (state === undefined) return undefined;
        const service = (key: string) => state.get("Service", key);
        const { config } = this.#snapshot;
        return { config, service, numbers: this.#numbers.of(service), serial: this.#updates };
      }),
      ...explainRoute(() => this.#explained()),
      ...tapRoute(this.#plane, this.#options.clock),
      "/api/problems": { says: "what is wrong with which object", answer: () => json(this.#located.map(withPlace)) },
      "/api/status/nodes": { says: "the proxies and what they run", answer: () => json(nodes()) },
      "/api/status/node/{pod}/configuration": {
        says: "what that proxy has in force",
        answer: ([pod]) => (pod === PROXY_NAME ? this.#inForce() : text(`there is no proxy ${pod}\n`, 404)),
      },
      "/api/status/readiness": {
        says: "200 and true when a configuration is in force",
        answer: () => (this.#ready ? json(true) : text("", 500)),
      },
      ...healthRoutes(notReady),
      "/metrics": {
        says: "counters for Prometheus",
        answer: (_, { accept }) => expose(this.#metrics(), accept),
      },
    };
  }

  #inForce(): Answer {
    const service = (key: string) => this.#state?.get("Service", key);
    return compactJson(nodeData(this.#snapshot, service, this.#numbers.of(service)));
  }

  #meshNow(): MeshNow | undefined {
    const state = this.#state;
    if (state === undefined) return undefined;
    const { config } = this.#snapshot;
    return {
      // Some of what is told is in no configuration.
      stamp: this.#updates,
      problems: this.#problems,
      told: () => ({ state, config, topology: buildTopology(state) }),
    };
  }

  #explained(): ExplainedMesh | undefined {
    const state = this.#state;
    if (state === undefined) return undefined;
    const { accessControl: enforced } = this.#options;
    // Rules are in a configuration only where they may be asked.
    const { config, problems } = compileMesh(state, { ...this.#options, accessControl: "on" });
    return { state, config, enforced, problems };
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

  #services(): ReadyService[] {
    const { names, meshDomains, servicePorts, entrypoints } = this.#snapshot.config;
    const status = this.#proxy.status();
    const ports = new Map<string, ReadyPort[]>();
    for (const [key, entrypoint] of Object.entries(entrypoints)) {
      const { namespace, service, trafficType } = servicePorts[
        entrypoint.servicePort
      ] as MeshConfig["servicePorts"][string];
      const bound = status.get(key)?.boundPort;
      const list = ports.get(`${namespace}/${service}`) ?? [];
      ports.set(`${namespace}/${service}`, list);
      list.push({
        port: entrypoint.port,
        protocol: entrypoint.transport === "udp" ? "UDP" : "TCP",
        trafficType,
        ...(bound === undefined || bound === entrypoint.port ? {} : { boundPort: bound }),
      });
    }
    return Object.keys(names)
      .sort(compare)
      .map((key) => {
        const [namespace = "", name = ""] = key.split("/");
        return {
          namespace,
          name,
          clusterIP: this.#state?.get("Service", key)?.clusterIPs[0] ?? "None",
          meshIP: names[key]?.[0] ?? "",
          ports: (ports.get(key) ?? []).sort((a, b) => a.port - b.port),
          hosts: meshDomains.map((domain) => `${name}.${namespace}.${domain}`),
        };
      });
  }

  /** Endpoints of samples that could not have their port are dialled where they are. */
  #substituted(config: MeshConfig): MeshConfig {
    const { substitutes } = this.#samples;
    if (substitutes.size === 0) return config;
    const servicePorts: MeshConfig["servicePorts"] = {};
    for (const [key, servicePort] of Object.entries(config.servicePorts)) {
      const endpoints: typeof servicePort.endpoints = {};
      for (const [address, endpoint] of Object.entries(servicePort.endpoints)) {
        const dialPort = substitutes.get(address)?.boundPort;
        endpoints[address] = dialPort === undefined ? endpoint : { ...endpoint, dialPort };
      }
      servicePorts[key] = { ...servicePort, endpoints };
    }
    return { ...config, servicePorts };
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
    return split < 0 ? undefined : this.#state?.get("Pod", `${user.slice(0, split)}/${user.slice(split + 1)}`)?.ips[0];
  }

  /** As a Pod's resolver does with ndots:5 and the usual search domains. */
  async #resolveFor(name: string, namespace: string | undefined): Promise<string[]> {
    const absolute = name.endsWith(".");
    const plain = (absolute ? name.slice(0, -1) : name).toLowerCase();
    const search = absolute ? [] : searchDomains(namespace).map((domain) => `${plain}.${domain}`);
    for (const candidate of [...search, plain]) {
      const addresses = this.#addressesOf(candidate);
      if (addresses.length > 0) return addresses;
    }
    return [];
  }

  /** Follows an alias within our zones; one that leads out of them is nothing that a mesh on one machine can call. */
  #addressesOf(name: string): string[] {
    let at = name;
    for (let alias = 0; alias < MAX_ALIASES; alias++) {
      const found = [this.#meshZone, this.#clusterZone]
        .map((zone) => zone.find(at))
        .find(({ kind }) => kind !== "none");
      if (found?.kind === "addresses") return [...found.addresses];
      if (found?.kind !== "alias") return [];
      at = found.target.toLowerCase().replace(/\.$/, "");
    }
    return [];
  }
}

const nowhere = (problems: readonly Problem[]): LocatedProblem[] =>
  problems.map((each) => ({ problem: each, file: "", line: 0 }));

/** As `/api/problems` has it. */
function withPlace({ problem: found, file, line }: LocatedProblem): Problem & { file?: string; line?: number } {
  return file === "" ? found : { ...found, file, line };
}

function searchDomains(namespace: string | undefined): readonly string[] {
  const common = ["svc.cluster.local", "cluster.local"];
  return namespace === undefined ? common : [`${namespace}.svc.cluster.local`, ...common];
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
