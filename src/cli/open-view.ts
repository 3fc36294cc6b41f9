import { systemClock } from "../model/clock.ts";
import { accessOf, type ClusterOptions, clientOf } from "./cluster-connection.ts";
import { ClusterView } from "./cluster-view.ts";
import type { ListenAddress } from "./common-options.ts";
import { meshNamespace } from "./mesh-namespace.ts";
import { LocalView } from "./mesh-view.ts";
import { stderrLog } from "./stderr-log.ts";

export interface ViewOptions extends ClusterOptions {
  readonly local?: boolean;
  readonly admin: ListenAddress;
  readonly namespace?: string;
}

/** @throws UsageError where no cluster is named */
export async function openView(
  options: ViewOptions,
  version: string,
  signal: AbortSignal,
): Promise<LocalView | ClusterView> {
  const now = () => systemClock.now();
  if (options.local === true) return new LocalView(options.admin, now, signal);
  const access = await accessOf(options, "; or look at a tulle local with --local");
  const api = clientOf(access, version, stderrLog());
  try {
    const namespace = await meshNamespace(api, options.namespace);
    return new ClusterView({ access, api, namespace, now, signal });
  } catch (error) {
    api.close();
    throw error;
  }
}
