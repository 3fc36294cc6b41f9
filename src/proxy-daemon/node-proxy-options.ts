import type { Clock, Random } from "../model/clock.ts";
import { AccessLog } from "../proxy/access-log/access-log.ts";
import type { AccessLogSettings } from "../proxy/access-log/access-log-settings.ts";
import type { Log } from "../telemetry/log.ts";
import type { ProxyOptions } from "./data-plane.ts";

/** What the process of a node and its workers are told of their proxy alike. */
export interface NodeProxySettings {
  /** This proxy's Pod. */
  readonly name: string;
  /** Its node. */
  readonly node?: string;
  /** Ports are taken over from a proxy that runs on the same state folder, and are given to one that comes after. */
  readonly handOver?: boolean;
  /** PEM certificates of authorities trusted beside the system's, for endpoints with TLS. */
  readonly trustedCa?: string;
  /** Absent: no access log. */
  readonly accessLog?: AccessLogSettings;
  /** Spans of the calls that this process carries itself. */
  readonly tracing?: ProxyOptions["tracing"];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** How long a connection waits for the configuration that knows its caller. */
const NEWCOMER_WAIT_MS = 1_000;

/** How a node's proxy is set up, in this process or in a worker. */
export function nodeProxyOptions(settings: NodeProxySettings): ProxyOptions {
  const { clock, random, log, name, node, trustedCa, tracing, accessLog, handOver = false } = settings;
  return {
    clock,
    random,
    log,
    name,
    substitutePorts: false,
    sharePorts: handOver,
    newcomerWaitMs: NEWCOMER_WAIT_MS,
    ...(node === undefined ? {} : { node }),
    ...(trustedCa === undefined ? {} : { trustedCa }),
    ...(accessLog === undefined ? {} : { accessLog: new AccessLog({ settings: accessLog, clock, random, log }) }),
    ...(tracing === undefined ? {} : { tracing }),
  };
}
