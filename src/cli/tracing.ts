/** `--tracing-…`: where spans go, and which traces are recorded. */
import { type Command, InvalidArgumentError } from "commander";
import { systemClock } from "../model/clock.ts";
import { DEFAULT_PROPAGATORS, PROPAGATORS, type Propagator } from "../proxy/tracing/propagation.ts";
import type { TracingOptions } from "../proxy/tracing/tracer.ts";
import type { Log } from "../telemetry/log.ts";
import { collectorOf, TRACE_PROTOCOLS, type TraceProtocol } from "../trace-export/collector.ts";
import { keptAlive } from "./kept-alive.ts";
import { notEmpty } from "./not-empty.ts";
import { idleFlags, type OnIdleFlags, refuseIdle, setting } from "./settings.ts";
import { UsageError } from "./usage-error.ts";

export interface TracingFlags {
  readonly tracingEndpoint?: string;
  readonly tracingProtocol?: TraceProtocol;
  readonly tracingSampling: number;
  readonly tracingRate: number;
  readonly tracingPropagators: readonly Propagator[];
  readonly tracingServiceName: string;
  /** `name=value,name=value` */
  readonly tracingHeaders?: string;
}

export interface OpenTracing {
  /** What a proxy takes. */
  readonly forProxy: { readonly tracing: TracingOptions };
  /** Sends what is left, for a short time. */
  close(): Promise<void>;
}

/** Whose spans they are. */
interface Origin {
  readonly version: string;
  readonly pod: string | undefined;
  readonly node: string | undefined;
  /** Proxies that share the rate of the node. */
  readonly sharers: number;
}

/** A worker that is told to end has two seconds. */
const FLUSH_MS = 1_500;
const ENDPOINT_VARIABLE = "TULLE_TRACING_ENDPOINT";
/** How workers get the headers: what is secret in them is not for command lines. */
const HEADERS_VARIABLE = "TULLE_TRACING_HEADERS";

export function addTracingOptions(command: Command, onIdle: OnIdleFlags = refuseIdle): Command {
  return command
    .addOption(
      setting(
        "--tracing-endpoint <url>",
        "collector to send spans to, such as http://collector:4317; without it none",
      ).argParser(notEmpty),
    )
    .addOption(
      setting(
        "--tracing-protocol <protocol>",
        `${TRACE_PROTOCOLS.join(", ")}; without it as the port says: 4317, 4318 or 9411`,
      ).choices(TRACE_PROTOCOLS),
    )
    .addOption(
      setting("--tracing-sampling <share>", "share of the traces begun here that are recorded, 0 to 1; 0: none begins")
        .default(1)
        .argParser(numberUpTo(1)),
    )
    .addOption(
      setting("--tracing-rate <count>", "traces recorded a second at most, whoever began them; 0: no bound")
        .default(100)
        .argParser(numberUpTo(1_000_000)),
    )
    .addOption(
      setting(
        "--tracing-propagators <names>",
        `forms of trace context to read and write: ${Object.keys(PROPAGATORS).join(", ")}`,
      )
        .default(DEFAULT_PROPAGATORS, DEFAULT_PROPAGATORS.join(","))
        .argParser(propagators),
    )
    .addOption(
      setting("--tracing-service-name <name>", "service.name of the spans").default("tulle").argParser(notEmpty),
    )
    .addOption(setting("--tracing-headers <name=value,…>", "sent to the collector with each request"))
    .hook("preAction", (_, action) => {
      if (action.opts<TracingFlags>().tracingEndpoint !== undefined) return;
      for (const sentence of idleFlags(action, "tracing-", "there is no tracing; add --tracing-endpoint URL"))
        onIdle(action, sentence);
    });
}

/**
 * @param log undefined: only find out whether the settings are right
 * @throws UsageError for an endpoint that is none
 */
export async function openTracing(
  flags: TracingFlags,
  of: Origin,
  log: Log | undefined,
): Promise<OpenTracing | undefined> {
  const { tracingEndpoint: endpoint, tracingServiceName } = flags;
  if (endpoint === undefined) return undefined;
  const collector = collectorOf(endpoint, flags.tracingProtocol);
  // The variable as well: in a Pod it is that or the flag, as the chart's user wrote it.
  if (typeof collector === "string")
    throw new UsageError(`--tracing-endpoint (${ENDPOINT_VARIABLE}) "${withoutUser(endpoint)}": ${collector}`);
  const headers = headersOf(flags.tracingHeaders ?? "");
  if (log === undefined) return undefined;
  const { openExporter } = await import("../trace-export/open-exporter.ts");
  const resource = {
    "service.name": tracingServiceName,
    "service.version": of.version,
    ...(of.pod === undefined ? {} : { "k8s.pod.name": of.pod }),
    ...(of.node === undefined ? {} : { "k8s.node.name": of.node }),
  };
  const queue = openExporter({ collector, headers, resource, clock: systemClock, log });
  return {
    forProxy: {
      tracing: {
        ratio: flags.tracingSampling,
        perSecond: flags.tracingRate / of.sharers,
        propagators: flags.tracingPropagators,
        onRecorded: (spans) => queue.add(spans),
      },
    },
    close: () => keptAlive(queue.close(FLUSH_MS)),
  };
}

/** For the arguments of a worker. The headers go by the environment, which it inherits. */
export function tracingForWorkers(flags: TracingFlags): TracingFlags {
  if (flags.tracingHeaders !== undefined) process.env[HEADERS_VARIABLE] = flags.tracingHeaders;
  const { tracingEndpoint, tracingProtocol } = flags;
  return {
    ...(tracingEndpoint === undefined ? {} : { tracingEndpoint }),
    ...(tracingProtocol === undefined ? {} : { tracingProtocol }),
    tracingSampling: flags.tracingSampling,
    tracingRate: flags.tracingRate,
    tracingPropagators: flags.tracingPropagators,
    tracingServiceName: flags.tracingServiceName,
  };
}

export function tracingOfWorker(flags: TracingFlags): TracingFlags {
  const tracingHeaders = process.env[HEADERS_VARIABLE];
  return tracingHeaders === undefined ? flags : { ...flags, tracingHeaders };
}

/** A password does not belong in what a log keeps. */
function withoutUser(endpoint: string): string {
  return endpoint.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/?#]*@/i, "$1…@");
}

function numberUpTo(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= 0 && value <= most))
      throw new InvalidArgumentError(`"${text}" is not a number from 0 to ${most}.`);
    return value;
  };
}

function propagators(text: string): Propagator[] {
  const names = text.split(",").map((name) => name.trim());
  const isKnown = (name: string): name is Propagator => Object.hasOwn(PROPAGATORS, name);
  const unknown = names.find((name) => !isKnown(name));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`"${unknown}" is none of ${Object.keys(PROPAGATORS).join(", ")}.`);
  return names.filter(isKnown);
}

/** @throws UsageError, which repeats nothing of it: it may be secret */
function headersOf(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const pair of text.split(",")) {
    if (pair.trim() === "") continue;
    const equals = pair.indexOf("=");
    const name = pair.slice(0, Math.max(equals, 0)).trim().toLowerCase();
    const value = pair.slice(equals + 1).trim();
    if (!/^[a-z0-9][a-z0-9_.-]*$/.test(name) || !/^[\x20-\x7e]*$/.test(value))
      throw new UsageError("--tracing-headers: it is not name=value,name=value");
    // gRPC's names of binary values, which text is not.
    if (name.endsWith("-bin")) throw new UsageError("--tracing-headers: names that end in -bin are not text");
    found[name] = value;
  }
  return found;
}
