import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { systemClock } from "../model/clock.ts";
import type { AccessLogSettings } from "../proxy/access-log/access-log-settings.ts";
import { ProxyDaemon } from "../proxy-daemon/proxy-daemon.ts";
import { canSharePorts } from "../shared-ports/port-sharing.ts";
import { type AccessLogFlags, accessLogSettings } from "./access-log-options.ts";
import { type LogOptions, logOf } from "./cluster-options.ts";
import { EXIT_FINE } from "./exit-codes.ts";
import { keptAlive } from "./kept-alive.ts";
import type { WorkerArguments } from "./proxy-worker.ts";
import { stopSignals } from "./stop-signals.ts";
import { openTracing, type TracingFlags, tracingForWorkers } from "./tracing.ts";
import { readUpstreamCa, type UpstreamCaOptions } from "./upstream-ca.ts";
import { usableCores } from "./usable-cores.ts";
import { UsageError } from "./usage-error.ts";

export interface ProxyOptions extends LogOptions, UpstreamCaOptions, AccessLogFlags, TracingFlags {
  readonly podName: string;
  readonly nodeName?: string;
  readonly controller: { readonly host: string; readonly port: number };
  readonly caFile: string;
  readonly tokenFile: string;
  readonly stateDir: string;
  readonly address: string;
  readonly dnsPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly adminPort: number;
  readonly workers: number | "auto";
  readonly handOver: boolean;
  readonly lameDuck: number;
  readonly drain: number;
}

/** More are for those who know that their nodes need them: each has the configuration, and connections to endpoints. */
const MAX_AUTO_WORKERS = 4;
const WORKER_PROGRAM = fileURLToPath(new URL("./proxy-worker.js", import.meta.url));

/** Runs until it is told to stop; then calls go elsewhere and those under way end. */
export async function runProxy(options: ProxyOptions, version: string): Promise<number> {
  if (options.handOver && !canSharePorts(process.versions.node))
    throw new UsageError(`--hand-over takes Node.js 22.12 or 23.1 or later; this is ${process.versions.node}`);
  const stop = stopSignals();
  const log = logOf(options);
  const { controller, caFile, tokenFile, stateDir, podName, address } = options;
  const { dnsPort, healthPort, metricsPort, adminPort, handOver } = options;
  const workers = options.workers === "auto" ? Math.min(await usableCores(), MAX_AUTO_WORKERS) : options.workers;
  const accessLog = accessLogSettings(options, workers > 1 || handOver);
  log.info("proxy starting", { version, pod: podName, workers });
  const of = { version, pod: podName, node: options.nodeName, sharers: 1 };
  // Workers export what they carry themselves; here it is only found out whether the settings are right.
  const tracing = await openTracing(options, of, workers === 1 ? log : undefined);
  const daemon = new ProxyDaemon({
    controller,
    ca: () => readGiven("--ca-file", caFile),
    token: async () => (await readGiven("--token-file", tokenFile)).toString("utf8").trim(),
    stateFolder: stateDir,
    name: podName,
    version,
    ...(options.nodeName === undefined ? {} : { node: options.nodeName }),
    address,
    dnsPort,
    healthPort,
    metricsPort,
    adminPort,
    handOver,
    ...(await readUpstreamCa(options)),
    ...tracing?.forProxy,
    ...(accessLog === undefined ? {} : { accessLog }),
    ...(workers === 1
      ? {}
      : {
          workers: {
            workers,
            program: WORKER_PROGRAM,
            programArguments: [workerArguments(options, workers, version, accessLog)],
          },
        }),
    clock: systemClock,
    random: Math.random,
    log,
  });
  const onReopen = () => daemon.reopenLogs();
  process.on("SIGUSR1", onReopen);
  // One that waits for its first configuration to take over may be told to stop as well. While a port that is taken is waited
  // for there may be nothing else that keeps the process alive.
  try {
    await keptAlive(Promise.race([daemon.start(), stop.asked]));
  } catch (error) {
    // What is open would keep the process alive, and look like a proxy that runs.
    await keptAlive(daemon.stop(0, 0));
    await tracing?.close();
    throw error;
  }
  await Promise.race([daemon.replaced.then(() => log.info("another proxy has taken over")), stop.asked]);
  log.info("proxy draining", { lameDuckSeconds: options.lameDuck, drainSeconds: options.drain });
  await keptAlive(daemon.stop(options.lameDuck * 1000, options.drain * 1000));
  await tracing?.close();
  log.info("proxy stopped");
  process.off("SIGUSR1", onReopen);
  stop.release();
  return EXIT_FINE;
}

/** @throws Error that names the option */
async function readGiven(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`${option} ${path}: ${code === "ENOENT" ? "there is no such file" : message}`);
  }
}

function workerArguments(
  options: ProxyOptions,
  workers: number,
  version: string,
  accessLog: AccessLogSettings | undefined,
): string {
  const { podName, nodeName, logLevel, logFormat, upstreamCaFile, handOver } = options;
  const own: WorkerArguments = {
    ...tracingForWorkers(options),
    version,
    podName,
    ...(nodeName === undefined ? {} : { nodeName }),
    workers,
    handOver,
    ...(accessLog === undefined ? {} : { accessLog }),
    logLevel,
    logFormat,
    ...(upstreamCaFile === undefined ? {} : { upstreamCaFile }),
  };
  return JSON.stringify(own);
}
