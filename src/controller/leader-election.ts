/**
 * Which of the replicas leads, by a Lease (coordination.k8s.io/v1). Times written by others are never compared with the
 * own clock: a lease is over when it was seen not to change for its whole length.
 */
import { type Api, MERGE_PATCH } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import { pause } from "../kube/reflector.ts";
import type { Clock, Random } from "../model/clock.ts";
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
  /** It leads until the signal aborts. Awaited before the lease is given up. */
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
/** A leader that could not renew for so long stops before others may start. */
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
        if (await this.#acquire()) await this.#lead();
        said = "";
      } catch (error) {
        const { message } = error as Error;
        if (said !== message) log.warn("leader election", { error: message });
        said = message;
      }
      await pause(clock, RETRY_MS * (0.75 + random() / 2), signal);
    }
  }

  async #acquire(): Promise<boolean> {
    const { api, identity, lease, clock, signal } = this.#options;
    let current: Lease;
    try {
      current = await api.request<Lease>("GET", `${this.#path}/${lease}`, { signal, timeoutMs: RETRY_MS * 2 });
    } catch (error) {
      if (!isApiError(error, 404)) throw error;
      const body = {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: lease, namespace: this.#options.namespace },
        spec: this.#spec(0, true),
      };
      await api.request("POST", this.#path, { body, signal });
      this.#holder = identity;
      return true;
    }
    const { holderIdentity = "", leaseTransitions = 0, leaseDurationSeconds = LEASE_SECONDS } = current.spec ?? {};
    this.#holder = holderIdentity;
    const version = current.metadata.resourceVersion;
    if (version !== this.#seen.version) this.#seen = { version, at: clock.now() };
    const over = clock.now() - this.#seen.at >= leaseDurationSeconds * 1000;
    if (holderIdentity !== "" && holderIdentity !== identity && !over) return false;
    try {
      // With the version that was read: of two that try, one gets a conflict.
      await this.#patch(this.#spec(leaseTransitions + 1, true), version);
    } catch (error) {
      if (isApiError(error, 409)) return false;
      throw error;
    }
    this.#holder = identity;
    return true;
  }

  async #lead(): Promise<void> {
    const { clock, signal, log, identity } = this.#options;
    log.info("this replica leads", { identity });
    const over = new AbortController();
    const work = this.#options
      .onLead(AbortSignal.any([signal, over.signal]))
      .catch((error: Error) => log.error("leading ended", { error: error.message }));
    let renewedAt = clock.now();
    while (!signal.aborted) {
      await pause(clock, RENEW_MS, signal);
      if (signal.aborted) break;
      try {
        if (!(await this.#renew())) break;
        renewedAt = clock.now();
      } catch (error) {
        log.warn("the lease could not be renewed", { error: (error as Error).message });
        if (clock.now() - renewedAt > RENEW_DEADLINE_MS) break;
      }
    }
    over.abort();
    this.#holder = "";
    await work;
    if (signal.aborted) await this.#giveUp();
    else log.warn("this replica no longer leads", { identity });
  }

  /** @returns false where another holds it */
  async #renew(): Promise<boolean> {
    const { api, lease, identity } = this.#options;
    const current = await api.request<Lease>("GET", `${this.#path}/${lease}`, { timeoutMs: RETRY_MS });
    if (current.spec?.holderIdentity !== identity) return false;
    await this.#patch(this.#spec(undefined, false), current.metadata.resourceVersion);
    return true;
  }

  async #giveUp(): Promise<void> {
    try {
      await this.#patch({ holderIdentity: "" });
    } catch (error) {
      this.#options.log.warn("the lease could not be given up; it ends by itself", { error: (error as Error).message });
    }
  }

  async #patch(spec: object, resourceVersion?: string): Promise<void> {
    const { api, lease } = this.#options;
    const metadata = resourceVersion === undefined ? {} : { metadata: { resourceVersion } };
    await api.request("PATCH", `${this.#path}/${lease}`, {
      body: { ...metadata, spec },
      contentType: MERGE_PATCH,
      timeoutMs: RETRY_MS,
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
