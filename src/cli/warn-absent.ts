/** Who looks at what is not there would wait for ever, or see nothing: a word on standard error says so. */
import { callersOf, type MeshConfig } from "../config/mesh-config.ts";
import { nearest } from "../model/nearest.ts";
import { isPodOf } from "../proxy/tap/tap-matcher.ts";
import type { Log } from "../telemetry/log.ts";
import type { MeshView } from "./mesh-view.ts";

/**
 * What is called.
 * @param scope NAMESPACE, NAMESPACE/SERVICE, or with :PORT
 * @param view who cannot be asked says so by itself, or is of a version that does not say
 */
export async function warnAbsent(
  view: Pick<MeshView, "servicePorts">,
  scope: string | undefined,
  log: Log,
): Promise<void> {
  if (scope === undefined) return;
  const ports = await view.servicePorts().catch(() => undefined);
  if (ports === undefined) return;
  if (!scope.includes("/")) {
    warn("Service in namespace", scope, new Set(ports.map(namespaceOf)), log);
    return;
  }
  if (/:\d+$/.test(scope)) warn("port", scope, new Set(ports), log);
  else warn("Service", scope, new Set(ports.map((key) => key.replace(/:\d+$/, ""))), log);
}

/**
 * Who calls.
 * @param from NAMESPACE, or NAMESPACE/NAME of a Pod or of what made it
 */
export async function warnAbsentCaller(
  view: Pick<MeshView, "callers">,
  from: string | undefined,
  log: Log,
): Promise<void> {
  if (from === undefined) return;
  const pods = await view.callers().catch(() => undefined);
  if (pods === undefined) return;
  if (!from.includes("/")) warn("Pod in namespace", from, new Set(pods.map(namespaceOf)), log);
  else warn("Pod", from, new Set(pods.flatMap(callersNames)), log);
}

/** Whose calls are shown, as callers or as who is called. @param config absent: not known */
export function warnAbsentNamespace(config: MeshConfig | undefined, namespace: string, log: Log): void {
  if (config === undefined) return;
  const known = [...Object.keys(config.servicePorts), ...callersOf(config)].map(namespaceOf);
  warn("Service or Pod in namespace", namespace, new Set(known), log);
}

function warn(what: string, name: string, known: ReadonlySet<string>, log: Log): void {
  if (known.has(name)) return;
  const meant = nearest(name, known);
  log.warn(`there is no ${what} ${name} in the mesh${meant === undefined ? "" : `; is ${meant} meant?`}`);
}

const namespaceOf = (key: string) => key.slice(0, key.indexOf("/"));

/** A Pod's own name, and those by which a tap knows what made it. */
function callersNames(caller: string): string[] {
  const namespace = namespaceOf(caller);
  const parts = caller.slice(namespace.length + 1).split("-");
  const pod = parts.join("-");
  const makers = [parts.slice(0, -1), parts.slice(0, -2)].map((each) => `${namespace}/${each.join("-")}`);
  return [caller, ...makers.filter((maker) => isPodOf(namespace, pod, maker))];
}
