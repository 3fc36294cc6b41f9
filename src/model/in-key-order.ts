/** Entries by their keys, in the order of their UTF-16 units, so that the same mesh is said in the same text everywhere. */
export function inKeyOrder<T>(
  entries: Iterable<readonly [key: string, value: T]>,
): (readonly [key: string, value: T])[] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
