/**
 * Keeps the mesh domains in the cluster's DNS. The leader looks every few seconds what DNS there is and what it says of
 * the mesh domains; what is missing, or was overwritten by whoever else writes there, is put back. A change is rolled
 * out by the cluster, Pod after Pod; where the first new one does not get ready, the change is taken back and told.
 */
import { createHash } from "node:crypto";
import { planPatch } from "../coredns/dns-patch.ts";
import type { DnsPlan, ObjectChange, PatchOptions } from "../coredns/dns-plan.ts";
import type { DnsProvider, ObservedDns, WorkloadRef } from "../coredns/dns-provider.ts";
import type { Api } from "../kube/api-client.ts";
import { pause } from "../kube/reflector.ts";
import type { Clock } from "../model/clock.ts";
import type { ObjectRef } from "../model/objects.ts";
import type { Log } from "../telemetry/log.ts";
import { observeDns, restartWorkload, reversed, rolloutStatus, writeChanges } from "./dns-objects.ts";
import type { EventRecorder } from "./event-recorder.ts";

/** `manual`: nothing is touched, and the block is said for the owner to add. */
export type DnsMode = PatchOptions["mode"] | "manual";

export interface DnsKeeperOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly log: Log;
  readonly mode: DnsMode;
  /** What the plan needs to know now; undefined while that is not known. */
  wanted(observed: ObservedDns): Omit<PatchOptions, "mode"> | undefined;
}

/** What `/api/status/controller` and `tulle check` say of it. */
export interface DnsStatus {
  readonly mode: DnsMode;
  readonly provider: string;
  readonly inForce: boolean;
  readonly warnings: readonly string[];
  readonly faults: readonly string[];
  /** For an owner who makes the change with his own tools. */
  readonly byHand: string;
}

const LOOK_MS = 10_000;
/** While it is not in force, it is looked at more often. */
const HURRY_MS = 1_000;
const ROLLOUT_MS = 90_000;
const ROLLOUT_LOOK_MS = 500;
/** After a change that had to be taken back. */
const REST_MS = 10 * 60 * 1000;

export class DnsKeeper {
  readonly #options: DnsKeeperOptions;
  #status: DnsStatus;
  #hadForce = false;
  #restUntil = Number.NEGATIVE_INFINITY;
  #said = "";

  constructor(options: DnsKeeperOptions) {
    this.#options = options;
    this.#status = { mode: options.mode, provider: "", inForce: false, warnings: [], faults: [], byHand: "" };
  }

  get status(): DnsStatus {
    return this.#status;
  }

  /** Runs until the signal aborts: a duty of the leader. Never throws. */
  async run(signal: AbortSignal, recorder: Pick<EventRecorder, "record">): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      try {
        await this.look(signal, recorder);
      } catch (error) {
        this.#sayOnce(`cluster DNS could not be looked after: ${(error as Error).message}`);
      }
      await pause(clock, this.#status.inForce ? LOOK_MS : HURRY_MS, signal);
    }
  }

  /** One look, and what follows from it. @throws ApiError */
  async look(signal: AbortSignal, recorder: Pick<EventRecorder, "record">): Promise<void> {
    const { api, mode, clock } = this.#options;
    const observed = await observeDns(api);
    const wanted = this.#options.wanted(observed);
    if (wanted === undefined) return;
    const plan = planPatch(observed, { ...wanted, mode: mode === "manual" ? "forward" : mode });
    this.#note(plan);
    if (mode === "manual") {
      if (!this.#status.inForce) this.#sayOnce(`the mesh domains are not in the cluster's DNS. Add:\n${plan.byHand}`);
      return;
    }
    for (const sentence of [...plan.faults, ...plan.warnings]) this.#sayOnce(sentence);
    if (plan.changes.length === 0 || clock.now() < this.#restUntil) return;
    await this.#putInForce(observed, plan, signal, recorder);
  }

  #note(plan: DnsPlan): void {
    const { mode } = this.#options;
    const { warnings, faults, byHand } = plan;
    const inForce = plan.changes.length === 0 && faults.length === 0;
    if (inForce) this.#hadForce = true;
    this.#status = { mode, provider: nameOf(plan.provider), inForce, warnings, faults, byHand };
  }

  async #putInForce(
    observed: ObservedDns,
    plan: DnsPlan,
    signal: AbortSignal,
    recorder: Pick<EventRecorder, "record">,
  ): Promise<void> {
    const { api, log, clock } = this.#options;
    const repaired = this.#hadForce;
    await writeChanges(api, plan.changes);
    log.info(repaired ? "cluster DNS was overwritten and is repaired" : "cluster DNS is patched", {
      provider: nameOf(plan.provider),
    });
    for (const { object } of plan.changes)
      void recorder.record(refOf(object), {
        type: repaired ? "Warning" : "Normal",
        reason: repaired ? "MeshDnsRepaired" : "MeshDnsPatched",
        message: repaired
          ? "The mesh domains had been overwritten and were put back; whoever writes this object should know of them."
          : "The mesh domains were added.",
      });
    const { restart } = plan;
    if (restart !== undefined) {
      await restartWorkload(api, restart.workload, markOf(plan.changes));
      if (!(await this.#rolledOut(restart.workload, signal))) {
        await this.#takeBack(observed, plan, recorder);
        this.#restUntil = clock.now() + REST_MS;
        return;
      }
    }
    this.#hadForce = true;
    this.#status = { ...this.#status, inForce: true };
  }

  /** @returns false where no new Pod got ready; true too when there was no time to see it */
  async #rolledOut(workload: WorkloadRef, signal: AbortSignal): Promise<boolean> {
    const { api, clock } = this.#options;
    const until = clock.now() + ROLLOUT_MS;
    while (!signal.aborted && clock.now() < until) {
      const { done, started } = await rolloutStatus(api, workload);
      if (done || started) return true;
      await pause(clock, ROLLOUT_LOOK_MS, signal);
    }
    return signal.aborted;
  }

  async #takeBack(observed: ObservedDns, plan: DnsPlan, recorder: Pick<EventRecorder, "record">): Promise<void> {
    const { api, log } = this.#options;
    await writeChanges(api, reversed(observed, plan.changes));
    if (plan.restart !== undefined) await restartWorkload(api, plan.restart.workload, null);
    const fault = `With the mesh domains, ${nameOf(plan.provider)} did not get ready, so they were taken out again: look at the log of its Pods, then restart the controller.`;
    log.error("cluster DNS did not get ready with the mesh domains: they were taken out again");
    for (const { object } of plan.changes)
      void recorder.record(refOf(object), { type: "Warning", reason: "MeshDnsTakenBack", message: fault });
    this.#status = { ...this.#status, inForce: false, faults: [fault] };
  }

  /** A sentence that stays true is said once. */
  #sayOnce(sentence: string): void {
    if (this.#said.includes(sentence)) return;
    this.#said = `${this.#said}\n${sentence}`.slice(-10_000);
    this.#options.log.warn(sentence);
  }
}

function nameOf(provider: DnsProvider | undefined): string {
  if (provider === undefined) return "";
  if (provider.kind === "openshift") return `dns.operator.openshift.io/${provider.name}`;
  const { kind, namespace, name } = provider.workload;
  return `${kind} ${namespace}/${name}`;
}

function refOf({ kind, namespace, name }: ObjectChange["object"]): ObjectRef {
  return { kind, namespace: namespace ?? "", name };
}

function markOf(changes: readonly ObjectChange[]): string {
  return createHash("sha256").update(JSON.stringify(changes)).digest("hex").slice(0, 16);
}
