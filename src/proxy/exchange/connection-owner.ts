import type { Failure } from "../../model/failures.ts";
import type { Caller, ServicePortState } from "../router/types.ts";
import type { Exchange } from "./exchange.ts";
import type { Http1CallerConnection } from "./http1/http1-downstream.ts";

/** A caller's connection, as the engine keeps it. */
export interface CallerConnection {
  readonly entry: ServicePortState;
  /** Called by the engine's tick. @param now the clock's milliseconds */
  checkDeadline(now: number): void;
  /** Ends it as soon as nothing is under way. */
  drain(): void;
  destroy(): void;
}

/** What the engine does for its connections. */
export interface ConnectionOwner {
  takeExchange(): Exchange;
  giveBack(exchange: Exchange): void;
  /** A request that never became an exchange. */
  countRefused(failure: Failure, entry: ServicePortState, caller: Caller): void;
  /** The connection goes on as HTTP/2. @param unread what came after the preface */
  becomesHttp2(connection: Http1CallerConnection, unread: Buffer): void;
  forget(connection: CallerConnection): void;
}
