/**
 * Makes the shadow services of the cluster what they must be. Runs at the leader alone; what another leader left half
 * done, or somebody deleted or edited of what the mesh sets, is seen as a difference like any other.
 */
import { type Api, MERGE_PATCH } from "../kube/api-client.ts";
import { ApiError, isApiError } from "../kube/api-error.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { Service } from "../model/objects.ts";
import { type Problem, problem } from "../model/problems.ts";
import type { Log } from "../telemetry/log.ts";
import { SHADOW_OF } from "./own-objects.ts";
import type { ProxyPorts, Transport } from "./port-allocator.ts";
import {
  claimAll,
  desiredShadow,
  isUpToDate,
  ownerOf,
  type Served,
  type Shadow,
  selectorPatch,
  shadowObject,
  shadowSpec,
  shadowsIn,
} from "./shadow-services.ts";
import { WorkQueue } from "./work-queue.ts";

export interface ShadowKeeperOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly meshNamespace: string;
  /** Empty as yet: what is allotted, it is told from the shadow services. */
  readonly ports: ProxyPorts;
  /** Values of `spec.trafficDistribution`, the best first, that the server may know. */
  readonly trafficDistributions: readonly string[];
  /** `problems` has become another, by what the API server answered and not by an update. */
  onProblems(): void;
}

const CONCURRENCY = 8;

interface FoundService {
  readonly metadata: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly selector?: Readonly<Record<string, string>>; readonly trafficDistribution?: string };
}

/** What a shadow service never has, as a merge patch takes it off. */
const GONE = { externalName: null, externalIPs: null };

export class ShadowKeeper {
  readonly #options: ShadowKeeperOptions;
  readonly #path: string;
  readonly #allocator: ProxyPorts;
  readonly #queue: WorkQueue;
  /** Ports that a Service's shadow holds, by the Service's key: what must be given back some time. */
  readonly #held = new Map<string, Map<string, Transport>>();
  /** By the Service's key. */
  readonly #exhausted = new Map<string, Problem>();
  /** By the Service's key; it stays until the shadow could be written. */
  readonly #taken = new Map<string, Problem>();
  #distributions: readonly string[];
  #served: ReadonlyMap<string, Served> = new Map();
  #shadows: ReadonlyMap<string, Service> = new Map();
  #started = false;

