import { getJson } from "../admin/get-json.ts";
import type { ApiAccess } from "../kube/api-access.ts";
import type { ApiClient } from "../kube/api-client.ts";
import { forwardPort } from "../kube/port-forward.ts";
import { readReport } from "../traffic/report-schema.ts";
import type { TrafficLook } from "../traffic/traffic-look.ts";
import type { TrafficReport } from "../traffic/traffic-report.ts";
import { count } from "./count.ts";
import { type MeshPod, meshPods } from "./mesh-pods.ts";
import { ANSWER_MS, CALLERS, type MeshView, readLook, readNames, SERVICE_PORTS } from "./mesh-view.ts";

/** Of controllers and of proxies, on their own loopback. */
const ADMIN_PORT = 9000;

export interface ClusterViewOptions {
  readonly access: ApiAccess;
  readonly api: ApiClient;
  /** The mesh's own. */
  readonly namespace: string;
  readonly now: () => number;
  /** Ends what is being asked. */
  readonly signal: AbortSignal;
}

export class ClusterView implements MeshView {
  readonly namespace: string;
  readonly #options: ClusterViewOptions;
  /** The controller that answered last. */
  #controller = "";
  #says: string;

  constructor(options: ClusterViewOptions) {
    this.#options = options;
    this.namespace = options.namespace;
    this.#says = `namespace ${options.namespace}`;
  }

  get says(): string {
    return this.#says;
  }

  traffic(): Promise<TrafficLook> {
    const { now } = this.#options;
    return this.#fromControllers(
      async (pod) => readLook(await this.ask(pod, "/api/traffic?by=proxy"), pod, now()),
      (proxies) => this.#trafficOf(proxies),
    );
  }

  config(): Promise<unknown> {
    return this.#fromControllers(
      (pod) => this.ask(pod, "/api/config"),
      (proxies) => firstOf(proxies, (pod) => this.ask(pod, "/api/config")),
    );
  }

  servicePorts(): Promise<string[]> {
    return this.#names(SERVICE_PORTS);
  }

  callers(): Promise<string[]> {
    return this.#names(CALLERS);
  }

  /** What a Pod of the mesh says of itself. @throws Error that names the Pod */
  async ask(pod: string, path: string): Promise<unknown> {
    const { access, signal } = this.#options;
    const connect = () => forwardPort(access, { namespace: this.namespace, pod, port: ADMIN_PORT });
    const place = { host: pod, port: ADMIN_PORT, path, connect };
    return getJson(place, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]));
  }

  pods(): Promise<MeshPod[]> {
    return meshPods(this.#options.api, this.namespace, this.#options.signal);
  }

  close(): void {
    this.#options.api.close();
  }

  #names(path: string): Promise<string[]> {
    const ask = async (pod: string) => readNames(await this.ask(pod, path));
    return this.#fromControllers(ask, (proxies) => firstOf(proxies, ask));
  }

  /** The controller that answered last, or any that is ready, or the proxies. */
  async #fromControllers<T>(
    ask: (controller: string) => Promise<T>,
    otherwise: (proxies: readonly string[]) => Promise<T>,
  ): Promise<T> {
    if (this.#controller !== "") {
      const answer = await ask(this.#controller).catch(() => undefined);
      if (answer !== undefined) return answer;
      this.#controller = "";
    }
    const pods = (await this.pods()).filter(({ ending, waits }) => !ending && waits === "");
    const ready = pods.filter(({ component, ready }) => component === "controller" && ready).map(({ name }) => name);
    let why = "none is ready";
    for (const name of ready)
      try {
        const answer = await ask(name);
        this.#controller = name;
        this.#says = `namespace ${this.namespace}, by ${name}`;
        return answer;
      } catch (error) {
        why = (error as Error).message;
      }
    const proxies = pods.filter(({ component }) => component === "proxy").map(({ name }) => name);
    if (proxies.length === 0) throw new Error(`no controller answers (${why}), and no proxy runs`);
    const by = count(proxies.length, "proxy", "proxies");
    this.#says = `namespace ${this.namespace}, by ${by} (no controller answers: ${why})`;
    return otherwise(proxies);
  }

  /** Of those that answer. */
  async #trafficOf(proxies: readonly string[]): Promise<TrafficLook> {
    const atMs = this.#options.now();
    const reports = new Map<string, TrafficReport>();
    let why = "";
    const look = async (pod: string) => {
      try {
        reports.set(pod, readReport(await this.ask(pod, "/api/traffic")));
      } catch (error) {
        why = (error as Error).message;
      }
    };
    await Promise.all(proxies.map(look));
    if (reports.size === 0) throw new Error(`no proxy answers: ${why}`);
    return { atMs, reports };
  }
}

/** @throws Error of the last, where none answers */
async function firstOf<T>(names: readonly string[], ask: (name: string) => Promise<T>): Promise<T> {
  let failed: unknown;
  for (const name of names)
    try {
      return await ask(name);
    } catch (error) {
      failed = error;
    }
  throw failed;
}
