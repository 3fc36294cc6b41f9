import { setTimeout } from "node:timers/promises";

/** As often as nobody notices, and seldom enough that the process that is waited for has the processor. */
const ASK_EVERY_MS = 10;

/** Asks until the answer is as wanted: for what another process does, of which there is no event here. */
export async function until<T>(ask: () => T | Promise<T>, wanted: (answer: T) => boolean = Boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    await setTimeout(ASK_EVERY_MS);
  }
}
