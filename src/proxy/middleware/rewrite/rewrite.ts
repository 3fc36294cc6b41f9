/** URLRewrite of the Gateway API: the path that the endpoint gets. The host is the filter's own, where it has one. */
import type { Filter } from "../../../config/mesh-config.ts";

export type PathChange = NonNullable<Extract<Filter, { type: "rewrite" }>["path"]>;

const PERCENT = 0x25;
const SLASH = 0x2f;

/**
 * @param change absent: the path stays
 * @param path as received, without query
 * @param prefix the value of the route's prefix match that fitted; "" where none did, which is as "/"
 * @returns the new path, which begins with "/" where the old one did or something was put in its place
 */
export function changePath(change: PathChange | undefined, path: string, prefix: string): string {
  if (change === undefined) return path;
  const { value } = change;
  if (change.type === "full") return absolute(value);
  const rest = path.slice(rawLengthOf(path, withoutSlash(prefix)));
  // One slash between the two, whichever of them brings it; and never an empty path.
  return absolute(rest === "" ? value : withoutSlash(value) + rest);
}

/** Path and query as one request target. */
export function targetOf(path: string, query: string): string {
  return query === "" ? path : `${path}?${query}`;
}

function absolute(path: string): string {
  return path.charCodeAt(0) === SLASH ? path : `/${path}`;
}

function withoutSlash(path: string): string {
  return path.charCodeAt(path.length - 1) === SLASH ? path.slice(0, -1) : path;
}

/** How much of a raw path the (decoded) prefix covers: an octet may have been written as three characters. */
function rawLengthOf(path: string, prefix: string): number {
  let octets = octetsOf(prefix);
  let at = 0;
  while (octets > 0 && at < path.length) {
    at += path.charCodeAt(at) === PERCENT ? 3 : 1;
    octets--;
  }
  return Math.min(at, path.length);
}

/** Length in UTF-8. */
function octetsOf(text: string): number {
  let octets = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    // A surrogate pair is four octets, two for each half.
    octets += code < 0x80 ? 1 : code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 2 : 3;
  }
  return octets;
}
