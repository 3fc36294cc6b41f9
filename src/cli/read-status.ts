/** Gathers what there is to know of a mesh; who does not answer is part of it. */
import { z } from "zod";
import { MeshConfigSchema } from "../config/mesh-config.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { MeshPod } from "./mesh-pods.ts";
import {
  type ControllerSaid,
  type ControllerState,
  type MeshStatus,
  type ObjectProblem,
  type ProxyState,
  type Totals,
  totalsOf,
} from "./mesh-status.ts";
import type { LocalView } from "./mesh-view.ts";

const texts = z.array(z.string()).default([]);
const DnsSchema = z.object({
  mode: z.string(),
  provider: z.string().default(""),
  inForce: z.boolean(),
  owner: z.string().default(""),
  ownerGone: z.boolean().default(false),
  waitsFor: texts,
  faults: texts,
  warnings: texts,
});
const ControllerSchema = z.object({
  program: z.string().default(""),
  version: z.string(),
  leader: z.string(),
  leads: z.boolean(),
  pendingShadows: z.number().default(0),
  troubles: texts,
  dns: DnsSchema,
});
const NodesSchema = z.array(
  z.object({
    Name: z.string(),
    connected: z.boolean(),
    version: z.string(),
    programmed: z.boolean(),
    lagMs: z.number().optional(),
    error: z.string().default(""),
    closedEntrypoints: texts,
    engine: z.literal("traefik").optional(),
  }),
);
type Node = z.infer<typeof NodesSchema>[number];
/** What a proxy says of itself. */
const ProxySchema = z.object({
  version: z.string(),
  connected: z.boolean(),
  silentSeconds: z.number(),
  draining: z.boolean(),
});
const ProblemsSchema = z.array(
  z.object({
    severity: z.enum(["error", "warning"]),
    code: z.string(),
    object: z.object({ kind: z.string(), namespace: z.string(), name: z.string() }),
    message: z.string(),
    file: z.string().optional(),
    line: z.number().optional(),
  }),
);
const ConfigSchema = z.object({ version: z.string(), config: MeshConfigSchema });

/** @throws Error where there is no tulle local */
export async function readLocal(view: LocalView): Promise<MeshStatus> {
  const totals = readTotals(await view.config());
  const problems = readProblems(await view.get("/api/problems"));
  return { where: view.says, ...(totals === undefined ? {} : { totals }), problems };
}

/** @param wallMs now, since the epoch. @throws Error where the mesh's Pods cannot be listed */
export async function readCluster(view: ClusterView, wallMs: number): Promise<MeshStatus> {
  const pods = await view.pods();
  const ofComponent = (component: MeshPod["component"]) => pods.filter((pod) => pod.component === component);
  const controllers = await Promise.all(ofComponent("controller").map((pod) => askController(view, pod, wallMs)));
  // The leader knows also of what it could not write.
  const [first] = controllers
    .filter(({ said }) => said !== undefined)
    .sort((a, b) => Number(b.said?.leads) - Number(a.said?.leads));
  const ask = async <T>(schema: z.ZodType<T>, path: string): Promise<T | undefined> =>
    first === undefined ? undefined : answerOf(view, first.name, path, schema).catch(() => undefined);
  const [nodes, problems, totals] = await Promise.all([
    ask(NodesSchema, "/api/status/nodes"),
    ask(ProblemsSchema, "/api/problems"),
    view.config().then(readTotals, () => undefined),
  ]);
  const byName = new Map((nodes ?? []).map((node) => [node.Name, node]));
  const proxies = await Promise.all(
    ofComponent("proxy").map((pod) => proxyState(view, pod, byName.get(pod.name), wallMs)),
  );
  return {
    where: view.says,
    cluster: { namespace: view.namespace, controllers, proxies },
    ...(totals === undefined ? {} : { totals }),
    ...(problems === undefined ? {} : { problems: problems.map(problemOf) }),
  };
}

async function askController(view: ClusterView, pod: MeshPod, wallMs: number): Promise<ControllerState> {
  const { name, ready, ending, waits, image } = pod;
  const state = { name, ready, ending, waits, image, ageSeconds: ageOf(pod, wallMs), silent: "" };
  if (ending || waits !== "") return state;
  try {
    const said: ControllerSaid = await answerOf(view, name, "/api/status/controller", ControllerSchema);
    return { ...state, said };
  } catch (error) {
    return { ...state, silent: (error as Error).message };
  }
}

/** @param node what a controller says of it; absent where none does */
async function proxyState(
  view: ClusterView,
  pod: MeshPod,
  node: Node | undefined,
  wallMs: number,
): Promise<ProxyState> {
  const { name, ready, ending, waits, image } = pod;
  // Only itself knows how long it has heard nobody.
  const isToBeAsked = node?.connected !== true && !ending && waits === "";
  const said = isToBeAsked ? await answerOf(view, name, "/api/status", ProxySchema).catch(() => undefined) : undefined;
  return {
    name,
    node: pod.node,
    ready,
    draining: ending || said?.draining === true,
    waits,
    ageSeconds: ageOf(pod, wallMs),
    image,
    version: node?.connected === true ? node.version : (said?.version ?? ""),
    ...(node === undefined ? {} : { programmed: node.programmed }),
    connected: node?.connected === true || said?.connected === true,
    ...(said === undefined || said.connected ? {} : { silentSeconds: said.silentSeconds }),
    ...(node?.lagMs === undefined ? {} : { lagMs: node.lagMs }),
    error: node?.error ?? "",
    closedEntrypoints: node?.closedEntrypoints ?? [],
    ...(node?.engine === undefined ? {} : { engine: node.engine }),
  };
}

async function answerOf<T>(view: ClusterView, pod: string, path: string, schema: z.ZodType<T>): Promise<T> {
  const answer = schema.safeParse(await view.ask(pod, path));
  if (answer.success) return answer.data;
  throw new Error(`${pod}${path} is not answered as this version of Tulle does`);
}

function readTotals(answer: unknown): Totals | undefined {
  const read = ConfigSchema.safeParse(answer);
  return read.success ? totalsOf(read.data.config, read.data.version) : undefined;
}

function readProblems(answer: unknown): ObjectProblem[] {
  const read = ProblemsSchema.safeParse(answer);
  if (!read.success) throw new Error("what was answered are no problems: is it of the same version?");
  return read.data.map(problemOf);
}

function problemOf(problem: z.infer<typeof ProblemsSchema>[number]): ObjectProblem {
  const { severity, code, object, message, file, line } = problem;
  const name = object.namespace === "" ? object.name : `${object.namespace}/${object.name}`;
  const place = file === undefined ? {} : { place: `${file}:${line}` };
  return { severity, code, object: `${object.kind} ${name}`, message, ...place };
}

function ageOf({ createdAt }: MeshPod, wallMs: number): number {
  return Number.isNaN(createdAt) ? 0 : Math.max(0, Math.round((wallMs - createdAt) / 1000));
}
