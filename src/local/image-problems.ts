/** What of a Pod is served on one machine, and what is wrong where its manifest asks for something else. */
import type { ClusterStateView } from "../model/cluster-state.ts";
import { keyOf, type Pod, refOf } from "../model/objects.ts";
import { type Problem, problem } from "../model/problems.ts";
import { type SampleSpec, sampleFor } from "./samples/sample-images.ts";

export interface SamplePlan {
  /** What can be started, each with the number of its container. */
  readonly specs: readonly { readonly spec: SampleSpec; readonly container: number }[];
  readonly problems: readonly Problem[];
}

/** Keys of the Pods that some slice names: those that are to answer calls. */
export function backingPods(state: ClusterStateView): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const slice of state.list("EndpointSlice"))
    for (const { pod } of slice.endpoints) if (pod !== undefined) keys.add(keyOf(pod));
  return keys;
}

/** @param backing the Pod is to answer calls, so that unknown images matter */
export function planSamples(pod: Pod, backing: boolean): SamplePlan {
  const specs: { spec: SampleSpec; container: number }[] = [];
  const problems: Problem[] = [];
  const taken = new Set<string>();
  let known = 0;
  for (const [container, each] of pod.containers.entries()) {
    const spec = sampleFor(each);
    if (spec === undefined) continue;
    known++;
    const port = `${spec.kind === "udp" ? "UDP" : "TCP"} ${spec.port}`;
    const obstacle =
      spec.unusable ?? (taken.has(port) ? `another container of the Pod listens on ${port} already` : undefined);
    if (obstacle !== undefined) problems.push(sampleNotServed(pod, container, obstacle));
    else {
      taken.add(port);
      specs.push({ spec, container });
    }
  }
  const [first] = pod.containers;
  if (backing && known === 0 && first !== undefined) {
    const detail = `image "${first.image}" is none that runs here`;
    problems.push(problem("ImageNotServed", refOf(pod), "spec.containers[0].image", detail));
  }
  return { specs, problems };
}

export function sampleNotServed(pod: Pod, container: number, detail: string): Problem {
  return problem("SampleNotServed", refOf(pod), `spec.containers[${container}]`, detail);
}

/** Of all Pods, without starting any. */
export function imageProblems(state: ClusterStateView): Problem[] {
  const backing = backingPods(state);
  return [...state.list("Pod")]
    .filter(({ phase }) => phase === "Running")
    .flatMap((pod) => planSamples(pod, backing.has(keyOf(pod.meta))).problems);
}