  constructor(options: ShadowKeeperOptions) {
    const { clock, random, log, meshNamespace } = options;
    this.#options = options;
    this.#path = `/api/v1/namespaces/${meshNamespace}/services`;
    this.#allocator = options.ports;
    this.#distributions = options.trafficDistributions;
    this.#queue = new WorkQueue({
      clock,
      random,
      concurrency: CONCURRENCY,
      work: (key) => this.#work(key),
      onError: (key, error) =>
        log.warn("a shadow service could not be written", { service: key, error: error.message }),
    });
  }

  /** Of Services that could not be given a shadow. */
  get problems(): readonly Problem[] {
    return [...this.#exhausted.values(), ...this.#taken.values()];
  }

  /** Shadows still to be written. */
  get pending(): number {
    return this.#queue.size;
  }

  get allottedPorts(): number {
    return this.#allocator.size;
  }

  /** Looks what differs between what is and what must be, and sets about it. */
  update(state: ClusterStateView, served: ReadonlyMap<string, Served>): void {
    this.#served = served;
    this.#shadows = shadowsIn(state, this.#options.meshNamespace);
    if (!this.#started) this.#claim();
    for (const [key, each] of served) {
      const shadow = this.#desired(each);
      if (!this.#isUpToDate(this.#shadows.get(key), shadow)) this.#queue.add(key, JSON.stringify(shadow));
    }
    for (const key of this.#shadows.keys()) if (!served.has(key)) this.#queue.add(key);
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  #isUpToDate(existing: Service | undefined, shadow: Shadow): boolean {
    return existing !== undefined && isUpToDate(existing, shadow, this.#distributions[0]);
  }

  #claim(): void {
    this.#started = true;
    claimAll(this.#shadows, this.#allocator);
    for (const [key, { ports }] of this.#shadows)
      for (const { port, protocol } of ports) if (protocol !== "SCTP") this.#hold(key, ownerOf(key, port), protocol);
  }

  #desired(served: Served): Shadow {
    const { shadow, lacking } = desiredShadow(served, this.#options.meshNamespace, this.#allocator);
    const { key } = served;
    for (const { port, transport } of shadow.ports) this.#hold(key, ownerOf(key, port), transport);
    if (lacking.length === 0) this.#exhausted.delete(key);
    else this.#exhausted.set(key, portsExhausted(key, lacking));
    return shadow;
  }

  #hold(key: string, owner: string, transport: Transport): void {
    const held = this.#held.get(key) ?? new Map<string, Transport>();
    this.#held.set(key, held);
    const before = held.get(owner);
    if (before !== undefined && before !== transport) this.#allocator.release(owner, before);
    held.set(owner, transport);
  }

  async #work(key: string): Promise<void> {
    const served = this.#served.get(key);
    const existing = this.#shadows.get(key);
    if (served === undefined) {
      if (existing !== undefined) await this.#delete(existing.meta.name);
      this.#giveBack(key, new Set());
      this.#exhausted.delete(key);
      this.#setTaken(key, undefined);
      this.#held.delete(key);
      return;
    }
    const shadow = this.#desired(served);
    // The API server refuses a Service without ports, and a name that leads nowhere helps nobody.
    if (shadow.ports.length === 0) return;
    if (existing === undefined) await this.#create(shadow);
    else if (!this.#isUpToDate(existing, shadow)) await this.#patch(existing.meta.name, shadow, existing.selector);
    this.#setTaken(key, undefined);
    this.#giveBack(key, new Set(shadow.ports.map(({ port }) => ownerOf(key, port))));
  }

  #setTaken(key: string, taken: Problem | undefined): void {
    const known = this.#taken.has(key);
    if (taken === undefined) this.#taken.delete(key);
    else this.#taken.set(key, taken);
    if (known !== (taken !== undefined)) this.#options.onProblems();
  }

  /** Ports of a Service that it has no more. Only after the shadow is written: until then, calls come in on them. */
  #giveBack(key: string, kept: ReadonlySet<string>): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    for (const [owner, transport] of held) {
      if (kept.has(owner)) continue;
      held.delete(owner);
      this.#allocator.release(owner, transport);
    }
  }

  async #create(shadow: Shadow): Promise<void> {
    const { api, meshNamespace } = this.#options;
    try {
      await this.#distributed((distribution) =>
        api.request("POST", this.#path, { body: shadowObject(shadow, meshNamespace, distribution) }),
      );
    } catch (error) {
      if (!isApiError(error, 409)) throw error;
      await this.#adopt(shadow);
    }
  }

  /** One of that name is there: made a moment ago and not seen yet, or somebody's own. */
  async #adopt(shadow: Shadow): Promise<void> {
    const { api, meshNamespace } = this.#options;
    const { metadata, spec } = await api.request<FoundService>("GET", `${this.#path}/${shadow.name}`);
    const { labels = {}, annotations = {} } = metadata;
    // Somebody may have taken its labels off; then its annotation says whose it is.
    const managed = labels["app.kubernetes.io/managed-by"] === "tulle";
    const ours = managed && (labels["type"] === "shadow" || annotations[SHADOW_OF] !== undefined);
    if (!ours || (annotations[SHADOW_OF] ?? shadow.key) !== shadow.key) {
      this.#setTaken(shadow.key, nameTaken(shadow, meshNamespace));
      throw new ApiError(`Service ${meshNamespace}/${shadow.name} is not ours`, 409);
    }
    await this.#patch(shadow.name, shadow, spec?.selector);
  }

  async #patch(name: string, shadow: Shadow, selector: Service["selector"]): Promise<void> {
    const { api, meshNamespace } = this.#options;
    const { metadata } = shadowObject(shadow, meshNamespace, undefined) as { metadata: object };
    await this.#distributed((distribution) =>
      api.request("PATCH", `${this.#path}/${name}`, {
        contentType: MERGE_PATCH,
        body: { metadata, spec: { ...shadowSpec(shadow, distribution), ...GONE, selector: selectorPatch(selector) } },
      }),
    );
  }

  async #delete(name: string): Promise<void> {
    try {
      await this.#options.api.request("DELETE", `${this.#path}/${name}`);
    } catch (error) {
      if (!isApiError(error, 404)) throw error;
    }
  }

  /** Servers refuse values of trafficDistribution that they do not know, and the oldest drop the field. */
  async #distributed(write: (distribution: string | undefined) => Promise<FoundService | undefined>): Promise<void> {
    for (;;) {
      const [distribution] = this.#distributions;
      try {
        const written = await write(distribution);
        if (distribution !== undefined && written?.spec?.trafficDistribution === undefined) this.#distributions = [];
        return;
      } catch (error) {
        const refused = isApiError(error, 422) && (error as Error).message.includes("trafficDistribution");
        if (!refused || distribution === undefined) throw error;
        this.#leaveOut(distribution);
      }
    }
  }

  /** Others that were under way at the same time are refused the same value: the next best is dropped by none of them. */
  #leaveOut(distribution: string): void {
    if (!this.#distributions.includes(distribution)) return;
    this.#distributions = this.#distributions.filter((each) => each !== distribution);
    this.#options.log.info("the API server does not know this trafficDistribution", { value: distribution });
  }
}

function refOfKey(key: string) {
  const [namespace = "", name = ""] = key.split("/");
  return { kind: "Service", namespace, name };
}

function portsExhausted(key: string, ports: readonly number[]): Problem {
  return problem(
    "PortsExhausted",
    refOfKey(key),
    "spec.ports",
    `no port of the proxies is free for ${ports.join(", ")}`,
  );
}

function nameTaken({ key, name }: Shadow, meshNamespace: string): Problem {
  return problem(
    "ShadowNameTaken",
    refOfKey(key),
    "metadata.name",
    `Service ${meshNamespace}/${name} is not the mesh's`,
  );
}
