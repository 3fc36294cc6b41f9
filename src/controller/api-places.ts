/** Where an object is to be found at the API server. */
import type { Kind, ObjectRef } from "../model/objects.ts";

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

/**
 * @param servedVersion `group/version` in which the cluster serves a kind: the version in which an object was written may
 *   be served no more
 * @returns undefined for kinds that no Event is written about, or that the cluster has not
 */
export function placeOf(
  { kind, namespace, name }: ObjectRef,
  servedVersion: (kind: Kind) => string | undefined,
): ApiPlace | undefined {
  const core = CORE[kind];
  if (core !== undefined) return { path: `/api/v1/namespaces/${namespace}/${core}/${name}`, apiVersion: "v1" };
  if (kind === "Deployment" || kind === "DaemonSet")
    return { path: `/apis/apps/v1/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`, apiVersion: "apps/v1" };
  const plural = SMI_PLURALS[kind];
  const apiVersion = plural === undefined ? undefined : servedVersion(kind as Kind);
  if (apiVersion === undefined) return undefined;
  return { path: `/apis/${apiVersion}/namespaces/${namespace}/${plural}/${name}`, apiVersion };
}
