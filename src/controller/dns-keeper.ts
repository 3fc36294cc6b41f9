/**
 * Keeps the mesh domains in the cluster's DNS. The leader looks every few seconds what DNS there is and what it says of
 * the mesh domains; what is missing, or was overwritten by whoever else writes there, is put back. A change is rolled
 * out by the cluster, Pod after Pod; where the first new one does not get ready, the change is taken back and told.
 * Before anything is written, DNS's workload gets the owner's name and the mark of the trial, in one write (DnsRecord): a
 * leader that comes in between goes on from there. Where another mesh of the cluster has the domains, it touches nothing
 * and stands by (DnsOwnership).
 */
import { planPatch } from "../coredns/dns-patch.ts";
import type { DnsPlan, ObjectChange } from "../coredns/dns-plan.ts";
import type { DnsProvider, ObservedDns } from "../coredns/dns-provider.ts";
import { type Api, endingWith } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import type { Clock } from "../model/clock.ts";
import type { ObjectRef } from "../model/objects.ts";
import { pause } from "../model/pause.ts";
import type { Log } from "../telemetry/log.ts";
import {
  blocksMark,
  type DnsMode,
  hashOf,
  ownOptions,
  planOf,
  recordBefore,
  settledRecord,
  type WantedDns,
} from "./dns-change.ts";
import { handedBack, PATCHED, REPAIRED, takenOver } from "./dns-events.ts";
import { observeDns, podAnnotation, restartWorkload, reversed, writeChanges } from "./dns-objects.ts";
import type { DnsOwnership, DnsStanding } from "./dns-ownership.ts";
import { amendRecord, recordOf, trialIn, writeRecord } from "./dns-record.ts";
import { type DnsLook, type DnsTrial, hasStarted, trialUnderWay, undoTrial } from "./dns-trial.ts";
import type { ClusterEvent, EventRecorder } from "./event-recorder.ts";

export interface DnsKeeperOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly log: Log;
  readonly mode: DnsMode;
  readonly ownership: Pick<DnsOwnership, "decide" | "answered" | "originalsIn">;
  /** What the plan needs to know now; undefined while that is not known. */
  wanted(observed: ObservedDns): WantedDns | undefined;
}

/** What `/api/status/controller` and `tulle check` say of it. */
export interface DnsStatus {
  readonly mode: DnsMode;
  readonly provider: string;
  readonly inForce: boolean;
  /** Namespace of the mesh that has the domains; empty: not known yet, or `manual`. */
  readonly owner: string;
  /** Nothing of that mesh is there any more. */
  readonly ownerGone: boolean;
  /** Why a take-over that was asked for, or is due, has not happened yet. */
  readonly waitsFor: readonly string[];
  readonly warnings: readonly string[];
  readonly faults: readonly string[];
  /** How many changes this controller had to take back since it began. */
  readonly takenBack: number;
  /** For an owner who makes the change with his own tools. */
  readonly byHand: string;
}

type Recorder = Pick<EventRecorder, "record">;

const LOOK_MS = 10_000;
/** While it is not in force, it is looked at more often. */
const HURRY_MS = 1_000;
/** After a change that had to be taken back. */
const REST_MS = 10 * 60 * 1000;

export class DnsKeeper {
  readonly #options: DnsKeeperOptions;
  #status: DnsStatus;
  #hadForce = false;
  #standsBy = false;
  #contested = false;
  #repairs = 0;
  #takenBack = { fault: "", restUntil: Number.NEGATIVE_INFINITY, count: 0 };
  /** The trial begun last. */
  #begun: DnsTrial | undefined;
  #wake = new AbortController();
  #said = "";

