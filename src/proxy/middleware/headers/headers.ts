/**
 * Changes fields of a head as a route's filter asks. Fields that say how the message is framed, or that belong to one
 * connection, are not a route's to change: a wrong one would let a request be read in two ways further on. The host is
 * changed by a rewrite.
 */
import type { HeaderChange } from "../../../config/mesh-config.ts";

/**
 * @param names as received, in order; changed in place together with `values`
 * @param values one for each name
 */
export function changeFields(names: string[], values: string[], change: HeaderChange): void {
  const { set, add, remove } = change;
  if (remove !== undefined) for (const name of remove) if (mayChange(name)) removeField(names, values, name, 0);
  if (set !== undefined) {
    for (const name in set) {
      const value = set[name] as string;
      if (mayChange(name) && isFieldValue(value)) setField(names, values, name, value);
    }
  }
  if (add !== undefined) {
    for (const name in add) {
      const value = add[name] as string;
      if (!mayChange(name) || !isFieldValue(value)) continue;
      names.push(name);
      values.push(value);
    }
  }
}

/** The first of that name gets the value, others go; where there is none, it comes last. */
function setField(names: string[], values: string[], name: string, value: string): void {
  const lower = name.toLowerCase();
  for (let index = 0; index < names.length; index++) {
    if ((names[index] as string).toLowerCase() !== lower) continue;
    values[index] = value;
    removeField(names, values, lower, index + 1);
    return;
  }
  names.push(name);
  values.push(value);
}

function removeField(names: string[], values: string[], name: string, from: number): void {
  const lower = name.toLowerCase();
  let kept = from;
  for (let index = from; index < names.length; index++) {
    const other = names[index] as string;
    if (other.toLowerCase() === lower) continue;
    names[kept] = other;
    values[kept] = values[index] as string;
    kept++;
  }
  names.length = values.length = kept;
}

function mayChange(name: string): boolean {
  switch (name.toLowerCase()) {
    case "connection":
    case "content-length":
    case "host":
    case "keep-alive":
    case "proxy-connection":
    case "te":
    case "trailer":
    case "transfer-encoding":
    case "upgrade":
      return false;
    default:
      return isToken(name);
  }
}

/** RFC 9110 §5.6.2. */
function isToken(name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    const code = name.charCodeAt(index);
    if (code <= 0x20 || code >= 0x7f || DELIMITERS.includes(name.charAt(index))) return false;
  }
  return name !== "";
}

const DELIMITERS = '"(),/:;<=>?@[\\]{}';

/** RFC 9110 §5.5, in bytes: heads are written one character a byte. */
function isFieldValue(value: string): boolean {
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false;
  }
  return true;
}
