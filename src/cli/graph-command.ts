import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { type MeshConfig, MeshConfigSchema } from "../config/mesh-config.ts";
import { type PassedTraffic, passedBetween } from "../traffic/traffic-look.ts";
import { sumOfTraffic } from "../traffic/traffic-report.ts";
import { EXIT_FINE } from "./exit-codes.ts";
import { type GraphFormat, graphDot, graphMermaid, graphText } from "./graph-formats.ts";
import type { MeshView } from "./mesh-view.ts";
import { openView, type ViewOptions } from "./open-view.ts";
import { type ServiceGraph, serviceGraph } from "./service-graph.ts";
import { stderrLog } from "./stderr-log.ts";
import { untilStopped } from "./stop-signals.ts";
import { UsageError } from "./usage-error.ts";
import { warnAbsentNamespace } from "./warn-absent.ts";

export interface GraphOptions extends ViewOptions {
  readonly format: GraphFormat;
  /** Milliseconds; 0: since the proxies' start. */
  readonly window: number;
}

const log = stderrLog();

export async function runGraph(namespace: string | undefined, options: GraphOptions, version: string): Promise<number> {
  if (namespace !== undefined && !/^[^\s/:]+$/.test(namespace)) throw new UsageError(`"${namespace}" is no namespace`);
  return untilStopped(async ({ signal }) => {
    const view = await openView(options, version, signal);
    try {
      const passed = await passedIn(view, options.window, signal);
      if (passed.unheard.length > 0)
        log.warn(`not of ${passed.unheard.join(", ")}, which came, went or did not answer`);
      const config = await configOf(view);
      const graph = serviceGraph(passed.edges, passed.seconds, config, namespace);
      if (namespace !== undefined && graph.calls.length === 0) warnAbsentNamespace(config, namespace, log);
      process.stdout.write(format(graph, options));
    } finally {
      view.close();
    }
    return EXIT_FINE;
  });
}

async function passedIn(view: MeshView, windowMs: number, signal: AbortSignal): Promise<PassedTraffic> {
  const before = await view.traffic();
  if (windowMs === 0) {
    const { edges } = sumOfTraffic(before.reports.values());
    // Counts, then, and not rates.
    return { edges, seconds: 1, proxies: before.reports.size, unheard: [] };
  }
  for (;;) {
    await pause(windowMs, undefined, { signal });
    const passed = passedBetween(before, await view.traffic());
    if (passed !== undefined) return passed;
  }
}

/** Without it the graph has what passed, and nothing of what was meant. */
async function configOf(view: MeshView): Promise<MeshConfig | undefined> {
  try {
    return z.object({ config: MeshConfigSchema }).parse(await view.config()).config;
  } catch (error) {
    const why = error instanceof z.ZodError ? "it is of another version of Tulle" : (error as Error).message;
    log.warn(`the configuration cannot be read, so the graph is without splits: ${why}`);
    return undefined;
  }
}

function format(graph: ServiceGraph, { format, window }: GraphOptions): string {
  const options = { perSecond: window > 0 };
  if (format === "dot") return graphDot(graph, options);
  if (format === "mermaid") return graphMermaid(graph, options);
  if (format === "json") return `${JSON.stringify({ windowMs: window, ...graph }, null, 2)}\n`;
  return graphText(graph, options);
}
