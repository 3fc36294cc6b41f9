/** What makes Pods, as its Pods and their makers name it. */
interface PodOwner {
  readonly kind: string;
  readonly name: string;
}

/** A CronJob names its Jobs by the minute, or second, for which they were planned. */
const SCHEDULED = /^(.+)-\d{8,10}$/;

/**
 * The name by which people know what a Pod is one of: the Deployment of a ReplicaSet, the CronJob of a Job, or the owner
 * itself. A ReplicaSet and a planned Job are there for one version and one run, and would make a new name each time.
 * @param labels of the Pod
 * @returns undefined for a Pod on its own, and for one that is a node's file
 */
export function workloadName(
  owner: PodOwner | undefined,
  labels: Readonly<Record<string, string>>,
): string | undefined {
  if (owner === undefined || owner.kind === "Node") return undefined;
  if (owner.kind === "Job") return SCHEDULED.exec(owner.name)?.[1] ?? owner.name;
  const suffix = `-${labels["pod-template-hash"] ?? ""}`;
  const ofVersion = owner.kind === "ReplicaSet" && suffix !== "-" && owner.name.endsWith(suffix);
  return (ofVersion && owner.name.slice(0, -suffix.length)) || owner.name;
}

/** The kind of what `workloadName` names. */
export function workloadKind(
  owner: PodOwner | undefined,
  labels: Readonly<Record<string, string>>,
): string | undefined {
  const name = workloadName(owner, labels);
  if (owner === undefined || name === undefined) return undefined;
  if (name === owner.name) return owner.kind;
  return owner.kind === "Job" ? "CronJob" : "Deployment";
}
