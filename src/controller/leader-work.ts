/** What the one replica that leads writes into the cluster: shadow services, Events, and what cluster DNS needs. */
import { type Api, endingWith } from "../kube/api-client.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { Problem } from "../model/problems.ts";
import type { Log } from "../telemetry/log.ts";
import type { DnsKeeper } from "./dns-keeper.ts";
import { EventRecorder, type EventRecorderOptions } from "./event-recorder.ts";
import type { ProxyPorts } from "./port-allocator.ts";
import { ShadowKeeper } from "./shadow-keeper.ts";
import type { Served } from "./shadow-services.ts";

export interface LeaderWorkOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The mesh's. */
  readonly namespace: string;
  readonly podName: string;
  readonly dns: Pick<DnsKeeper, "run">;
  readonly locate: EventRecorderOptions["locate"];
  /** Empty ones, for a time of leading. */
  newPorts(): ProxyPorts;
  /** A time of leading has begun. */
  onBegin(): void;
  /** `problems` has become another, but by an update. */
  onProblems(): void;
}

export class LeaderWork {
  readonly #options: LeaderWorkOptions;
  #keeper: ShadowKeeper | undefined;
  #recorder: EventRecorder | undefined;
  /** What the keeper was told last. */
  #told: ReadonlyMap<string, Served> | undefined;
  #eventsWritten = 0;

  constructor(options: LeaderWorkOptions) {
    this.#options = options;
  }

  /** Of what it could not write; none while another leads. */
  get problems(): readonly Problem[] {
    return this.#keeper?.problems ?? [];
  }

  get pendingShadows(): number {
    return this.#keeper?.pending ?? 0;
  }

  get allottedPorts(): number {
    return this.#keeper?.allottedPorts ?? 0;
  }

  /** Since the start. */
  get eventsWritten(): number {
    return this.#eventsWritten;
  }

  /** @param served another one whenever Services have changed */
  update(state: ClusterStateView, served: ReadonlyMap<string, Served>): void {
    if (this.#keeper === undefined || this.#told === served) return;
    this.#keeper.update(state, served);
    this.#told = served;
  }

  /** @param problems all that there are now, for Events */
  tell(problems: readonly Problem[]): void {
    this.#recorder?.update(problems);
  }

  /** Leads until the signal aborts. Resolves when nothing of it is under way any more. */
  async lead(signal: AbortSignal): Promise<void> {
    const { clock, random, log, namespace, podName, dns, locate, newPorts, onBegin, onProblems } = this.#options;
    // Whoever leads next must not meet a late write of this one.
    const api = endingWith(this.#options.api, signal);
    const keeper = new ShadowKeeper({
      api,
      clock,
      random,
      log,
      meshNamespace: namespace,
      ports: newPorts(),
      trafficDistributions: ["PreferSameNode", "PreferClose"],
      onProblems,
    });
    const recorder = new EventRecorder({
      api,
      clock,
      log,
      instance: podName,
      locate,
      onWritten: () => {
        this.#eventsWritten++;
      },
    });
    this.#keeper = keeper;
    this.#recorder = recorder;
    this.#told = undefined;
    onBegin();
    const ended = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    const running = dns.run(signal, recorder);
    if (!signal.aborted) await ended;
    this.#keeper = undefined;
    this.#recorder = undefined;
    onProblems();
    recorder.close();
    await Promise.all([keeper.close(), running]);
  }
}
