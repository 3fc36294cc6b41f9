/**
 * A new endpoint begins with a tenth of its share, which grows evenly until it is whole: programs that compile as they go
 * or fill caches are not given their full load cold.
 */
const FIRST_SHARE = 0.1;

/** @param elapsedMs since it was added; @param slowStartMs 0: at once. @returns its share, up to 1 */
export function warmShare(elapsedMs: number, slowStartMs: number): number {
  return slowStartMs <= 0 ? 1 : Math.min(1, Math.max(FIRST_SHARE, elapsedMs / slowStartMs));
}
