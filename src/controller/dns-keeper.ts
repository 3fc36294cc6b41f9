/**
 * Keeps the mesh domains in the cluster's DNS. The leader looks every few seconds what DNS there is and what it says of
 * the mesh domains; what is missing, or was overwritten by whoever else writes there, is put back. A change is rolled
 * out by the cluster, Pod after Pod; where the first new one does not get ready, the change is taken back and told.
 * Before anything is written, the workload is marked as under trial: a leader that comes in between goes on from there.
 * Where another mesh of the cluster has the domains, it touches nothing and stands by (DnsOwnership).
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
import type { DnsOwnership, DnsStanding } from "./dns-ownership.ts";
import type { ClusterEvent, EventRecorder } from "./event-recorder.ts";

/** `manual`: nothing is touched, and the block is said for the owner to add. */
export type DnsMode = PatchOptions["mode"] | "manual";

export interface DnsKeeperOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly log: Log;
  readonly mode: DnsMode;
  readonly ownership: Pick<DnsOwnership, "decide" | "giveUp">;
  /** What the plan needs to know now; undefined while that is not known. */
  wanted(observed: ObservedDns): Omit<PatchOptions, "mode"> | undefined;
}

/** What `/api/status/controller` and `tulle check` say of it. */
export interface DnsStatus {
  readonly mode: DnsMode;
  readonly provider: string;
  readonly inForce: boolean;
  /** Namespace of the mesh that has the domains; empty: not known yet, or `manual`. */
  readonly owner: string;
  /** Why a take-over that was asked for has not happened yet. */
  readonly waitsFor: readonly string[];
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
  readonly standing: DnsStanding | undefined;
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
  #standsBy = false;
  #contested = false;
  #repairs = 0;
  #takenBack = { fault: "", restUntil: Number.NEGATIVE_INFINITY };
  /** The trial begun last. */
  #begun: Trial | undefined;
  /** The mesh that the domains were taken from, until that is in force. */
  #takenFrom: string | undefined;
  #wake = new AbortController();
  #said = "";

