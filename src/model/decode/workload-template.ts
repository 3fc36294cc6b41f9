/** Kinds that make Pods. A cluster's state has their Pods; a manifest has only these, and someone must make them. */
import { z } from "zod";
import type { Container, Meta } from "../objects.ts";
import { PodSpecSchema } from "./core-kinds.ts";
import type { KindDecoder } from "./decode-object.ts";
import { MetaSchema, metaOf, orEmpty } from "./schemas.ts";

export interface WorkloadTemplate {
  readonly kind: "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job";
  readonly meta: Meta;
  /** Pods wanted at a time; for a DaemonSet, on each node. */
  readonly replicas: number;
  /** A Job that ran to its end. */
  readonly completed: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly hostNetwork: boolean;
  readonly nodeName?: string;
  readonly containers: readonly Container[];
}

const count = z.int().min(0);

const WorkloadSchema = z.looseObject({
  metadata: MetaSchema,
  spec: z
    .looseObject({
      replicas: count.nullish(),
      parallelism: count.nullish(),
      selector: orEmpty(z.looseObject({ matchLabels: orEmpty(z.record(z.string(), z.string())) })),
      template: z.looseObject({
        metadata: orEmpty(
          z.looseObject({
            labels: orEmpty(z.record(z.string(), z.string())),
            annotations: orEmpty(z.record(z.string(), z.string())),
          }),
        ),
        spec: PodSpecSchema,
      }),
    })
    .superRefine((spec, context) => {
      const labels = spec.template.metadata?.labels ?? {};
      for (const [name, value] of Object.entries(spec.selector?.matchLabels ?? {}))
        if (labels[name] !== value)
          context.addIssue({
            code: "custom",
            path: ["selector", "matchLabels", name],
            message: `the template's labels must have it too, and there it is ${labels[name] === undefined ? "missing" : `"${labels[name]}"`}`,
          });
    }),
  status: orEmpty(
    z.looseObject({ conditions: orEmpty(z.array(z.looseObject({ type: z.string(), status: z.string() }))) }),
  ),
});

function decoder(kind: WorkloadTemplate["kind"], group: string): KindDecoder {
  const schema = WorkloadSchema.transform(({ metadata, spec, status }): WorkloadTemplate => {
    const { template } = spec;
    const pod = template.spec;
    const ended = (status?.conditions ?? []).some(
      ({ type, status: is }) => (type === "Complete" || type === "Failed") && is === "True",
    );
    return {
      kind,
      meta: metaOf(metadata),
      replicas: (kind === "Job" ? spec.parallelism : kind === "DaemonSet" ? 1 : spec.replicas) ?? 1,
      completed: kind === "Job" && ended,
      labels: template.metadata?.labels ?? {},
      annotations: template.metadata?.annotations ?? {},
      serviceAccount: pod.serviceAccountName || pod.serviceAccount || "default",
      hostNetwork: pod.hostNetwork ?? false,
      ...(pod.nodeName ? { nodeName: pod.nodeName } : {}),
      containers: pod.containers,
    };
  });
  return { group, versions: ["v1"], namespaced: true, decode: (raw) => schema.safeParse(raw) };
}

export const TEMPLATE_KINDS: Readonly<Record<WorkloadTemplate["kind"], KindDecoder>> = {
  Deployment: decoder("Deployment", "apps"),
  ReplicaSet: decoder("ReplicaSet", "apps"),
  StatefulSet: decoder("StatefulSet", "apps"),
  DaemonSet: decoder("DaemonSet", "apps"),
  Job: decoder("Job", "batch"),
};
