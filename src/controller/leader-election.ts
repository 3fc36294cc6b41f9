/**
 * Which of the replicas leads, by a Lease (coordination.k8s.io/v1). Times written by others are never compared with the
 * own clock: a lease is over when it was seen not to change for its whole length.
 */
import { type Api, MERGE_PATCH } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import type { Clock, Random, Timer } from "../model/clock.ts";
import { pause } from "../model/pause.ts";
import type { Log } from "../telemetry/log.ts";

export interface LeaderElectionOptions {
  readonly api: Api;
  readonly namespace: string;
  readonly lease: string;
  /** This replica: its Pod's name. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** It leads until the signal aborts, and must not write after that. Awaited before the lease is given up. */
  onLead(signal: AbortSignal): Promise<void>;
}

interface Lease {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseTransitions?: number;
    readonly leaseDurationSeconds?: number;
  };
}

const LEASE_SECONDS = 15;
const RENEW_MS = 4_000;
/** A leader that could not renew for so long, whatever it waits for, stops before others may start. */
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2_000;

export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #path: string;
  #seen = { version: "", at: 0 };
  #holder = "";

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  }

  /** Who leads, as far as this replica has seen. */
  get holder(): string {
    return this.#holder;
  }

  get leads(): boolean {
    return this.#holder === this.#options.identity;
  }

  /** Runs until the signal aborts; then the lease is given up. Never throws. */
  async run(): Promise<void> {
    const { clock, signal, log, random } = this.#options;
    let said = "";
    while (!signal.aborted) {
      try {
        const acquiredAt = await this.#acquire();
        if (acquiredAt !== undefined) await this.#lead(acquiredAt);
        said = "";
      } catch (error) {
        const { message } = error as Error;
        if (said !== message) log.warn("leader election", { error: message });
        said = message;
      }
      await pause(clock, RETRY_MS * (0.75 + random() / 2), signal);
    }
  }

  /** @returns when it was asked for; undefined where another holds it */
  async #acquire(): Promise<number | undefined> {
    const { api, identity, lease, namespace, clock, signal } = this.#options;
    let current: Lease;
    try {
      current = await this.#read(signal);
    } catch (error) {
      if (!isApiError(error, 404)) throw error;
      const body = {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: lease, namespace },
        spec: this.#spec(0, true),
      };
      const askedAt = clock.now();
      await api.request("POST", this.#path, { body, timeoutMs: RETRY_MS });
      this.#holder = identity;
      return askedAt;
    }
    const { holderIdentity = "", leaseTransitions = 0, leaseDurationSeconds = LEASE_SECONDS } = current.spec ?? {};
    this.#holder = holderIdentity;
    const version = current.metadata.resourceVersion;
    if (version !== this.#seen.version) this.#seen = { version, at: clock.now() };
    const over = clock.now() - this.#seen.at >= leaseDurationSeconds * 1000;
    if (holderIdentity !== "" && holderIdentity !== identity && !over) return undefined;
    const askedAt = clock.now();
    try {
      // With the version that was read: of two that try, one gets a conflict.
      await this.#patch(this.#spec(leaseTransitions + 1, true), version);
    } catch (error) {
      if (isApiError(error, 409)) return undefined;
      throw error;
    }
    this.#holder = identity;
    return askedAt;
  }

  async #lead(acquiredAt: number): Promise<void> {
    const { signal, log, identity } = this.#options;
    log.info("this replica leads", { identity });
    const over = new AbortController();
    const leading = AbortSignal.any([signal, over.signal]);
    const work = this.#options
      .onLead(leading)
      .catch((error: Error) => log.error("leading ended", { error: error.message }));
    await this.#keep(acquiredAt, over, leading);
    over.abort();
    this.#holder = "";
    await work;
    if (signal.aborted) await this.#giveUp();
    else log.warn("this replica no longer leads", { identity });
  }

  /** Renews the lease until another holds it, it could not be renewed in time, which ends `over`, or it is to stop. */
  async #keep(acquiredAt: number, over: AbortController, leading: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    let deadline: Timer | undefined;
    // The others count from when they saw it: that is not before it was asked for.
    const held = (sinceMs: number) => {
      deadline?.cancel();
      deadline = clock.after(sinceMs + RENEW_DEADLINE_MS - clock.now(), () => over.abort());
    };
    held(acquiredAt);
    let pauseMs = RENEW_MS;
    while (!leading.aborted) {
      await pause(clock, pauseMs, leading);
      if (leading.aborted) break;
      const askedAt = clock.now();
      try {
        if (!(await this.#renew(over.signal))) break;
        held(askedAt);
        pauseMs = RENEW_MS;
      } catch (error) {
        log.warn("the lease could not be renewed", { error: (error as Error).message });
        pauseMs = RETRY_MS;
      }
    }
    deadline?.cancel();
  }

  /** @returns false where another holds it */
  async #renew(signal: AbortSignal): Promise<boolean> {
    const current = await this.#read(signal);
    if (current.spec?.holderIdentity !== this.#options.identity) return false;
    await this.#patch(this.#spec(undefined, false), current.metadata.resourceVersion, signal);
    return true;
  }

  /** Not where another has taken it, or takes it meanwhile. */
  async #giveUp(): Promise<void> {
    try {
      const current = await this.#read();
      if (current.spec?.holderIdentity !== this.#options.identity) return;
      await this.#patch({ holderIdentity: "" }, current.metadata.resourceVersion);
    } catch (error) {
      this.#options.log.warn("the lease could not be given up; it ends by itself", { error: (error as Error).message });
    }
  }

  #read(signal?: AbortSignal): Promise<Lease> {
    const { api, lease } = this.#options;
    return api.request("GET", `${this.#path}/${lease}`, {
      timeoutMs: RETRY_MS,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** @param resourceVersion that was read: where somebody wrote since, it is a conflict */
  async #patch(spec: object, resourceVersion: string, signal?: AbortSignal): Promise<void> {
    const { api, lease } = this.#options;
    await api.request("PATCH", `${this.#path}/${lease}`, {
      body: { metadata: { resourceVersion }, spec },
      contentType: MERGE_PATCH,
      timeoutMs: RETRY_MS,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  #spec(transitions: number | undefined, acquired: boolean): object {
    // MicroTime has six digits.
    const now = new Date(this.#options.clock.wall()).toISOString().replace("Z", "000Z");
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: LEASE_SECONDS,
      renewTime: now,
      ...(acquired ? { acquireTime: now } : {}),
      ...(transitions === undefined ? {} : { leaseTransitions: transitions }),
    };
  }
}
