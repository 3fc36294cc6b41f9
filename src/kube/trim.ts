/** Leaves of a decoded object what a cluster's mesh reads: the rest would fill the memory of the controller. */
import type { DecodedObject } from "../model/decode/decode-object.ts";
import type { Container, MeshObject, Meta } from "../model/objects.ts";

const NONE: Readonly<Record<string, string>> = Object.freeze({});
/** Written by kubectl: the object once more, as text. */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

export function trim(object: DecodedObject): MeshObject | undefined {
  switch (object.kind) {
    case "Pod":
      return { ...object, meta: bare(object.meta), containers: declaredPorts(object.containers) };
    case "EndpointSlice":
    case "Node":
      return { ...object, meta: bare(object.meta) };
    case "Deployment":
    case "ReplicaSet":
    case "StatefulSet":
    case "DaemonSet":
    case "Job":
      return undefined;
    default:
      return { ...object, meta: withoutLastApplied(object.meta) } as MeshObject;
  }
}

const NO_CONTAINERS: readonly Container[] = Object.freeze([]);
const NO_WORDS: readonly string[] = Object.freeze([]);

/** What the topology tells of a Pod; nothing decides by it. */
function declaredPorts(containers: readonly Container[]): readonly Container[] {
  const declaring = containers.filter(({ ports }) => ports.length > 0);
  if (declaring.length === 0) return NO_CONTAINERS;
  return declaring.map(({ name, ports }) => ({ name, image: "", command: NO_WORDS, args: NO_WORDS, env: NONE, ports }));
}

/** Of the labels, those by which objects of a mesh itself are known, Tulle or Traefik Mesh, and which component they are. */
const READ_LABELS = ["app", "component", "app.kubernetes.io/part-of", "app.kubernetes.io/component"];

function bare(meta: Meta): Meta {
  const kept = READ_LABELS.filter((name) => meta.labels[name] !== undefined);
  const labels = kept.length === 0 ? NONE : Object.fromEntries(kept.map((name) => [name, meta.labels[name] as string]));
  return { ...meta, labels, annotations: NONE };
}

function withoutLastApplied(meta: Meta): Meta {
  if (meta.annotations[LAST_APPLIED] === undefined) return meta;
  const { [LAST_APPLIED]: _, ...annotations } = meta.annotations;
  return { ...meta, annotations };
}
