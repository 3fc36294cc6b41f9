/** How the mesh's own objects in a cluster are named and known. */
import { createHash } from "node:crypto";

const MESH_NAME = "tulle";
export const CONTROLLER = "tulle-controller";
export const PROXY = "tulle-proxy";
export const DNS_SERVICE = "tulle-dns";
export const LEASE = "tulle-controller";
/** Audience of the tokens that proxies show to controllers. */
export const CONFIG_AUDIENCE = "tulle-config";

/** Selects the proxies. */
export const PROXY_SELECTOR: Readonly<Record<string, string>> = {
  "app.kubernetes.io/name": MESH_NAME,
  "app.kubernetes.io/component": "proxy",
};

export const PROXY_LABELS = Object.entries(PROXY_SELECTOR)
  .map(([name, value]) => `${name}=${value}`)
  .join(",");

/** Which Service a shadow service stands for: `namespace/name`. */
export const SHADOW_OF = "tulle.dev/shadow-of";

/** `app` and `type` are the original's, by which it and its users' scripts know shadow services, and pass them over. */
export const SHADOW_LABELS: Readonly<Record<string, string>> = {
  app: "maesh",
  type: "shadow",
  "app.kubernetes.io/managed-by": MESH_NAME,
  "app.kubernetes.io/part-of": MESH_NAME,
};
export const SHADOW_SELECTOR = Object.entries(SHADOW_LABELS)
  .map(([name, value]) => `${name}=${value}`)
  .join(",");

/** By which a mesh's controller is found, in whatever namespace. */
export const MESH_LABELS: Readonly<Record<string, string>> = {
  "app.kubernetes.io/part-of": MESH_NAME,
  "app.kubernetes.io/component": "controller",
};

/** A Service's name is a DNS label. */
const MAX_NAME = 63;

/** Between the names of Service and namespace: "mesh" in hexadecimal digits. */
const SEPARATOR = "-6d61657368-";

/**
 * The original's name, which the rewrite rule of DNS can make out of a mesh name, where it fits into a label and is of
 * this Service alone; else one made of a hash, which DNS must be told.
 */
export function shadowName(meshNamespace: string, namespace: string, service: string): string {
  const plain = patternedName(meshNamespace, namespace, service);
  // Where the separator is in a name too, another Service and namespace would be joined to the same.
  const joined = service + SEPARATOR + namespace;
  const ambiguous = joined.indexOf(SEPARATOR) !== joined.lastIndexOf(SEPARATOR);
  if (plain.length <= MAX_NAME && !ambiguous) return plain;
  const hash = createHash("sha256").update(`${namespace}/${service}`).digest("hex").slice(0, 32);
  return `${MESH_NAME}-shadow-${hash}`;
}

/** Whether a shadow service has the name that DNS makes out of the mesh name by itself. */
export function isPatterned(name: string, meshNamespace: string, namespace: string, service: string): boolean {
  return name === patternedName(meshNamespace, namespace, service);
}

function patternedName(meshNamespace: string, namespace: string, service: string): string {
  return `${meshNamespace}-${service}${SEPARATOR}${namespace}`;
}
