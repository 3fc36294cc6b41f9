/**
 * A controller: the cluster's objects in, configurations for the proxies out. Every replica compiles and serves; the
 * one that leads also writes: shadow services, Events, and what DNS needs.
 */
import { type AdminRoutes, AdminServer, healthRoutes } from "../admin/admin-server.ts";
import { answererOf } from "../admin/answer-in-pieces.ts";
import { ConfigHistory } from "../config/config-history.ts";
import { LiveSnapshot } from "../config/snapshot.ts";
import type { AnswerReader } from "../config-stream/ask-channel.ts";
import { ConfigServer } from "../config-stream/config-server.ts";
import type { ObservedDns } from "../coredns/dns-provider.ts";
import type { Api } from "../kube/api-client.ts";
import { KubeSource } from "../kube/kube-source.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { ClusterDelta } from "../model/cluster-state.ts";
import { KINDS, type ObjectRef, refOf } from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";
import { DurationHistogram } from "../telemetry/duration-histogram.ts";
import type { Metric } from "../telemetry/exposition.ts";
import type { Log } from "../telemetry/log.ts";
import { buildInfo, ProcessMeter, processMetrics } from "../telemetry/process-metrics.ts";
import { placeOf } from "./api-places.ts";
import { ClusterCompiler } from "./cluster-compiler.ts";
import type { ClusterMeshOptions } from "./compile-cluster.ts";
import { controllerMetrics } from "./controller-metrics.ts";
import { controllerRoutes } from "./controller-routes.ts";
import type { DnsMode } from "./dns-change.ts";
import { DnsKeeper, type DnsKeeperOptions } from "./dns-keeper.ts";
import { DnsOwnership, type TakeOver } from "./dns-ownership.ts";
import { LeaderElection } from "./leader-election.ts";
import { LeaderWork } from "./leader-work.ts";
import { MetricsPublisher } from "./metrics-publisher.ts";
import { NodeConfigurations } from "./node-configurations.ts";
import { concernsOriginal, originalMeshesIn } from "./original-meshes.ts";
import { DNS_SERVICE, LEASE } from "./own-objects.ts";
import { ownPods } from "./own-pods.ts";
import { PeerReplicas } from "./peer-replicas.ts";
import { PortAllocator } from "./port-allocator.ts";
import { domainOf } from "./prepare-cluster.ts";
import { ProxyNodes } from "./proxy-nodes.ts";
import { ProxyRelay } from "./proxy-relay.ts";
import { ServedMesh } from "./served-mesh.ts";
import { longNamesIn, type Served, servedServices } from "./shadow-services.ts";
import { lacksForTakeOver } from "./take-over-readiness.ts";
import { TokenReviewer } from "./token-reviewer.ts";
import { TraefikEngine, type TraefikEngineOptions } from "./traefik-engine.ts";
import { isSharedPort } from "./traefik-ports.ts";

export interface MeshControllerOptions extends ClusterMeshOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Of the program. */
  readonly version: string;
  /** This replica's Pod. */
  readonly podName: string;
  /** PEM, of the config stream. */
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly address: string;
  readonly adminPort: number;
  readonly configPort: number;
  readonly healthPort: number;
  /** Where the API server finds SMI's TrafficMetrics; absent: they are not served. */
  readonly smiMetricsPort?: number;
  readonly dnsMode: DnsMode;
  /** Traefiks are the proxies; absent: Tulle's own are. */
  readonly traefik?: TraefikEngineOptions;
  /** Authority of the config stream's certificate, and this replica's own token for it, to ask other replicas with. */
  peerCredentials(): Promise<{ readonly ca: string; readonly token: string }>;
  /** The cluster's DNS domain, where it was said. */
  readonly clusterDomain?: string;
}

/** Between two compilations at least so long, and as long as the last one took: events of a burst are worked in together. */
const MIN_PAUSE_MS = 5;

