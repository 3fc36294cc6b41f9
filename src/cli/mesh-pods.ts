/** The mesh's own Pods, as the API server tells of them. */
import { z } from "zod";
import type { Api } from "../kube/api-client.ts";

export interface MeshPod {
  readonly name: string;
  readonly component: "controller" | "proxy";
  /** "" until it is given one. */
  readonly node: string;
  readonly ready: boolean;
  /** It was told to end. */
  readonly ending: boolean;
  /** Milliseconds since the epoch, of its creation; NaN where it is not said. */
  readonly createdAt: number;
  /** Of its first container. */
  readonly image: string;
  /** Why it does not run: a phase, or what its container waits for; "" where it runs. */
  readonly waits: string;
}

const PodSchema = z.object({
  metadata: z.object({
    name: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    creationTimestamp: z.string().default(""),
    deletionTimestamp: z.string().optional(),
  }),
  spec: z
    .object({ nodeName: z.string().default(""), containers: z.array(z.object({ image: z.string().default("") })) })
    .default({ nodeName: "", containers: [] }),
  status: z
    .object({
      phase: z.string().default(""),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
      containerStatuses: z
        .array(z.object({ state: z.object({ waiting: z.object({ reason: z.string() }).optional() }).optional() }))
        .default([]),
    })
    .default({ phase: "", conditions: [], containerStatuses: [] }),
});

/** In order of their names. @throws ApiError where they may not be listed */
export async function meshPods(api: Api, namespace: string, signal: AbortSignal): Promise<MeshPod[]> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
  const query = { labelSelector: "app.kubernetes.io/part-of=tulle" };
  const { items = [] } = await api.request<{ readonly items?: readonly unknown[] }>("GET", path, { query, signal });
  return items.flatMap((item) => podOf(item) ?? []).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function podOf(item: unknown): MeshPod | undefined {
  const read = PodSchema.safeParse(item);
  if (!read.success) return undefined;
  const { metadata, spec, status } = read.data;
  const component = metadata.labels["app.kubernetes.io/component"];
  if (component !== "controller" && component !== "proxy") return undefined;
  const waiting = status.containerStatuses.flatMap(({ state }) => state?.waiting?.reason ?? [])[0];
  return {
    name: metadata.name,
    component,
    node: spec.nodeName,
    ready: status.conditions.some(({ type, status: is }) => type === "Ready" && is === "True"),
    ending: metadata.deletionTimestamp !== undefined,
    createdAt: Date.parse(metadata.creationTimestamp),
    image: spec.containers[0]?.image ?? "",
    waits: waiting ?? (status.phase === "Running" ? "" : status.phase),
  };
}
