import type { Clock } from "../../model/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import type { HeadParser } from "../http1/head-parser.ts";
import type { RouteTable } from "../router/types.ts";
import type { SocketBuffers } from "../socket/socket-buffers.ts";
import type { Tracer } from "../tracing/tracer.ts";
import type { Http2Sessions } from "../upstream/http2-sessions.ts";
import type { UpstreamPools } from "../upstream/upstream-connection.ts";
import type { ExchangeRecord, RecordWants } from "./exchange-record.ts";
import type { ParsedAnswerHead } from "./http1/parsed-answer-head.ts";
import type { ParsedRequestHead } from "./http1/parsed-request-head.ts";
import type { FieldsAnswerHead, FieldsRequestHead } from "./http2/fields-heads.ts";
import type { KeptContent } from "./kept-content.ts";

/** All times in milliseconds; 0 stands for no bound. */
export interface HttpLimits {
  /** Downstream connections at once. */
  readonly maxConnections: number;
  /** From the first byte of a head to its last. */
  readonly headTimeoutMs: number;
  /** A connection without a request. */
  readonly idleTimeoutMs: number;
  /** A body, either way, of which no byte moved although the proxy waits for one or for room. */
  readonly bodyTimeoutMs: number;
  /** How long a closing connection takes what the caller still sends, so that it can read our last answer. */
  readonly lingerMs: number;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  maxConnections: 16_384,
  headTimeoutMs: 10_000,
  idleTimeoutMs: 180_000,
  bodyTimeoutMs: 180_000,
  lingerMs: 2_000,
};

/** What every connection and exchange of an engine shares. */
export interface HttpShared {
  readonly table: RouteTable;
  readonly pools: UpstreamPools;
  readonly sessions: Http2Sessions;
  readonly kept: KeptContent;
  readonly buffers: SocketBuffers;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: HttpLimits;
  /** This proxy's name, for X-Forwarded-Server. */
  readonly server: string;
  /** Undefined where there is no tracing. */
  readonly tracer: Tracer | undefined;
  /** Parser and heads of this thread: filled and read within one step, so one of each serves all connections. */
  readonly requestParser: HeadParser;
  readonly requestHead: ParsedRequestHead;
  readonly answerHead: ParsedAnswerHead;
  readonly fieldsHead: FieldsRequestHead;
  readonly answerFields: FieldsAnswerHead;
  readonly wants: RecordWants;
  /** The engine lets its connections end: keep-alive is over. */
  draining: boolean;
  /** Called once at the end of each exchange; the record is reused after it returns. */
  readonly onExchange: ((record: ExchangeRecord) => void) | undefined;
}