export class MeshController {
  readonly #options: MeshControllerOptions;
  readonly #source: KubeSource;
  readonly #server: ConfigServer;
  readonly #relay: ProxyRelay;
  readonly #nodes: ProxyNodes;
  readonly #mesh: ServedMesh;
  readonly #traefik: TraefikEngine | undefined;
  readonly #election: LeaderElection;
  readonly #admin: AdminServer;
  readonly #health: AdminServer;
  readonly #smiMetrics: MetricsPublisher | undefined;
  readonly #stop = new AbortController();
  #ports = { admin: 0, config: 0, health: 0, smiMetrics: 0, dns: 0 };
  readonly #compiler: ClusterCompiler;
  #snapshot: LiveSnapshot | undefined;
  /** Since the last compilation. */
  #changed: ObjectRef[] = [];
  #served: ReadonlyMap<string, Served> = new Map();
  /** In the objects themselves, at the last compilation. */
  #found: readonly Problem[] = [];
  /** Those, and what this replica as the leader could not write. */
  #problems: readonly Problem[] = [];
  readonly #dns: DnsKeeper;
  readonly #leader: LeaderWork;
  #scheduled = false;
  #lastCompileMs = 0;
  readonly #compileTimes = new DurationHistogram();
  readonly #history = new ConfigHistory();
  readonly #process = new ProcessMeter();
  #compiles = 0;
  #runs: Promise<unknown> = Promise.resolve();

