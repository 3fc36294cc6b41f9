/**
 * Keeps the mesh domains in the cluster's DNS. The leader looks every few seconds what DNS there is and what it says of
 * the mesh domains; what is missing, or was overwritten by whoever else writes there, is put back. A change is rolled
 * out by the cluster, Pod after Pod; where the first new one does not get ready, the change is taken back and told.
 * Before anything is written, the workload is marked as under trial: a leader that comes in between goes on from there.
 */
import { createHash } from "node:crypto";
import { planPatch, planRestore } from "../coredns/dns-patch.ts";
import type { DnsPlan, ObjectChange, PatchOptions } from "../coredns/dns-plan.ts";
import type { DnsProvider, ObservedDns, WorkloadRef } from "../coredns/dns-provider.ts";
import { type Api, endingWith } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import type { Clock } from "../model/clock.ts";
import type { ObjectRef } from "../model/objects.ts";
import { pause } from "../model/pause.ts";
import type { Log } from "../telemetry/log.ts";
import {
  markTrial,
  observeDns,
  restartWorkload,
  reversed,
  rolloutStatus,
  trialOf,
  unmarkWorkload,
  writeChanges,
} from "./dns-objects.ts";
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

type Recorder = Pick<EventRecorder, "record">;

/** What one look works with. */
interface Look {
  readonly api: Api;
  readonly signal: AbortSignal;
  readonly recorder: Recorder;
  readonly observed: ObservedDns;
  readonly options: PatchOptions;
  readonly plan: DnsPlan;
}

/** A change that is written, of which it is not known whether DNS gets ready with it. */
interface Trial {
  readonly workload: WorkloadRef;
  readonly mark: string;
  /** What makes everything as it was before; none where another leader began it. */
  readonly undo: readonly ObjectChange[];
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
  #repairs = 0;
  #takenBack = { fault: "", restUntil: Number.NEGATIVE_INFINITY };
  /** The trial begun last. */
  #begun: Trial | undefined;
  #said = "";

  constructor(options: DnsKeeperOptions) {
    this.#options = options;
    this.#status = { mode: options.mode, provider: "", inForce: false, warnings: [], faults: [], byHand: "" };
  }

  /** How often it had been overwritten, and was put right. */
  get repairs(): number {
    return this.#repairs;
  }

  get status(): DnsStatus {
    return this.#status;
  }

