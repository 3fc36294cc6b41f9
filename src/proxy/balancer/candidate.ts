/** What balancing keeps of an endpoint. */
export interface Candidate {
  /** Exchanges and flows that it serves now. */
  readonly outstanding: number;
  /** Number of the last pick; ties go to the lowest. */
  lastPick: number;
  /** Out of the configuration. */
  readonly removed: boolean;
  /** Left out for a while, because it failed. */
  readonly ejected: boolean;
  /** The clock's time since which it gets a growing share; −1: it gets its whole share. */
  warmSince: number;
}

/** One way to choose. What is removed or ejected is chosen only from among its like. */
export interface Algorithm<T extends Candidate> {
  /** @param candidates at least one */
  choose(candidates: readonly T[]): T;
}

export function isUsable(candidate: Candidate): boolean {
  return !candidate.removed && !candidate.ejected;
}
