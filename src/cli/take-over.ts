/** Asks a mesh to take the mesh domains over, and says how that goes: the controller that leads does it. */
import { z } from "zod";
import { observeDns } from "../controller/dns-objects.ts";
import { askToHandBack, askToTakeOver, knownOriginals, type TakeOver } from "../controller/dns-ownership.ts";
import { type OriginalMesh, readOriginalMeshes } from "../controller/original-meshes.ts";
import type { Api } from "../kube/api-client.ts";
import type { Clock } from "../model/clock.ts";
import { pause } from "../model/pause.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";

const StatusSchema = z.object({
  leads: z.boolean(),
  dns: z.object({
    mode: z.string(),
    inForce: z.boolean(),
    owner: z.string(),
    waitsFor: z.array(z.string()),
    faults: z.array(z.string()),
    takenBack: z.number(),
  }),
});
type LeaderDns = z.infer<typeof StatusSchema>["dns"];

export interface TakeOverOptions {
  readonly api: Api;
  readonly clock: Clock;
  /** Of the mesh that takes over, or hands back. */
  readonly namespace: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** `/api/status/controller` of each controller that answers. */
  statuses(): Promise<readonly unknown[]>;
  /** A line for standard output. */
  say(line: string): void;
  /** A line for standard error. */
  warn(line: string): void;
}

const LOOK_MS = 1_000;

/** @returns the exit code. @throws Error where nobody can be asked */
export async function takeOver(options: TakeOverOptions, asked: TakeOver): Promise<number> {
  const { api, namespace, say, warn } = options;
  const { mode, owner, inForce } = await leaderDns(options);
  if (mode === "manual") {
    warn("dns.mode is manual there, so the blocks in cluster DNS are yours to change: `tulle prepare` prints them");
    return EXIT_PROBLEMS;
  }
  if (owner === namespace && inForce) {
    say(`the mesh names are with the mesh in namespace ${namespace} already`);
    await sayWhatIsLeft(options);
    return EXIT_FINE;
  }
  await askToTakeOver(api, namespace, asked);
  const why = await follow(options, namespace);
  if (why === "") {
    say(`the mesh names are with the mesh in namespace ${namespace} now`);
    if (owner !== "" && owner !== namespace)
      say(`the one in namespace ${owner} serves on, for callers that still have its addresses`);
    await sayWhatIsLeft(options);
    return EXIT_FINE;
  }
  // Nobody should be surprised by it later.
  await askToTakeOver(api, namespace, null);
  warn(why);
  return EXIT_PROBLEMS;
}

/**
 * Gives the mesh names back to Traefik Mesh, which does not take them by itself.
 * @returns the exit code
 * @throws Error where nobody can be asked
 */
export async function handBack(options: TakeOverOptions): Promise<number> {
  const { api, namespace, say, warn } = options;
  const originals = (await originalsOf(api)).filter(({ serves }) => serves);
  const [original] = originals;
  if (original === undefined || originals.length > 1) {
    warn(`there ${original === undefined ? "is no Traefik Mesh" : "are several"} to hand back to in this cluster`);
    return EXIT_PROBLEMS;
  }
  const { owner } = await leaderDns(options);
  if (owner !== namespace) {
    warn(`the mesh names are with the mesh in namespace ${owner}, not with the one in ${namespace}`);
    return EXIT_PROBLEMS;
  }
  await askToHandBack(api, namespace, original.namespace);
  const why = await follow(options, original.namespace);
  if (why === "") {
    say(`the mesh names are with Traefik Mesh in namespace ${original.namespace} again`);
    return EXIT_FINE;
  }
  await askToHandBack(api, namespace, null);
  warn(why);
  return EXIT_PROBLEMS;
}

/**
 * @param to namespace of the mesh that is to have them
 * @returns why it has not come about; empty: it has
 */
async function follow(options: TakeOverOptions, to: string): Promise<string> {
  const { clock, namespace, timeoutMs, signal, say } = options;
  const until = clock.now() + timeoutMs;
  const before = await leaderDns(options);
  let said = "";
  for (;;) {
    const { owner, inForce, waitsFor, faults, takenBack } = await leaderDns(options);
    if (owner === to && (inForce || to !== namespace)) return "";
    const fault = faults.find((each) => takenBack > before.takenBack || !before.faults.includes(each));
    if (fault !== undefined) return fault;
    const isTried = owner === namespace && !inForce;
    const state =
      owner === namespace || to !== namespace
        ? "cluster DNS gets the new blocks"
        : waitsFor.map((each) => `it waits: ${each}`).join("\n");
    if (state !== said && state !== "") say(state);
    said = state;
    const goesOn = "the blocks are being changed, and the mesh goes on with that: tulle status says how it ends";
    if (signal.aborted) return `it was interrupted, and ${isTried ? goesOn : "the mesh is not asked any more"}`;
    if (clock.now() > until && isTried) return `it is not done in ${Math.round(timeoutMs / 1000)} s: ${goesOn}`;
    if (clock.now() > until)
      return `it has not come about in ${Math.round(timeoutMs / 1000)} s, and the mesh is not asked any more; --force takes proxies that are not ready and names that are missing for granted`;
    await pause(clock, LOOK_MS, signal);
  }
}

async function leaderDns({ statuses, namespace }: TakeOverOptions): Promise<LeaderDns> {
  const read = (await statuses()).flatMap((each) => StatusSchema.safeParse(each).data ?? []);
  const leader = read.find(({ leads }) => leads);
  if (leader === undefined)
    throw new Error(
      `no controller in namespace ${namespace} says that it leads: tulle status --namespace ${namespace}`,
    );
  return leader.dns;
}

/** Those that cluster DNS leads, or led, to. */
async function originalsOf(api: Api): Promise<OriginalMesh[]> {
  return knownOriginals(await readOriginalMeshes(api), await observeDns(api));
}

async function sayWhatIsLeft({ api, say }: TakeOverOptions): Promise<void> {
  for (const { namespace, controls, serves } of await originalsOf(api))
    if (controls)
      say(
        `Traefik Mesh's controller runs in namespace ${namespace}: scale its Deployment to 0 before you uninstall it, or its cleanup takes the mesh names out for a moment`,
      );
    else if (serves)
      say(`Traefik Mesh in namespace ${namespace} can be uninstalled: its cleanup leaves these blocks alone`);
}
