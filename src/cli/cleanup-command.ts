import type { DnsMode } from "../controller/dns-change.ts";
import { takeAway } from "../controller/take-away.ts";
import { systemClock } from "../model/clock.ts";
import { type ClusterOptions, connect } from "./cluster-connection.ts";
import { type LogOptions, logOf } from "./cluster-options.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { stopSignals } from "./stop-signals.ts";

export interface CleanupOptions extends ClusterOptions, LogOptions {
  readonly namespace: string;
  readonly dnsMode: DnsMode;
  readonly meshDomains: readonly string[];
}

/** Takes away what the controller has made: its own end first, then DNS, then the shadow services. */
export async function runCleanup(options: CleanupOptions, version: string): Promise<number> {
  const stop = stopSignals();
  const log = logOf(options);
  const api = await connect(options, version, log);
  try {
    const left = await takeAway({
      api,
      clock: systemClock,
      log,
      namespace: options.namespace,
      dnsMode: options.dnsMode,
      meshDomains: options.meshDomains,
      signal: stop.signal,
    });
    for (const sentence of left) process.stderr.write(`tulle: ${sentence}\n`);
    return left.length === 0 ? EXIT_FINE : EXIT_PROBLEMS;
  } finally {
    api.close();
    stop.release();
  }
}
