/** Who looks at a Service that is not there would wait for ever: a word on standard error says so. */
import { nearest } from "../model/nearest.ts";
import type { Log } from "../telemetry/log.ts";
import type { MeshView } from "./mesh-view.ts";

/**
 * @param scope NAMESPACE/SERVICE, or with :PORT; of a namespace alone nothing is said
 * @param view who cannot be asked says so by itself, or is of a version that does not say
 */
export async function warnAbsent(
  view: Pick<MeshView, "servicePorts">,
  scope: string | undefined,
  log: Log,
): Promise<void> {
  if (scope === undefined || !scope.includes("/")) return;
  const ports = await view.servicePorts().catch(() => undefined);
  if (ports === undefined || ports.some((key) => key === scope || key.startsWith(`${scope}:`))) return;
  const what = /:\d+$/.test(scope) ? "port" : "Service";
  const meant = nearest(scope, what === "port" ? ports : [...new Set(ports.map((key) => key.replace(/:\d+$/, "")))]);
  log.warn(`there is no ${what} ${scope} in the mesh${meant === undefined ? "" : `; is ${meant} meant?`}`);
}
