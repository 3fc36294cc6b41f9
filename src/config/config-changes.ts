/** What changed between two configurations, by the objects that people know, for those who ask what happened. */
import { diffOf, type MergePatch } from "./delta.ts";
import type { MeshConfig, Route } from "./mesh-config.ts";

export interface ConfigChange {
  readonly change: "added" | "removed" | "changed";
  /** `Service`, `endpoint`, `TrafficTarget`, `caller` or `setting`. */
  readonly what: string;
  /** `namespace/service:port`, `address:port of namespace/service:port`… */
  readonly object: string;
  /** Of what was changed; each value as text, cut where it is long, "" where there is none. */
  readonly fields: readonly { readonly field: string; readonly before: string; readonly after: string }[];
}

const MAX_TEXT = 300;

type Fields = ConfigChange["fields"][number][];
type Json = { readonly [key: string]: unknown };

/** In order of kind and key: Services first, as they are what is asked for most. */
export function changesOf(from: MeshConfig, to: MeshConfig): ConfigChange[] {
  const patch = (diffOf(from, to) ?? {}) as MergePatch;
  return [
    ...servicePortChanges(from, to, patch),
    ...recordChanges("TrafficTarget", from.accessRules, to.accessRules, patch["accessRules"]),
    ...recordChanges("mesh name", from.names, to.names, patch["names"]),
    ...recordChanges("caller", from.workloads, to.workloads, patch["workloads"]),
    ...settingChanges(from, to, patch),
  ];
}

function servicePortChanges(from: MeshConfig, to: MeshConfig, patch: MergePatch): ConfigChange[] {
  return keysOf(patch["servicePorts"]).flatMap((key) => {
    const [before, after] = [from.servicePorts[key], to.servicePorts[key]];
    if (before === undefined || after === undefined) return plainChange("Service", key, before, after);
    const { endpoints: oldEndpoints, ...old } = before;
    const { endpoints: newEndpoints, ...current } = after;
    const own = (patch["servicePorts"] as Json)[key] as Json;
    const fields = fieldsOf(old, current);
    const itself: ConfigChange[] =
      fields.length === 0 ? [] : [{ change: "changed", what: "Service", object: key, fields }];
    const endpoints = recordChanges("endpoint", oldEndpoints, newEndpoints, own["endpoints"]);
    return [...itself, ...endpoints.map((each) => ({ ...each, object: `${each.object} of ${key}` }))];
  });
}

function recordChanges(what: string, from: Json, to: Json, patch: unknown): ConfigChange[] {
  return keysOf(patch).flatMap((key) => plainChange(what, key, from[key], to[key]));
}

function plainChange(what: string, object: string, before: unknown, after: unknown): ConfigChange[] {
  if (before === undefined) return [{ change: "added", what, object, fields: [] }];
  if (after === undefined) return [{ change: "removed", what, object, fields: [] }];
  return [{ change: "changed", what, object, fields: fieldsOf(before, after) }];
}

/** What no object of its own has. Entrypoints follow from names and Services: they would say the same again. */
function settingChanges(from: MeshConfig, to: MeshConfig, patch: MergePatch): ConfigChange[] {
  return (["accessControl", "meshDomains"] as const)
    .filter((name) => name in patch)
    .map((name) => ({
      change: "changed",
      what: "setting",
      object: name,
      fields: [{ field: "", before: valueText(name, from[name]), after: valueText(name, to[name]) }],
    }));
}

/** By their first level: deeper, a path says less than the whole value. */
function fieldsOf(before: unknown, after: unknown): Fields {
  if (!isObject(before) || !isObject(after))
    return [{ field: "", before: valueText("", before), after: valueText("", after) }];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((field) => {
    const [old, current] = [fieldText(field, before[field]), fieldText(field, after[field])];
    return old === current ? [] : [{ field, before: cut(old), after: cut(current) }];
  });
}

const valueText = (field: string, value: unknown): string => cut(fieldText(field, value));

function fieldText(field: string, value: unknown): string {
  if (value === undefined) return "";
  if (field === "routes") return (value as readonly Route[]).map(routeText).join("; ");
  // Addresses of a name, domains of the mesh.
  if (isTexts(value)) return value.join(", ") || "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The weights are what is changed most. */
function routeText({ origin, matches, backends, ...rest }: Route): string {
  const when = matches.length === 0 ? "" : ` for ${JSON.stringify(matches)}`;
  const parts = backends.map(({ servicePort, weight, ...more }) => {
    const extra = Object.keys(more).length === 0 ? "" : ` ${JSON.stringify(more)}`;
    return `${servicePort} ${weight}${extra}`;
  });
  const extra = Object.keys(rest).length === 0 ? "" : ` ${JSON.stringify(rest)}`;
  return `${origin.kind} ${origin.namespace}/${origin.name}${when}: ${parts.join(", ") || "nowhere"}${extra}`;
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

function keysOf(patch: unknown): string[] {
  return isObject(patch) ? Object.keys(patch).sort() : [];
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
