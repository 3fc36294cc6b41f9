/**
 * Stock Traefiks as the proxies (decision 16): what a controller does for them that Tulle's own proxies do themselves or
 * are told over the config stream. They poll their configuration; names are answered here, where the cluster's DNS
 * cannot rewrite them.
 */
import type { AdminRoutes, Answer } from "../admin/admin-server.ts";
import type { Change } from "../config/changes.ts";
import type { MeshConfig } from "../config/mesh-config.ts";
import { DnsServer } from "../dns/dns-server.ts";
import { MeshZone } from "../dns/mesh-zone.ts";
import type { Clock } from "../model/clock.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { Pod } from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";
import type { Log } from "../telemetry/log.ts";
import type { EntrypointNumbers } from "../traefik/entrypoint-numbers.ts";
import { type Translated, toTraefik } from "../traefik/to-traefik.ts";
import { TraefikFeed } from "./traefik-feed.ts";
import { hasEntrypoint, type TraefikLimits, TraefikPorts } from "./traefik-ports.ts";
import { type TraefikStanding, traefikConfiguration, traefikStanding } from "./traefik-proxies.ts";

export interface TraefikEngineOptions {
  readonly limits: TraefikLimits;
  readonly dnsPort: number;
}

interface Surroundings {
  readonly clock: Clock;
  readonly log: Log;
  readonly address: string;
  /** What is to be in force now; undefined before everything was read once. */
  mesh(): { readonly config: MeshConfig; readonly state: ClusterStateView } | undefined;
  /** `problems` is another list. */
  onProblems(): void;
}

export class TraefikEngine {
  readonly #options: TraefikEngineOptions & Surroundings;
  readonly #feed: TraefikFeed;
  readonly #zone = new MeshZone([]);
  readonly #dns: DnsServer;

  constructor(options: TraefikEngineOptions & Surroundings) {
    const { clock, log, onProblems } = options;
    this.#options = options;
    this.#feed = new TraefikFeed({ clock, translate: () => this.#translate(), onProblems });
    this.#dns = new DnsServer({ zones: [this.#zone], clock, log });
  }

  /** @returns the port where it answers for the mesh domains */
  async start(): Promise<number> {
    const { address, dnsPort } = this.#options;
    return (await this.#dns.listen(address, dnsPort)).port;
  }

  close(): Promise<void> {
    this.#feed.close();
    return this.#dns.close();
  }

  /** Empty as yet. */
  newPorts(): TraefikPorts {
    return new TraefikPorts(this.#options);
  }

  /** @param changes absent: all of it is new */
  update(config: MeshConfig, changes?: readonly Change[]): void {
    this.#zone.update(config, changes);
    this.#feed.changed();
  }

  get problems(): readonly Problem[] {
    return this.#feed.problems;
  }

  routes(): AdminRoutes {
    return this.#feed.routes();
  }

  standing(pods: readonly Pod[]): Promise<TraefikStanding[]> {
    const { version } = this.#feed;
    return Promise.all(pods.map((pod) => traefikStanding(pod, version)));
  }

  configurationOf(pod: Pod | undefined): Promise<Answer> | undefined {
    return pod === undefined ? undefined : traefikConfiguration(pod);
  }

  #translate(): Translated | undefined {
    const mesh = this.#options.mesh();
    if (mesh === undefined) return undefined;
    const { config, state } = mesh;
    const service = (key: string) => state.get("Service", key);
    const { configuration, problems } = toTraefik({ config, service, numbers: this.#numbers(config) });
    // Which port has no entry point, and why, is known by who allots them.
    return { configuration, problems: problems.filter(({ code }) => code !== "TraefikPortMissing") };
  }

  /** As the shadow services lead. One that was made for other proxies, or other limits, leads nowhere until it is rewritten. */
  #numbers({ entrypoints }: MeshConfig): EntrypointNumbers {
    const ports = new Map(Object.values(entrypoints).map(({ servicePort, port }) => [servicePort, port] as const));
    return (key, { trafficType }) => {
      const port = ports.get(key);
      return port !== undefined && hasEntrypoint(this.#options.limits, trafficType, port) ? port : undefined;
    };
  }
}
