const HOLD_MS = 60_000;

/** Timers of the clock do not keep the process alive, and it must not end before this is over. */
export async function keptAlive<T>(work: Promise<T>): Promise<T> {
  const hold = setInterval(() => {}, HOLD_MS);
  try {
    return await work;
  } finally {
    clearInterval(hold);
  }
}
