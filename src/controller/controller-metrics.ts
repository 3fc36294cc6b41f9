/** What a controller tells Prometheus: docs/metrics.md has it as a table. */
import type { ProxyStatus } from "../config-stream/subscriber.ts";
import type { Problem } from "../model/problems.ts";
import type { DurationHistogram } from "../telemetry/duration-histogram.ts";
import { type Metric, single } from "../telemetry/exposition.ts";
import { keepNewest } from "./newest-of-pod.ts";

export interface ControllerFigures {
  readonly leads: boolean;
  readonly synced: boolean;
  readonly stale: boolean;
  readonly troubles: number;
  readonly services: number;
  /** By kind. */
  readonly objects: Readonly<Record<string, number>>;
  readonly problems: readonly Problem[];
  readonly compileTimes: DurationHistogram;
  readonly version: string;
  /** Connections; of two in the name of one proxy, one counts. */
  readonly proxies: readonly ProxyFigures[];
  readonly dnsInForce: boolean;
  readonly dnsRepairs: number;
  readonly eventsWritten: number;
}

type ProxyFigures = Pick<ProxyStatus, "pod" | "version" | "error" | "lagMs" | "connectedMs" | "standsBy">;

const flag = (value: boolean) => (value ? 1 : 0);

export function controllerMetrics(figures: ControllerFigures): Metric[] {
  const { version, problems } = figures;
  const proxies = onePerPod(figures.proxies);
  const gauge = (name: string, help: string, value: number) => single("gauge", `tulle_controller_${name}`, help, value);
  const counter = (name: string, help: string, value: number) =>
    single("counter", `tulle_controller_${name}_total`, help, value);
  const slowest = Math.max(0, ...proxies.map(({ lagMs }) => lagMs)) / 1000;
  return [
    gauge("leads", "1 at the replica that leads.", flag(figures.leads)),
    gauge("synced", "1 when every object has been read.", flag(figures.synced)),
    gauge("stale", "1 while nothing is heard of the cluster's objects.", flag(figures.stale)),
    gauge("troubles", "Resources that cannot be watched now.", figures.troubles),
    gauge("services", "Services that the mesh serves.", figures.services),
    byLabel("tulle_controller_objects", "Objects that were read, by kind.", "kind", figures.objects),
    byLabel("tulle_controller_problems", "Problems of objects, by code.", "code", countCodes(problems)),
    figures.compileTimes.metric("tulle_controller_compile_duration_seconds", "From the objects to what proxies get."),
    configInfo(version),
    gauge("proxies", "Proxies that follow this replica.", proxies.length),
    gauge("proxies_programmed", "Those with this replica's configuration in force.", count(proxies, version)),
    gauge("proxies_refusing", "Those that refused it.", proxies.filter(({ error }) => error !== "").length),
    gauge("proxy_lag_seconds", "From publishing to in force, at the slowest proxy, of its last.", slowest),
    gauge(
      "dns_in_force",
      "1 while cluster DNS leads to the mesh, or to another for which it stands by, as the leader sees it.",
      flag(figures.dnsInForce),
    ),
    counter("dns_repairs", "How often cluster DNS had been overwritten, and was put right.", figures.dnsRepairs),
    counter("events", "Events written.", figures.eventsWritten),
  ];
}

function configInfo(version: string): Metric {
  return {
    type: "info",
    name: "tulle_controller_config_info",
    help: "Version of the configuration that is served.",
    samples: version === "" ? [] : [{ labels: { version }, value: 1 }],
  };
}

function byLabel(name: string, help: string, label: string, counts: Readonly<Record<string, number>>): Metric {
  const samples = Object.keys(counts)
    .sort()
    .map((key) => ({ labels: { [label]: key }, value: counts[key] as number }));
  return { type: "gauge", name, help, samples };
}

function countCodes(problems: readonly Problem[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { code } of problems) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

function onePerPod(connected: readonly ProxyFigures[]): readonly ProxyFigures[] {
  const newest = new Map<string, ProxyFigures>();
  for (const proxy of connected) keepNewest(newest, proxy.pod, proxy);
  return [...newest.values()];
}

const count = (proxies: readonly ProxyFigures[], version: string) =>
  proxies.filter((proxy) => proxy.version === version).length;
