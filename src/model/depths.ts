/**
 * How many steps there are at most from each point until nothing follows: infinitely many from a circle, and from what
 * leads into one. Each step is looked at once, from the last ones back, so that neither the number of ways nor their length
 * matters.
 * @param next what follows each point; points that are no key are not counted
 */
export function depthsOf(next: ReadonlyMap<string, ReadonlySet<string>>): ReadonlyMap<string, number> {
  const before = new Map<string, string[]>();
  /** How many of those that follow are not known yet. */
  const unknown = new Map<string, number>();
  const reached = new Map<string, number>();
  for (const [point, all] of next) {
    const following = [...all].filter((each) => next.has(each));
    unknown.set(point, following.length);
    reached.set(point, 1);
    for (const each of following) {
      const known = before.get(each);
      if (known === undefined) before.set(each, [point]);
      else known.push(point);
    }
  }
  const ready = [...next.keys()].filter((point) => unknown.get(point) === 0);
  for (let point = ready.pop(); point !== undefined; point = ready.pop())
    for (const each of before.get(point) ?? []) {
      reached.set(each, Math.max(reached.get(each) ?? 0, (reached.get(point) ?? 0) + 1));
      const left = (unknown.get(each) ?? 0) - 1;
      unknown.set(each, left);
      if (left === 0) ready.push(each);
    }
  return new Map(
    [...reached].map(([point, depth]) => [point, unknown.get(point) === 0 ? depth : Number.POSITIVE_INFINITY]),
  );
}
