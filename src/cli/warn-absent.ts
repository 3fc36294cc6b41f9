/** Who looks at a Service that is not there would wait for ever: a word on standard error says so. */
import { z } from "zod";
import { nearest } from "../model/nearest.ts";
import type { Log } from "../telemetry/log.ts";
import type { MeshView } from "./mesh-view.ts";

const ConfigSchema = z.object({ config: z.object({ servicePorts: z.record(z.string(), z.unknown()) }) });

/**
 * @param scope NAMESPACE/SERVICE, or with :PORT; of a namespace alone nothing is said
 * @param view who cannot be asked for its configuration says so by itself
 */
export async function warnAbsent(view: Pick<MeshView, "config">, scope: string | undefined, log: Log): Promise<void> {
  if (scope === undefined || !scope.includes("/")) return;
  const answer = ConfigSchema.safeParse(await view.config().catch(() => undefined));
  if (!answer.success) return;
  const ports = Object.keys(answer.data.config.servicePorts);
  if (ports.some((key) => key === scope || key.startsWith(`${scope}:`))) return;
  const what = /:\d+$/.test(scope) ? "port" : "Service";
  const meant = nearest(scope, what === "port" ? ports : [...new Set(ports.map((key) => key.replace(/:\d+$/, "")))]);
  log.warn(`there is no ${what} ${scope} in the mesh${meant === undefined ? "" : `; is ${meant} meant?`}`);
}