  constructor(options: DnsKeeperOptions) {
    this.#options = options;
    this.#status = {
      mode: options.mode,
      provider: "",
      inForce: false,
      owner: "",
      waitsFor: [],
      warnings: [],
      faults: [],
      byHand: "",
    };
  }

  /** How often it had been overwritten, and was put right. */
  get repairs(): number {
    return this.#repairs;
  }

  get status(): DnsStatus {
    return this.#status;
  }

  /** Another mesh of the cluster has the domains. */
  get standsBy(): boolean {
    return this.#standsBy;
  }

  /** The next look is due now: something happened that it depends on. */
  hurry(): void {
    this.#wake.abort();
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
      await pause(clock, this.#pauseMs, AbortSignal.any([signal, this.#wake.signal]));
      this.#wake = new AbortController();
    }
  }

  /** One look, and what follows from it. @throws ApiError */
  async look(signal: AbortSignal, recorder: Recorder): Promise<void> {
    const { mode } = this.#options;
    const api = endingWith(this.#options.api, signal);
    const observed = await observeDns(api);
    const wanted = this.#options.wanted(observed);
    if (wanted === undefined) return;
    const standing = mode === "manual" ? undefined : await this.#options.ownership.decide(api, observed);
    if (standing?.owns === false) {
      this.#standBy(standing);
      return;
    }
    const options = optionsOf(wanted, mode, standing);
    const plan = planPatch(observed, options);
    const trial = mode === "manual" ? undefined : this.#trialIn(observed, plan);
    this.#takenFrom = standing?.takenFrom ?? this.#takenFrom;
    this.#contested = standing?.contested === true;
    this.#note(plan, trial !== undefined, standing);
    if (mode === "manual") {
      if (!this.#status.inForce) this.#sayOnce(`the mesh domains are not in the cluster's DNS. Add:\n${plan.byHand}`);
      return;
    }
    for (const sentence of [...plan.faults, ...plan.warnings]) this.#sayOnce(sentence);
    const look: Look = { api, signal, recorder, observed, options, plan, standing };
    const written = plan.changes.length === 0 && plan.faults.length === 0;
    if (written && trial !== undefined) await this.#tryOut(look, trial);
    else if (written) await this.#settle(look);
    else if (plan.changes.length > 0 && !this.#resting) await this.#putInForce(look);
  }

  get #pauseMs(): number {
    const { inForce, waitsFor } = this.#status;
    const atEase = (inForce && !this.#contested) || this.#resting || this.#standsBy;
    return atEase && waitsFor.length === 0 ? LOOK_MS : HURRY_MS;
  }

  #standBy({ owner, waitsFor }: DnsStanding): void {
    if (!this.#standsBy || this.#status.owner !== owner)
      this.#options.log.info("the mesh in another namespace has the mesh domains: this one stands by", { owner });
    for (const sentence of waitsFor) this.#sayOnce(`the mesh domains are not taken over yet: ${sentence}`);
    this.#standsBy = true;
    // Whoever has them again after that begins anew.
    this.#hadForce = false;
    const { mode } = this.#options;
    const faults = this.#resting ? [this.#takenBack.fault] : [];
    this.#status = { ...this.#status, mode, inForce: false, owner, waitsFor, warnings: [], faults, byHand: "" };
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

  #note(plan: DnsPlan, onTrial: boolean, standing: DnsStanding | undefined): void {
    const { mode } = this.#options;
    const { changes, warnings, byHand } = plan;
    const faults = changes.length > 0 && this.#resting ? [this.#takenBack.fault, ...plan.faults] : plan.faults;
    const inForce = changes.length === 0 && faults.length === 0 && !onTrial;
    if (inForce) this.#hadForce = true;
    this.#standsBy = false;
    const owner = standing?.owner ?? "";
    this.#status = { mode, provider: nameOf(plan.provider), inForce, owner, waitsFor: [], warnings, faults, byHand };
  }

  async #putInForce(look: Look): Promise<void> {
    const { api, observed, plan } = look;
    const workload = plan.restart?.workload;
    const mark = markOf(plan.changes);
    if (workload !== undefined) await markTrial(api, workload, mark);
    const versions = await writeChanges(api, plan.changes);
    this.#tellPatched(look);
    if (workload === undefined) {
      await this.#settle(look);
      return;
    }
    this.#begun = { workload, mark, undo: reversed(observed, plan.changes, versions) };
    await this.#tryOut(look, this.#begun);
  }

  #tellPatched({ plan, recorder, standing }: Look): void {
    const from = this.#takenFrom;
    // CoreDNS that need not restart reads what it read before: only the marks are other ones.
    const onlyMarks = plan.restart === undefined && plan.provider?.kind !== "openshift";
    const repaired = this.#hadForce && !onlyMarks && standing?.handsBackTo === undefined;
    if (repaired) this.#repairs++;
    const provider = nameOf(plan.provider);
    const to = standing?.handsBackTo?.namespace;
    const [says, event]: [string, ClusterEvent] =
      to !== undefined
        ? ["the mesh domains are handed back to Traefik Mesh", handedBack(to)]
        : repaired
          ? ["cluster DNS was overwritten and is repaired", REPAIRED]
          : from !== undefined
            ? ["the mesh domains are taken over", takenOver(from, standing?.owner ?? "")]
            : ["cluster DNS is patched", PATCHED];
    this.#options.log.info(says, { provider, ...(from === undefined ? {} : { from }) });
    for (const { object } of plan.changes) void recorder.record(refOf(object), event);
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
    await this.#settle(look);
  }

  /** What is written is in force; what was given to another is its own from now on. */
  async #settle({ api, standing }: Look): Promise<void> {
    if (standing?.handsBackTo === undefined) this.#inForce();
    else await this.#options.ownership.giveUp(api);
  }

  #inForce(): void {
    this.#hadForce = true;
    this.#takenFrom = undefined;
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
    if (this.#takenFrom !== undefined || look.standing?.handsBackTo !== undefined) {
      this.#takenFrom = undefined;
      await this.#options.ownership.giveUp(look.api);
    }
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

const REPAIRED: ClusterEvent = {
  type: "Warning",
  reason: "MeshDnsRepaired",
  message: "The mesh domains had been overwritten and were put back; whoever writes this object should know of them.",
};
const PATCHED: ClusterEvent = { type: "Normal", reason: "MeshDnsPatched", message: "The mesh domains were added." };

function takenOver(from: string, by: string): ClusterEvent {
  const message = `The mesh domains lead to the mesh in namespace ${by} now. They were with the one in ${from}.`;
  return { type: "Normal", reason: "MeshDnsTakenOver", message };
}

function handedBack(to: string): ClusterEvent {
  const message = `The mesh domains lead to Traefik Mesh in namespace ${to} again.`;
  return { type: "Normal", reason: "MeshDnsHandedBack", message };
}

/** For Traefik Mesh, what it would write itself. */
function optionsOf(wanted: Omit<PatchOptions, "mode">, mode: DnsMode, standing: DnsStanding | undefined): PatchOptions {
  const original = standing?.handsBackTo;
  if (original === undefined) return { ...wanted, mode: mode === "manual" ? "forward" : mode };
  const { namespace: meshNamespace, dnsAddresses: dnsServiceIPs } = original;
  return { ...wanted, mode: "rewrite", meshNamespace, dnsServiceIPs, longNames: [], marks: "original" };
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