  constructor(options: DnsKeeperOptions) {
    this.#options = options;
    this.#status = {
      mode: options.mode,
      provider: "",
      inForce: false,
      owner: "",
      ownerGone: false,
      waitsFor: [],
      warnings: [],
      faults: [],
      takenBack: 0,
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
        // What was read is old already: the next look reads it anew.
        if (!signal.aborted && !isApiError(error, 409))
          this.#sayOnce(`cluster DNS could not be looked after: ${(error as Error).message}`);
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
    if (mode === "manual") {
      const originals = await this.#options.ownership.originalsIn(observed);
      const plan = planPatch(observed, ownOptions(wanted, mode, originals));
      this.#note(plan, false, "");
      if (!this.#status.inForce) this.#sayOnce(`the mesh domains are not in the cluster's DNS. Add:\n${plan.byHand}`);
      return;
    }
    const standing = await this.#options.ownership.decide(api, observed, this.#restSentences());
    if (!standing.owns) {
      this.#standBy(standing);
      return;
    }
    const plan = planOf(observed, wanted, mode, standing);
    const trial = trialUnderWay({ observed, plan, standing }, this.#begun);
    this.#contested = standing.originals.length > 0;
    this.#note(plan, trial !== undefined, standing.owner);
    for (const sentence of [...plan.faults, ...plan.warnings]) this.#sayOnce(sentence);
    const look: DnsLook = { api, signal, recorder, observed, wanted, plan, standing };
    const written = plan.changes.length === 0 && plan.faults.length === 0;
    if (written && trial !== undefined) await this.#tryOut(look, trial);
    else if (written) await this.#settle(look);
    else if (plan.changes.length > 0 && !this.#resting) await this.#putInForce(look);
    // The change was taken back, and that could not be written down.
    else if (this.#resting && standing.record.from !== undefined) await this.#giveBack(look, trialIn(observed));
  }

  get #pauseMs(): number {
    const { inForce, waitsFor } = this.#status;
    const atEase = (inForce && !this.#contested) || this.#resting || this.#standsBy;
    return atEase && waitsFor.length === 0 ? LOOK_MS : HURRY_MS;
  }

  #standBy({ owner, ownerGone, waitsFor }: DnsStanding): void {
    if (!this.#standsBy || this.#status.owner !== owner)
      this.#options.log.info("the mesh in another namespace has the mesh domains: this one stands by", { owner });
    for (const sentence of waitsFor) this.#sayOnce(`the mesh domains are not taken over yet: ${sentence}`);
    this.#standsBy = true;
    // Whoever has them again after that begins anew.
    this.#hadForce = false;
    const { mode } = this.#options;
    const faults = this.#resting ? [this.#takenBack.fault] : [];
    const standing = { inForce: false, owner, ownerGone, waitsFor };
    this.#status = { ...this.#status, ...standing, mode, warnings: [], faults, byHand: "" };
  }

  #restSentences(): string[] {
    if (!this.#resting) return [];
    const minutes = Math.ceil((this.#takenBack.restUntil - this.#options.clock.now()) / 60_000);
    return [`${this.#takenBack.fault} It tries again in ${minutes} min`];
  }

  /** A change was taken back a short while ago. */
  get #resting(): boolean {
    return this.#options.clock.now() < this.#takenBack.restUntil;
  }

  #note(plan: DnsPlan, onTrial: boolean, owner: string): void {
    const { mode } = this.#options;
    const { changes, warnings, byHand } = plan;
    const faults = changes.length > 0 && this.#resting ? [this.#takenBack.fault, ...plan.faults] : plan.faults;
    const inForce = changes.length === 0 && faults.length === 0 && !onTrial;
    if (inForce) this.#hadForce = true;
    this.#standsBy = false;
    const { count: takenBack } = this.#takenBack;
    const provider = nameOf(plan.provider);
    const standing = { owner, ownerGone: false, waitsFor: [] };
    this.#status = { ...standing, mode, provider, inForce, warnings, faults, takenBack, byHand };
  }

  async #putInForce(look: DnsLook): Promise<void> {
    const { api, observed, plan, standing } = look;
    const workload = plan.restart?.workload;
    const mark = workload && blocksMark(standing.owner, plan) + hashOf(JSON.stringify(plan.changes));
    // OpenShift's operator is the one object of both: what changes it has its version, which this write would make an old one.
    if (plan.provider?.kind !== "openshift") await writeRecord(api, observed, standing.record, mark);
    let versions: string[];
    try {
      versions = await writeChanges(api, plan.changes);
    } catch (error) {
      if (isApiError(error, 409)) await this.#takeMarkBack(look, mark);
      throw error;
    }
    this.#tellPatched(look);
    if (workload === undefined || mark === undefined) {
      if (await this.#settled(look, undefined)) this.#inForceIfKept(look);
      return;
    }
    this.#begun = { workload, mark, undo: reversed(observed, plan.changes, versions) };
    await this.#tryOut(look, this.#begun);
  }

  /** Nothing was changed, so there is nothing to try. */
  async #takeMarkBack({ api, observed }: DnsLook, mark: string | undefined): Promise<void> {
    if (mark === undefined) return;
    await amendRecord(api, observed, (record, trial) => (trial === mark ? { record } : undefined));
  }

  #tellPatched({ plan, recorder, standing }: DnsLook): void {
    const from = standing.record.from?.namespace;
    // CoreDNS that need not restart reads what it read before: only the marks are other ones.
    const onlyMarks = plan.restart === undefined && plan.provider?.kind !== "openshift";
    const repaired = this.#hadForce && !onlyMarks && standing.handsBackTo === undefined;
    if (repaired) this.#repairs++;
    const provider = nameOf(plan.provider);
    const to = standing.handsBackTo?.namespace;
    const [says, event]: [string, ClusterEvent] =
      to !== undefined
        ? ["the mesh domains are handed back to Traefik Mesh", handedBack(to)]
        : repaired
          ? ["cluster DNS was overwritten and is repaired", REPAIRED]
          : from !== undefined
            ? ["the mesh domains are taken over", takenOver(from, standing.owner)]
            : ["cluster DNS is patched", PATCHED];
    this.#options.log.info(says, { provider, ...(from === undefined ? {} : { from }) });
    for (const { object } of plan.changes) void recorder.record(refOf(object), event);
  }

  /** Restarts the Pods, unless that was done already, and waits for the first new one. */
  async #tryOut(look: DnsLook, trial: DnsTrial): Promise<void> {
    const { api, signal } = look;
    const { workload, mark } = trial;
    await restartWorkload(api, workload, mark);
    const started = await hasStarted(look, this.#options.clock, workload);
    // Whoever leads next goes on with the trial.
    if (signal.aborted) return;
    if (!started) await this.#takeBack(look, trial);
    else if (await this.#settled(look, mark)) this.#inForceIfKept(look);
  }

  /** Nothing is to be written into DNS: the record alone may have to be put right. */
  async #settle(look: DnsLook): Promise<void> {
    const { api, observed, standing } = look;
    const record = settledRecord(standing);
    const isOnRecord = JSON.stringify(recordOf(observed)) === JSON.stringify(record);
    if (!isOnRecord || trialIn(observed) !== undefined) await writeRecord(api, observed, record, undefined);
    await this.#answer(standing);
    this.#inForceIfKept(look);
  }

  /**
   * What is written works; what was given to another is its own from now on.
   * @returns whether it is this mesh's still: another may have taken the domains meanwhile
   */
  async #settled({ api, observed, plan, standing }: DnsLook, mark: string | undefined): Promise<boolean> {
    const record = settledRecord(standing);
    // There the record is written after the change.
    const before = plan.provider?.kind === "openshift" ? recordOf(observed).namespace : standing.owner;
    const written = await amendRecord(api, observed, ({ namespace }, trial) =>
      trial === mark && (namespace === standing.owner || namespace === before) ? { record } : undefined,
    );
    if (written) await this.#answer(standing);
    return written;
  }

  async #answer({ handsBackTo, record }: DnsStanding): Promise<void> {
    if (handsBackTo !== undefined || record.from !== undefined)
      await this.#options.ownership.answered(this.#options.api);
  }

