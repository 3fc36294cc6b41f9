/** A value of somebody's installation in a report that may be passed on: without what is nobody's business. */
import { isTree } from "./value-tree.ts";

const SECRET = /pass|pwd|secret|token|credential|auth|dsn|private|(?:api|access|license|signing|encryption)[-_.]?key/i;
const HIDDEN = "(not shown)";

/** @param path of the value, or the name of a flag: what looks like a secret by its name is not shown */
export function shownValue(path: string, value: unknown): string {
  return SECRET.test(path) ? HIDDEN : JSON.stringify(withoutSecrets(value));
}

/** `--pilot.token=x` without the x. */
export function shownFlag(text: string): string {
  const [, name = text, value] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  return value === undefined ? name : `${name}=${SECRET.test(name) ? HIDDEN : String(withoutSecrets(value))}`;
}

function withoutSecrets(value: unknown): unknown {
  // A user and his password before a host.
  if (typeof value === "string")
    return /^--?[^=\s]+=/.test(value) ? shownFlag(value) : value.replace(/\/\/[^/\s]*@/g, "//");
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (!isTree(value)) return value;
  // Variables have their names beside them.
  const isNamedSecret = typeof value["name"] === "string" && SECRET.test(value["name"]);
  return Object.fromEntries(
    Object.entries(value).map(([key, own]) => [
      key,
      SECRET.test(key) || (isNamedSecret && key === "value") ? HIDDEN : withoutSecrets(own),
    ]),
  );
}
