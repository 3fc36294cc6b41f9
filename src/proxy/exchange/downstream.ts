import type net from "node:net";
import type { Caller, ServicePortState } from "../router/types.ts";

/** The downstream connection, as its exchange sees it. */
export interface Downstream {
  readonly socket: net.Socket;
  readonly entry: ServicePortState;
  readonly caller: Caller;
  pauseReading(): void;
  resumeReading(): void;
  /** The answer is written. @param keepAlive another request may follow on the connection */
  exchangeEnded(keepAlive: boolean): void;
  /** The connection is a tunnel from here on: bytes go to the exchange as they are. */
  takeUnreadBytes(): Buffer | undefined;
}