  #inForceIfKept({ standing }: DnsLook): void {
    if (standing.handsBackTo === undefined) this.#inForce();
  }

  #inForce(): void {
    this.#hadForce = true;
    this.#status = { ...this.#status, inForce: true };
  }

  async #takeBack(look: DnsLook, trial: DnsTrial): Promise<void> {
    const { log, clock } = this.#options;
    const fault = `With the change of the mesh domains, ${nameOf(look.plan.provider)} did not get ready, so it was taken back: look at the log of its Pods, then restart the controller.`;
    this.#takenBack = { fault, restUntil: clock.now() + REST_MS, count: this.#takenBack.count + 1 };
    this.#status = { ...this.#status, inForce: false, faults: [fault], takenBack: this.#takenBack.count };
    const changes = await undoTrial(look, trial, this.#options.mode);
    await this.#giveBack(look, trial.mark);
    log.error("cluster DNS did not get ready with the change of the mesh domains: it was taken back");
    for (const { object } of changes)
      void look.recorder.record(refOf(object), { type: "Warning", reason: "MeshDnsTakenBack", message: fault });
  }

  /** The record says again what it said before the change, and the Pods are as before it. */
  async #giveBack({ api, observed, standing }: DnsLook, mark: string | undefined): Promise<void> {
    const record = recordBefore(standing);
    const spec = podAnnotation(null);
    const written = await amendRecord(api, observed, (now, trial) =>
      now.namespace === standing.owner && trial === mark ? { record, spec } : undefined,
    );
    if (written) await this.#answer(standing);
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
