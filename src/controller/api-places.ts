/** Where an object is to be found at the API server. */

import type { ClusterStateView } from "../model/cluster-state.ts";
import { SMI_KINDS } from "../model/decode/smi-kinds.ts";
import type { ObjectRef } from "../model/objects.ts";

export interface ApiPlace {
  readonly path: string;
  readonly apiVersion: string;
}

const CORE: Readonly<Record<string, string>> = { Service: "services", Pod: "pods", ConfigMap: "configmaps" };
const SMI_PLURALS: Readonly<Record<string, string>> = {
  HTTPRouteGroup: "httproutegroups",
  TCPRoute: "tcproutes",
  UDPRoute: "udproutes",
  TrafficTarget: "traffictargets",
  TrafficSplit: "trafficsplits",
};

/** @returns undefined for kinds that no Event is written about */
export function placeOf({ kind, namespace, name }: ObjectRef, state: ClusterStateView): ApiPlace | undefined {
  const core = CORE[kind];
  if (core !== undefined) return { path: `/api/v1/namespaces/${namespace}/${core}/${name}`, apiVersion: "v1" };
  if (kind === "Deployment" || kind === "DaemonSet")
    return { path: `/apis/apps/v1/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`, apiVersion: "apps/v1" };
  const plural = SMI_PLURALS[kind];
  const decoder = SMI_KINDS[kind];
  if (plural === undefined || decoder === undefined) return undefined;
  const object = state.get(kind as "TrafficSplit", `${namespace}/${name}`);
  const version = object?.version ?? decoder.versions.at(-1);
  const apiVersion = `${decoder.group}/${version}`;
  return { path: `/apis/${apiVersion}/namespaces/${namespace}/${plural}/${name}`, apiVersion };
}
