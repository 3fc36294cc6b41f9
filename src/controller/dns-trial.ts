/**
 * A change of cluster DNS on trial: it is written, and stays where a new Pod of DNS gets ready with it. Where none does,
 * everything is made as it was before.
 */
import type { DnsPlan, ObjectChange } from "../coredns/dns-plan.ts";
import type { ObservedDns, WorkloadRef } from "../coredns/dns-provider.ts";
import type { Api } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import type { Clock } from "../model/clock.ts";
import { pause } from "../model/pause.ts";
import { blocksMark, type DnsMode, planBefore, type WantedDns } from "./dns-change.ts";
import { observeDns, rolloutStatus, writeChanges } from "./dns-objects.ts";
import type { DnsStanding } from "./dns-ownership.ts";
import { recordOf, trialIn } from "./dns-record.ts";
import type { EventRecorder } from "./event-recorder.ts";

/** What one look of DnsKeeper found, of domains that are this mesh's. */
export interface DnsLook {
  readonly api: Api;
  readonly signal: AbortSignal;
  readonly recorder: Pick<EventRecorder, "record">;
  readonly observed: ObservedDns;
  readonly wanted: WantedDns;
  readonly plan: DnsPlan;
  readonly standing: DnsStanding;
}

/** A change that is written, of which it is not known whether DNS gets ready with it. */
export interface DnsTrial {
  readonly workload: WorkloadRef;
  readonly mark: string;
  /** What makes everything as it was before; none where another leader began it. */
  readonly undo: readonly ObjectChange[];
}

const ROLLOUT_MS = 90_000;
const ROLLOUT_LOOK_MS = 500;

/**
 * This mesh's own, of the very blocks that are in force: another's is not for it to go on with.
 * @param begun the trial that this controller began last
 */
export function trialUnderWay(
  { observed, plan, standing }: Pick<DnsLook, "observed" | "plan" | "standing">,
  begun: DnsTrial | undefined,
): DnsTrial | undefined {
  const { provider } = plan;
  if (provider === undefined || provider.kind === "openshift") return undefined;
  const mark = trialIn(observed);
  if (mark === undefined || !mark.startsWith(blocksMark(standing.owner, plan))) return undefined;
  return mark === begun?.mark ? begun : { workload: provider.workload, mark, undo: [] };
}

/** @returns false where no new Pod got ready in time. @throws ApiError */
export async function hasStarted({ api, signal }: DnsLook, clock: Clock, workload: WorkloadRef): Promise<boolean> {
  const until = clock.now() + ROLLOUT_MS;
  while (!signal.aborted && clock.now() < until) {
    const { done, started } = await rolloutStatus(api, workload);
    if (done || started) return true;
    await pause(clock, ROLLOUT_LOOK_MS, signal);
  }
  return false;
}

/**
 * What somebody wrote since stays, and all of it where another mesh has taken the domains. Where it is not known how it
 * was, Traefik Mesh gets the blocks that it writes itself, and of this mesh the mesh domains are taken out.
 * @returns what was changed. @throws ApiError
 */
export async function undoTrial(look: DnsLook, trial: DnsTrial, mode: DnsMode): Promise<readonly ObjectChange[]> {
  const { api, standing } = look;
  const { mark, undo } = trial;
  const isOurs = (now: ObservedDns) => recordOf(now).namespace === standing.owner && trialIn(now) === mark;
  if (!isOurs(await observeDns(api))) return [];
  try {
    await writeChanges(api, undo);
    if (undo.length > 0) return undo;
  } catch (error) {
    if (!isApiError(error, 409)) throw error;
  }
  const now = await observeDns(api);
  if (!isOurs(now)) return [];
  const { changes, faults } = planBefore(now, look.wanted, mode, standing);
  if (faults.length > 0) throw new Error(faults.join(" "));
  await writeChanges(api, changes);
  return changes;
}
