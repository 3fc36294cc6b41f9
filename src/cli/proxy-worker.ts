/**
 * A worker process of `tulle proxy`; see `src/proxy-daemon/worker-pool.ts`. It is told to stop by its parent alone: a
 * signal to the whole group must not end it before the calls under way.
 */

import { systemClock } from "../model/clock.ts";
import type { AccessLogSettings } from "../proxy/access-log/access-log-settings.ts";
import { nodeProxyOptions } from "../proxy-daemon/node-proxy-options.ts";
import { runWorker } from "../proxy-daemon/worker.ts";
import type { ToWorker } from "../proxy-daemon/worker-messages.ts";
import { type LogOptions, logOf } from "./cluster-options.ts";
import { leaveGoneTerminals } from "./gone-terminals.ts";
import { openTracing, type TracingFlags, tracingOfWorker } from "./tracing.ts";
import { readUpstreamCa, type UpstreamCaOptions } from "./upstream-ca.ts";

/** What a worker is started with, as JSON in its first argument. */
export interface WorkerArguments extends LogOptions, UpstreamCaOptions, TracingFlags {
  readonly version: string;
  readonly podName: string;
  readonly nodeName?: string;
  readonly accessLog?: AccessLogSettings;
  readonly handOver: boolean;
  /** How many there are. */
  readonly workers: number;
}

const options = JSON.parse(process.argv[2] ?? "{}") as WorkerArguments;
const log = logOf(options);
leaveGoneTerminals();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const) process.on(signal, () => {});
process.on("disconnect", () => process.exit(0));
const { version, podName: pod, nodeName: node, workers: sharers } = options;
const tracing = await openTracing(tracingOfWorker(options), { version, pod, node, sharers }, log);
await runWorker(
  {
    ...nodeProxyOptions({
      clock: systemClock,
      random: Math.random,
      log,
      name: options.podName,
      handOver: options.handOver,
      ...(options.nodeName === undefined ? {} : { node: options.nodeName }),
      ...(await readUpstreamCa(options)),
      ...(options.accessLog === undefined ? {} : { accessLog: options.accessLog }),
      ...tracing?.forProxy,
    }),
    sharers: options.workers,
  },
  {
    // The parent is gone where this fails, and the disconnect event ends the process.
    send: (message) => process.send?.(message, undefined, undefined, () => {}),
    onMessage: (listener) => process.on("message", (message) => listener(message as ToWorker)),
  },
);
await tracing?.close();
process.disconnect();
