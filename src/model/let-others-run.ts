/** Resolves when what waits for this thread has had its turn: a long step in slices holds nobody up for long. */
export function letOthersRun(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
