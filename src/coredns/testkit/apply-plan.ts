/** What the API server would hold after a plan: merge patches (RFC 7396) on ConfigMaps and on OpenShift's operator. */
import type { DnsPlan, ObjectChange } from "../dns-plan.ts";
import type { ConfigMapJson, DnsOperatorJson, ObservedDns } from "../dns-provider.ts";

export function applyPlan(observed: ObservedDns, { changes }: DnsPlan): ObservedDns {
  return changes.reduce(applyChange, observed);
}

function applyChange(observed: ObservedDns, change: ObjectChange): ObservedDns {
  const { kind, name } = change.object;
  if (kind === "DNS") return { ...observed, dnsOperator: changed(observed.dnsOperator, change) as DnsOperatorJson };
  const { [name]: before, ...others } = observed.configMaps;
  const after = changed(before, change) as ConfigMapJson | undefined;
  return { ...observed, configMaps: after === undefined ? others : { ...others, [name]: after } };
}

function changed(before: object | undefined, change: ObjectChange): unknown {
  if (change.action === "delete") return undefined;
  if ((before === undefined) !== (change.action === "create"))
    throw new Error(`${change.action} of ${change.object.name} does not fit what is there`);
  return change.action === "create" ? change.body : merge(before, change.mergePatch);
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch))
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  return result;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
