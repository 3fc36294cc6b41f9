import { readFile } from "node:fs/promises";
import { systemClock } from "../model/clock.ts";
import { ProxyDaemon } from "../proxy-daemon/proxy-daemon.ts";
import { type LogOptions, logOf } from "./cluster-options.ts";
import { EXIT_FINE } from "./exit-codes.ts";
import { stopSignals } from "./stop-signals.ts";
import { readUpstreamCa, type UpstreamCaOptions } from "./upstream-ca.ts";

export interface ProxyOptions extends LogOptions, UpstreamCaOptions {
  readonly podName: string;
  readonly controller: { readonly host: string; readonly port: number };
  readonly caFile: string;
  readonly tokenFile: string;
  readonly stateDir: string;
  readonly address: string;
  readonly dnsPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly adminPort: number;
  readonly lameDuck: number;
  readonly drain: number;
}

/** Runs until it is told to stop; then calls go elsewhere and those under way end. */
export async function runProxy(options: ProxyOptions, version: string): Promise<number> {
  const stop = stopSignals();
  const log = logOf(options);
  const { controller, caFile, tokenFile, stateDir, podName, address } = options;
  const { dnsPort, healthPort, metricsPort, adminPort } = options;
  log.info("proxy starting", { version, pod: podName });
  const daemon = new ProxyDaemon({
    controller,
    ca: () => readFile(caFile),
    token: async () => (await readFile(tokenFile, "utf8")).trim(),
    stateFolder: stateDir,
    name: podName,
    address,
    dnsPort,
    healthPort,
    metricsPort,
    adminPort,
    ...(await readUpstreamCa(options)),
    clock: systemClock,
    random: Math.random,
    log,
  });
  await daemon.start();
  await stop.asked;
  log.info("proxy draining", { lameDuckSeconds: options.lameDuck, drainSeconds: options.drain });
  await daemon.stop(options.lameDuck * 1000, options.drain * 1000);
  log.info("proxy stopped");
  stop.release();
  return EXIT_FINE;
}
