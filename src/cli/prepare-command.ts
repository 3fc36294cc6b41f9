import type { DnsMode } from "../controller/dns-change.ts";
import { prepareCluster } from "../controller/prepare-cluster.ts";
import { systemClock } from "../model/clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { type ClusterOptions, connect } from "./cluster-connection.ts";
import { type LogOptions, logOf } from "./cluster-options.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { stopSignals } from "./stop-signals.ts";

export interface PrepareCommandOptions extends ClusterOptions, LogOptions {
  readonly namespace: string;
  readonly dnsMode: DnsMode;
  readonly meshDomains: readonly string[];
  readonly clusterDomain?: string;
}

/** What the controller sees to by itself, once and by hand; with dns-mode manual, the block to add, on standard output. */
export async function runPrepare(options: PrepareCommandOptions, version: string): Promise<number> {
  const stop = stopSignals();
  const api = await connect(options, version, logOf(options));
  try {
    const { namespace, dnsMode, meshDomains, clusterDomain } = options;
    const { faults, warnings, byHand, dnsInForce, standsByFor } = await prepareCluster({
      api,
      clock: systemClock,
      // What it finds is printed; the controller's words for the same would say it twice.
      log: silentLog,
      namespace,
      dnsMode,
      meshDomains,
      ...(clusterDomain === undefined ? {} : { clusterDomain }),
      signal: stop.signal,
    });
    for (const sentence of warnings) process.stderr.write(`tulle: warning: ${sentence}\n`);
    for (const sentence of faults) process.stderr.write(`tulle: ${sentence}\n`);
    if (dnsMode === "manual" && !dnsInForce) process.stdout.write(`${byHand}\n`);
    else if (standsByFor !== "")
      process.stdout.write(
        `${meshDomains.join(", ")}: with the mesh in namespace ${standsByFor}; \`tulle migrate --take-over --namespace ${namespace}\` moves them here\n`,
      );
    else if (faults.length === 0) process.stdout.write(`${meshDomains.join(", ")}: in force in cluster DNS\n`);
    return faults.length === 0 ? EXIT_FINE : EXIT_PROBLEMS;
  } finally {
    api.close();
    stop.release();
  }
}
