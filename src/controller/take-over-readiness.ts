/** What a mesh lacks to take the mesh domains over from another: none of their calls may fail. */
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { TakeOver } from "./dns-ownership.ts";
import { type OriginalMesh, servedFrom } from "./original-meshes.ts";
import { shadowsIn } from "./shadow-services.ts";

/** A proxy, as `/api/status/nodes` says it. */
export interface ProxyReadiness {
  readonly Name: string;
  readonly node: string;
  readonly Ready: boolean;
  readonly connected: boolean;
  readonly programmed: boolean;
  readonly error?: string;
  readonly closedEntrypoints?: readonly string[];
}

export interface TakeOverView {
  readonly state: ClusterStateView;
  /** The mesh's own. */
  readonly namespace: string;
  /** Keys of the Services that the mesh serves. */
  readonly served: readonly string[];
  readonly proxies: readonly ProxyReadiness[];
  readonly originals: readonly OriginalMesh[];
}

/** @param from namespace of the mesh that has the domains */
export function lacksForTakeOver(view: TakeOverView, from: string, asked: TakeOver): string[] {
  const must = [...ofNamespace(view), ...ofShadows(view), ...ofProgramming(view)];
  // What somebody may find acceptable who looked at it.
  return asked === "force" ? must : [...must, ...ofReadiness(view), ...ofNames(view, from)];
}

function ofNamespace({ namespace, originals }: TakeOverView): string[] {
  if (!originals.some((original) => original.namespace === namespace)) return [];
  return [
    `Traefik Mesh is in namespace ${namespace} too, and uninstalling it would delete the shadow services there: install Tulle in a namespace of its own`,
  ];
}

function ofShadows({ state, namespace, served }: TakeOverView): string[] {
  const shadows = shadowsIn(state, namespace);
  const lacking = [...served].filter((key) => (shadows.get(key)?.clusterIPs ?? []).length === 0);
  return lacking.length === 0 ? [] : [`there is no shadow service yet for ${some(lacking)}`];
}

function ofProgramming({ proxies }: TakeOverView): string[] {
  const ready = proxies.filter(({ Ready }) => Ready);
  if (ready.length === 0) return ["no proxy is ready"];
  return ready.flatMap(({ Name, node, connected, programmed, error = "", closedEntrypoints = [] }) => {
    const proxy = `proxy ${Name} on ${node}`;
    if (!connected) return [`${proxy} hears no controller`];
    if (error !== "") return [`${proxy} refused the configuration: ${error}`];
    if (closedEntrypoints.length > 0) return [`${proxy} could not open ${closedEntrypoints.join(", ")}`];
    return programmed ? [] : [`${proxy} has not the newest configuration in force yet`];
  });
}

function ofReadiness({ proxies }: TakeOverView): string[] {
  return proxies.filter(({ Ready }) => !Ready).map(({ Name, node }) => `proxy ${Name} on ${node} is not ready`);
}

function ofNames({ state, served }: TakeOverView, from: string): string[] {
  const own = new Set(served);
  const missing = servedFrom(state, from).filter((key) => !own.has(key));
  if (missing.length === 0) return [];
  return [
    `${some(missing)} would lose the mesh name that the mesh in namespace ${from} gives: see controller.watchNamespaces and ignoreNamespaces, and what \`tulle check\` says of it`,
  ];
}

function some(keys: readonly string[]): string {
  const shown = keys.slice(0, 5).join(", ");
  return keys.length > 5 ? `${shown} and ${keys.length - 5} more` : shown;
}
