import type net from "node:net";

/**
 * Breaks a connection with a reset, at once: what is not yet sent is thrown away, and the peer sees an error, never an
 * end in good order.
 *
 * `socket.resetAndDestroy()` first ends the stream and resets after that, so the peer gets the FIN of a whole message
 * before it. The flag that it sets makes `destroy()` reset instead of close (Node.js 18 to 24); where it came to mean
 * nothing, this would still destroy.
 */
export function resetSocket(socket: net.Socket): void {
  if (socket.destroyed) return;
  // While a FIN is on its way to the kernel, libuv refuses the reset (EINVAL) and would never close the descriptor.
  if (socket.writableEnded && !socket.writableFinished && socket.writableLength === 0) {
    socket.once("finish", () => resetSocket(socket));
    return;
  }
  (socket as net.Socket & { resetAndClosing?: boolean }).resetAndClosing = true;
  socket.destroy();
}

/**
 * Whether a connection that has just told its end was in truth reset. Where a reset comes together with the last bytes,
 * libuv tells both as bytes and an end in good order; but a connection that is no more has no peer, and one whose peer
 * has only ended its side has. Node.js keeps the peer's address once it was asked for: nobody may ask before this.
 */
export function wasReset(socket: net.Socket): boolean {
  return socket.remoteAddress === undefined;
}