  constructor(options: MeshControllerOptions) {
    const { api, clock, random, log, namespace, podName, certificate } = options;
    this.#options = options;
    const { signal } = this.#stop;
    const { traefik } = options;
    if (traefik !== undefined)
      this.#traefik = new TraefikEngine({
        ...options,
        ...traefik,
        mesh: () => this.#snapshot && { config: this.#snapshot.config, state: this.#source.state },
        onProblems: () => this.#report(),
      });
    this.#compiler = new ClusterCompiler(options, traefik === undefined ? undefined : isSharedPort);
    this.#source = new KubeSource({
      api,
      clock,
      random,
      log,
      signal,
      onChange: (delta) => this.#note(delta),
      onStale: (stale) => this.#setStale(stale),
    });
    const reviewer = new TokenReviewer({
      api,
      clock,
      namespace,
      nodeOf: (pod) => this.#source.state.get("Pod", `${namespace}/${pod}`)?.nodeName,
    });
    const authenticate = (token: string) => reviewer.identify(token);
    this.#server = new ConfigServer({
      ...certificate,
      clock,
      log,
      authenticate,
      answerer: (path, output) => answerPeers(path, output),
    });
    const { state } = this.#source;
    this.#mesh = new ServedMesh(options, state, () => {
      const config = this.#snapshot?.config;
      return config && { config, problems: this.#problems, serial: this.#compiles };
    });
    const peers = new PeerReplicas({ ...options, state, ports: () => this.#ports });
    const proxies = () => ownPods(state, namespace, "proxy");
    const others = {
      server: this.#server,
      clock,
      peers: () => peers.count,
      askPeers: (path: string, reader: () => AnswerReader, at?: string) => peers.ask(path, reader, at),
    };
    this.#relay = new ProxyRelay({ ...others, unasked: () => (this.#traefik === undefined ? 0 : proxies().length) });
    const nodeConfigurations = new NodeConfigurations({
      ...others,
      peerStreams: () => peers.streams(),
      isProxy: (pod) => proxies().some(({ meta }) => meta.name === pod),
    });
    this.#nodes = new ProxyNodes({
      state,
      namespace,
      server: this.#server,
      peers,
      nodeConfigurations,
      traefik: this.#traefik,
      version: () => this.#snapshot?.version,
    });
    const answerPeers = answererOf({ ...this.#relay.peerRoutes(), ...nodeConfigurations.peerRoutes() });
    const recentTraffic = () => this.#relay.recentTraffic();
    if (options.smiMetricsPort !== undefined)
      this.#smiMetrics = new MetricsPublisher({ ...options, signal, state, recentTraffic });
    this.#election = new LeaderElection({
      api,
      namespace,
      lease: LEASE,
      identity: podName,
      clock,
      random,
      log,
      signal,
      onLead: (leading) => this.#leader.lead(leading),
    });
    this.#dns = new DnsKeeper({
      api,
      clock,
      log,
      mode: options.dnsMode,
      ownership: new DnsOwnership({
        namespace,
        meshDomains: options.meshDomains,
        clock,
        originals: () => originalMeshesIn(this.#source.state),
        lacks: (from, asked) => this.#lacksForTakeOver(from, asked),
      }),
      wanted: (observed) => this.#wantedOfDns(observed),
    });
    this.#leader = new LeaderWork({
      ...options,
      dns: this.#dns,
      locate: (ref) => placeOf(ref, (kind) => this.#source.servedVersion(kind)),
      newPorts: () => this.#traefik?.newPorts() ?? new PortAllocator({ clock }),
      onBegin: () => {
        if (this.#source.synced) this.#schedule();
      },
      onProblems: () => this.#report(),
    });
    const health = healthRoutes(() => this.#notReady());
    this.#health = new AdminServer(health);
    this.#admin = new AdminServer({ ...this.#routes(), ...health });
  }

  async start(): Promise<void> {
    const { address, adminPort, configPort, healthPort, smiMetricsPort = 0 } = this.#options;
    this.#ports = {
      admin: (await this.#admin.listen(address, adminPort)).port,
      health: (await this.#health.listen(address, healthPort)).port,
      config: await this.#server.listen(address, configPort),
      smiMetrics: (await this.#smiMetrics?.start(address, smiMetricsPort)) ?? 0,
      dns: (await this.#traefik?.start()) ?? 0,
    };
    this.#runs = Promise.all([this.#source.run(), this.#election.run()]);
  }

  /** Where it listens. */
  get ports(): {
    readonly admin: number;
    readonly config: number;
    readonly health: number;
    /** 0 where they are not served. */
    readonly smiMetrics: number;
    /** 0 where the proxies answer for the mesh domains. */
    readonly dns: number;
  } {
    return this.#ports;
  }

  /** A renewed certificate of the config stream, and of TrafficMetrics. */
  setCertificate(cert: string, key: string): void {
    this.#server.setCertificate(cert, key);
    this.#smiMetrics?.setCertificate(cert, key);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#runs;
    await this.#server.close();
    await Promise.all([this.#admin.close(), this.#health.close(), this.#smiMetrics?.close(), this.#traefik?.close()]);
    this.#process.close();
  }

  #note({ put, remove }: ClusterDelta): void {
    for (const object of put) this.#changed.push(refOf(object));
    this.#changed.push(...remove);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const pause = this.#compiles === 0 ? 0 : Math.max(MIN_PAUSE_MS, this.#lastCompileMs);
    this.#options.clock.after(pause, () => {
      this.#scheduled = false;
      if (!this.#stop.signal.aborted) this.#update();
    });
  }

  /** Another replica may see the cluster: the proxies had better follow that. */
  #setStale(stale: boolean): void {
    const { log } = this.#options;
    if (stale) log.warn("nothing is heard of the cluster's objects: proxies are sent to another replica");
    else log.info("the cluster's objects are watched again");
    this.#server.suspend(stale ? "this controller hears nothing of the cluster's objects" : "");
  }

  /** From the objects to what the proxies get, and what must be written for it. */
  #update(): void {
    const { clock, log } = this.#options;
    const { state } = this.#source;
    const startedAt = clock.now();
    const changed = this.#changed;
    this.#changed = [];
    const { config, problems, changes } = this.#compiler.update(state, changed);
    this.#traefik?.update(config, this.#snapshot === undefined ? undefined : changes);
    if (this.#snapshot === undefined) {
      this.#snapshot = new LiveSnapshot(config);
      this.#server.publish(this.#snapshot);
      this.#history.note(this.#snapshot, clock.wall());
    } else {
      this.#snapshot.noteChanges(changes);
      this.#history.noteChanges(this.#snapshot, changes, clock.wall());
      this.#server.publish(this.#snapshot, changes);
    }
    // What is served, and its shadows, hang on Services alone.
    if (changed.some(({ kind }) => kind === "Service")) this.#served = servedServices(config, state);
    this.#leader.update(state, this.#served);
    const { namespace } = this.#options;
    if (changed.some((ref) => concernsOriginal(ref) || (ref.name === DNS_SERVICE && ref.namespace === namespace)))
      this.#dns.hurry();
    this.#found = [...this.#source.problems, ...problems];
    this.#report();
    this.#lastCompileMs = clock.now() - startedAt;
    this.#compileTimes.note(this.#lastCompileMs);
    if (this.#compiles++ === 0)
      log.info("the first configuration is compiled", {
        services: this.#served.size,
        version: this.#snapshot.version,
        ms: Math.round(this.#lastCompileMs),
      });
  }

  #report(): void {
    this.#problems = [...this.#found, ...(this.#traefik?.problems ?? []), ...this.#leader.problems];
    this.#leader.tell(this.#problems);
  }

  /** Undefined until the objects have been read: what is not known yet must not be written into DNS. */
  #wantedOfDns(observed: ObservedDns): ReturnType<DnsKeeperOptions["wanted"]> {
    const { namespace, meshDomains } = this.#options;
    const { state, synced } = this.#source;
    if (!synced) return undefined;
    return {
      meshNamespace: namespace,
      meshDomains,
      clusterDomain: this.#options.clusterDomain ?? domainOf(observed),
      dnsServiceIPs: state.get("Service", `${namespace}/${DNS_SERVICE}`)?.clusterIPs ?? [],
      longNames: longNamesIn(state, namespace),
    };
  }

  async #lacksForTakeOver(from: string, asked: TakeOver): Promise<string[]> {
    const notReady = this.#notReady();
    if (notReady !== "") return [notReady];
    const { state } = this.#source;
    const served = [...this.#served.keys()];
    const view = { state, namespace: this.#options.namespace, served, originals: originalMeshesIn(state) };
    return lacksForTakeOver({ ...view, proxies: await this.#nodes.readiness() }, from, asked);
  }

  #notReady(): string {
    if (this.#stop.signal.aborted) return "it is stopping";
    if (this.#snapshot !== undefined && !this.#source.stale) return "";
    const [first] = this.#source.troubles;
    return first === undefined
      ? "the cluster's objects are being read"
      : `the cluster's objects cannot be read: ${first}`;
  }

  #routes(): AdminRoutes {
    return controllerRoutes({
      snapshot: () => this.#snapshot,
      problems: () => this.#problems,
      status: () => this.#status(),
      notReady: () => this.#notReady(),
      metrics: () => this.#metrics(),
      mesh: this.#mesh,
      nodes: this.#nodes,
      server: this.#server,
      relay: this.#relay,
      history: this.#history,
      traefik: this.#traefik,
    });
  }

  #status(): object {
    return {
      name: this.#options.podName,
      program: this.#options.version,
      version: this.#snapshot?.version ?? "",
      leader: this.#election.holder,
      leads: this.#election.leads,
      services: this.#served.size,
      pendingShadows: this.#leader.pendingShadows,
      allottedPorts: this.#leader.allottedPorts,
      problems: this.#problems.length,
      troubles: this.#source.troubles,
      dns: this.#dns.status,
    };
  }

  #metrics(): Metric[] {
    const { clock, version } = this.#options;
    const { synced, stale, troubles, state } = this.#source;
    const figures = controllerMetrics({
      leads: this.#election.leads,
      synced,
      stale,
      troubles: troubles.length,
      services: this.#served.size,
      objects: Object.fromEntries(KINDS.map((kind) => [kind, [...state.list(kind)].length])),
      problems: this.#problems,
      compileTimes: this.#compileTimes,
      version: this.#snapshot?.version ?? "",
      proxies: this.#server.status(),
      dnsInForce: this.#dns.status.inForce || this.#dns.standsBy,
      dnsRepairs: this.#dns.repairs,
      eventsWritten: this.#leader.eventsWritten,
    });
    const own = processMetrics(this.#process.figures(clock.wall()));
    return [buildInfo(version), ...figures, ...own];
  }
}
