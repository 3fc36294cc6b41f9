import { closeSync } from "node:fs";
import { isatty } from "node:tty";

const STANDARD_STREAMS = [0, 1, 2];

/**
 * When the process ends, lets go of terminals that are gone by then. Node.js gives each standard stream that is a terminal
 * its mode back at its end, and aborts (SIGABRT, a core dump) where that cannot be; what is closed it leaves alone.
 */
export function leaveGoneTerminals(): void {
  const terminals = STANDARD_STREAMS.filter(isatty);
  process.once("exit", () => {
    for (const fd of terminals) if (!isatty(fd)) closeSync(fd);
  });
}