  /** Runs until the signal aborts: a duty of the leader. Never throws. */
  async run(signal: AbortSignal, recorder: Recorder): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      try {
        await this.look(signal, recorder);
      } catch (error) {
        if (!signal.aborted) this.#sayOnce(`cluster DNS could not be looked after: ${(error as Error).message}`);
      }
      await pause(clock, this.#status.inForce || this.#resting ? LOOK_MS : HURRY_MS, signal);
    }
  }

  /** One look, and what follows from it. @throws ApiError */
  async look(signal: AbortSignal, recorder: Recorder): Promise<void> {
    const { mode } = this.#options;
    const api = endingWith(this.#options.api, signal);
    const observed = await observeDns(api);
    const wanted = this.#options.wanted(observed);
    if (wanted === undefined) return;
    const options: PatchOptions = { ...wanted, mode: mode === "manual" ? "forward" : mode };
    const plan = planPatch(observed, options);
    const trial = mode === "manual" ? undefined : this.#trialIn(observed, plan);
    this.#note(plan, trial !== undefined);
    if (mode === "manual") {
      if (!this.#status.inForce) this.#sayOnce(`the mesh domains are not in the cluster's DNS. Add:\n${plan.byHand}`);
      return;
    }
    for (const sentence of [...plan.faults, ...plan.warnings]) this.#sayOnce(sentence);
    const look: Look = { api, signal, recorder, observed, options, plan };
    if (plan.changes.length === 0 && plan.faults.length === 0 && trial !== undefined) await this.#tryOut(look, trial);
    else if (plan.changes.length > 0 && !this.#resting) await this.#putInForce(look);
  }

  /** A change was taken back a short while ago. */
  get #resting(): boolean {
    return this.#options.clock.now() < this.#takenBack.restUntil;
  }

  /** Where the plan leads to a workload that is under trial. */
  #trialIn(observed: ObservedDns, { provider }: DnsPlan): Trial | undefined {
    if (provider === undefined || provider.kind === "openshift") return undefined;
    const { workload } = provider;
    const mark = trialOf(observed, workload);
    if (mark === undefined) return undefined;
    return mark === this.#begun?.mark ? this.#begun : { workload, mark, undo: [] };
  }

  #note(plan: DnsPlan, onTrial: boolean): void {
    const { mode } = this.#options;
    const { changes, warnings, byHand } = plan;
    const faults = changes.length > 0 && this.#resting ? [this.#takenBack.fault, ...plan.faults] : plan.faults;
    const inForce = changes.length === 0 && faults.length === 0 && !onTrial;
    if (inForce) this.#hadForce = true;
    this.#status = { mode, provider: nameOf(plan.provider), inForce, warnings, faults, byHand };
  }

  async #putInForce(look: Look): Promise<void> {
    const { api, observed, plan } = look;
    const workload = plan.restart?.workload;
    const mark = markOf(plan.changes);
    if (workload !== undefined) await markTrial(api, workload, mark);
    const versions = await writeChanges(api, plan.changes);
    this.#tellPatched(look);
    if (workload === undefined) {
      this.#inForce();
      return;
    }
    this.#begun = { workload, mark, undo: reversed(observed, plan.changes, versions) };
    await this.#tryOut(look, this.#begun);
  }

  #tellPatched({ plan, recorder }: Look): void {
    const repaired = this.#hadForce;
    if (repaired) this.#repairs++;
    this.#options.log.info(repaired ? "cluster DNS was overwritten and is repaired" : "cluster DNS is patched", {
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
  }

  /** Restarts the Pods, unless that was done already, and waits for the first new one. */
  async #tryOut(look: Look, trial: Trial): Promise<void> {
    const { api, signal } = look;
    const { workload, mark } = trial;
    await restartWorkload(api, workload, mark);
    const started = await this.#started(look, workload);
    // Whoever leads next goes on with the trial.
    if (signal.aborted) return;
    if (!started) {
      await this.#takeBack(look, trial);
      return;
    }
    await markTrial(api, workload, null);
    this.#inForce();
  }

  #inForce(): void {
    this.#hadForce = true;
    this.#status = { ...this.#status, inForce: true };
  }

  /** @returns false where no new Pod got ready in time */
  async #started({ api, signal }: Look, workload: WorkloadRef): Promise<boolean> {
    const { clock } = this.#options;
    const until = clock.now() + ROLLOUT_MS;
    while (!signal.aborted && clock.now() < until) {
      const { done, started } = await rolloutStatus(api, workload);
      if (done || started) return true;
      await pause(clock, ROLLOUT_LOOK_MS, signal);
    }
    return false;
  }

  async #takeBack(look: Look, { workload, undo }: Trial): Promise<void> {
    const { log, clock } = this.#options;
    const fault = `With the change of the mesh domains, ${nameOf(look.plan.provider)} did not get ready, so it was taken back: look at the log of its Pods, then restart the controller.`;
    this.#takenBack = { fault, restUntil: clock.now() + REST_MS };
    const changes = await this.#undo(look, undo);
    await unmarkWorkload(look.api, workload);
    log.error("cluster DNS did not get ready with the change of the mesh domains: it was taken back");
    for (const { object } of changes)
      void look.recorder.record(refOf(object), { type: "Warning", reason: "MeshDnsTakenBack", message: fault });
    this.#status = { ...this.#status, inForce: false, faults: [fault] };
  }

  /** What somebody wrote since stays: then, and where it is not known how it was, the mesh domains alone are taken out. */
  async #undo({ api, options }: Look, undo: readonly ObjectChange[]): Promise<readonly ObjectChange[]> {
    try {
      await writeChanges(api, undo);
      if (undo.length > 0) return undo;
    } catch (error) {
      if (!isApiError(error, 409)) throw error;
    }
    const { changes, faults } = planRestore(await observeDns(api), options);
    if (faults.length > 0) throw new Error(faults.join(" "));
    await writeChanges(api, changes);
    return changes;
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
