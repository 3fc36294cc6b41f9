/**
 * The difference between two configurations as a JSON Merge Patch (RFC 7396): what a stream sends after the first full
 * one. MeshConfig holds no `null`, so a patch can say everything; arrays are replaced whole.
 *
 * Both ways share structure: equal references are not looked into, and what a patch leaves alone keeps its reference.
 * So an application costs as much as the change, and a proxy sees by reference what changed.
 */
import type { MeshConfig } from "./mesh-config.ts";

export type MergePatch = { readonly [key: string]: unknown };

type Json = { readonly [key: string]: unknown };

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @returns a new configuration; `config` stays as it is */
export function applyPatch(config: MeshConfig, patch: MergePatch): MeshConfig {
  return patchObject(config, patch) as unknown as MeshConfig;
}

/**
 * `to`, with every part that says the same as in `from` replaced by that very object: so that hashes are remembered and
 * differences found by reference. Both must not be changed afterwards.
 */
export function shareUnchanged<T>(from: unknown, to: T): T {
  return shared(from, to) as T;
}

/** @returns undefined where they are equal; else what a merge patch says to make the second out of the first */
export function diffOf(from: unknown, to: unknown): unknown {
  if (to === undefined) return from === undefined ? undefined : null;
  if (!isObject(from) || !isObject(to)) return equal(from, to) ? undefined : to;
  const patch = diffObjects(from, to);
  return isEmptyPatch(patch) ? undefined : patch;
}

function shared(from: unknown, to: unknown): unknown {
  if (from === to) return from;
  if (Array.isArray(from) && Array.isArray(to)) return sharedArray(from, to);
  if (!isObject(from) || !isObject(to)) return to;
  const keys = Object.keys(to);
  let same = keys.length === Object.keys(from).length;
  const result: Record<string, unknown> = {};
  for (const key of keys) {
    const before = Object.hasOwn(from, key) ? from[key] : undefined;
    const value = shared(before, to[key]);
    if (value !== before) same = false;
    define(result, key, value);
  }
  return same ? from : result;
}

function sharedArray(from: readonly unknown[], to: readonly unknown[]): readonly unknown[] {
  const result = to.map((item, index) => shared(from[index], item));
  return result.length === from.length && result.every((item, index) => item === from[index]) ? from : result;
}

function isEmptyPatch(patch: MergePatch): boolean {
  for (const _ in patch) return false;
  return true;
}

function diffObjects(from: Json, to: Json): MergePatch {
  const patch: Record<string, unknown> = {};
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) define(patch, key, null);
  for (const key of Object.keys(to)) {
    const after = to[key];
    const before = Object.hasOwn(from, key) ? from[key] : undefined;
    if (before === after) continue;
    if (isObject(before) && isObject(after)) {
      const inner = diffObjects(before, after);
      if (!isEmptyPatch(inner)) define(patch, key, inner);
    } else if (!equal(before, after)) define(patch, key, after);
  }
  return patch;
}

/** What a merge patch makes of a value. */
export function patched(before: unknown, change: unknown): unknown {
  return isObject(change) ? patchObject(isObject(before) ? before : {}, change) : change;
}

function patchObject(target: Json, patch: MergePatch): Json {
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(target)) define(result, key, target[key]);
  for (const key of Object.keys(patch)) {
    const change = patch[key];
    if (change === null) delete result[key];
    else define(result, key, patched(Object.hasOwn(result, key) ? result[key] : undefined, change));
  }
  return result;
}

/** As an own property whatever its name: a Service called `__proto__` cannot be, but a patch is input. */
export function define(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => equal(item, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
}
