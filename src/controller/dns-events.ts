/** What is told of changes of cluster DNS, on the objects changed. */
import type { ClusterEvent } from "./event-recorder.ts";

export const REPAIRED: ClusterEvent = {
  type: "Warning",
  reason: "MeshDnsRepaired",
  message: "The mesh domains had been overwritten and were put back; whoever writes this object should know of them.",
};
export const PATCHED: ClusterEvent = {
  type: "Normal",
  reason: "MeshDnsPatched",
  message: "The mesh domains were added.",
};

export function takenOver(from: string, by: string): ClusterEvent {
  const message = `The mesh domains lead to the mesh in namespace ${by} now. They were with the one in ${from}.`;
  return { type: "Normal", reason: "MeshDnsTakenOver", message };
}

export function handedBack(to: string): ClusterEvent {
  const message = `The mesh domains lead to Traefik Mesh in namespace ${to} again.`;
  return { type: "Normal", reason: "MeshDnsHandedBack", message };
}
