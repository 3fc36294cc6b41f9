import type net from "node:net";
import type { Clock } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import { connectShared, type ReadBuffers, type SharedReadSocket } from "../socket/shared-read.ts";
import { connectFailure } from "./connect-failure.ts";

/** A silent connection is probed after this, so that one whose endpoint vanished does not stay for ever. */
const KEEP_ALIVE_DELAY_MS = 30_000;

export interface ConnectOptions {
  readonly clock: Clock;
  /** To the accepted connection. */
  readonly timeoutMs: number;
  /** Source address; undefined: the machine's choice. */
  readonly localAddress: string | undefined;
  /** What it reads into. */
  readonly readBuffers: ReadBuffers;
  /**
   * Called once, never before `connectTo` returns: with the socket, half-open allowed, no listeners on it (add one for
   * "error" at once); or with why there is none.
   */
  onResult(result: SharedReadSocket | Failure): void;
}

/**
 * Opens a TCP connection to an endpoint.
 * @returns ends the attempt, after which `onResult` is not called; without effect after the result
 */
export function connectTo(
  { address, dialPort }: { readonly address: string; readonly dialPort: number },
  { clock, timeoutMs, localAddress, readBuffers, onResult }: ConnectOptions,
): () => void {
  const target: net.TcpNetConnectOpts = {
    host: address,
    port: dialPort,
    noDelay: true,
    allowHalfOpen: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    ...(localAddress === undefined ? {} : { localAddress }),
  };
  const opened = connectShared(target, readBuffers);
  const { socket } = opened;
  let over = false;
  const end = (result: SharedReadSocket | Failure | undefined) => {
    if (over) return;
    over = true;
    timer.cancel();
    if (result === opened) socket.removeListener("connect", connected).removeListener("error", failed);
    // Its error listener stays.
    else socket.destroy();
    if (result !== undefined) onResult(result);
  };
  const connected = () => end(opened);
  const failed = (error: NodeJS.ErrnoException) => end(connectFailure(error.code));
  const timer = clock.after(timeoutMs, () => end("ConnectTimeout"));
  socket.on("connect", connected).on("error", failed);
  return () => end(undefined);
}
