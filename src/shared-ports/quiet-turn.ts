/** Beyond any backlog: what never stops coming is never found empty, and has to be given up at some time. */
const MAX_TURNS = 4096;

/**
 * Resolves in a turn of the event loop that has found a socket empty, before anything else happens: what is closed then
 * has little that a close would throw away.
 * @param taken how many connections or datagrams the socket has given so far
 */
export function quietTurn(taken: () => number, quiet: () => void): void {
  let before = -1;
  let turns = 0;
  const look = () => {
    if (taken() === before || ++turns > MAX_TURNS) {
      quiet();
      return;
    }
    before = taken();
    setImmediate(look);
  };
  // The turn that this was called in may have looked at sockets before.
  setImmediate(look);
}
