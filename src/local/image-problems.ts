import type { ClusterStateView } from "../model/cluster-state.ts";
import { keyOf, type Pod, refOf } from "../model/objects.ts";
import { type Problem, problem } from "../model/problems.ts";
import { sampleFor } from "./samples/sample-images.ts";

/** Keys of the Pods that some slice names: those that are to answer calls. */
export function backingPods(state: ClusterStateView): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const slice of state.list("EndpointSlice"))
    for (const { pod } of slice.endpoints) if (pod !== undefined) keys.add(keyOf(pod));
  return keys;
}

/** Said of a Pod that is to answer calls and whose images are all unknown. */
export function unknownImage(pod: Pod): Problem | undefined {
  const [first] = pod.containers;
  if (first === undefined || pod.containers.some((container) => sampleFor(container) !== undefined)) return undefined;
  return problem(
    "ImageNotServed",
    refOf(pod),
    "spec.containers[0].image",
    `image "${first.image}" is none that runs here`,
  );
}

export function imageProblems(state: ClusterStateView): Problem[] {
  const backing = backingPods(state);
  return [...state.list("Pod")].flatMap((pod) => (backing.has(keyOf(pod.meta)) ? (unknownImage(pod) ?? []) : []));
}
