import { expect, test } from "vitest";
import { DurationHistogram } from "../telemetry/duration-histogram.ts";
import { type ControllerFigures, controllerMetrics } from "./controller-metrics.ts";

type Proxy = ControllerFigures["proxies"][number];

const proxy = (version: string, connectedMs: number, more: Partial<Proxy> = {}): Proxy => ({
  ...{ pod: "p1", version, connectedMs, error: "", lagMs: 2, standsBy: false },
  ...more,
});

/** Values of the gauges about proxies, where v2 is served. */
function counted(...proxies: Proxy[]): Record<string, unknown> {
  const metrics = controllerMetrics({
    ...{ leads: true, synced: true, stale: false, troubles: 0, services: 0, objects: {}, problems: [] },
    ...{ compileTimes: new DurationHistogram(), version: "v2", dnsInForce: true, dnsRepairs: 0, eventsWritten: 0 },
    proxies,
  });
  const value = (name: string) => {
    const metric = metrics.find((each) => each.name === `tulle_controller_${name}`);
    return metric?.type === "gauge" ? metric.samples[0]?.value : undefined;
  };
  return {
    all: value("proxies"),
    programmed: value("proxies_programmed"),
    refusing: value("proxies_refusing"),
    lag: value("proxy_lag_seconds"),
  };
}

test("proxies are counted by their Pods: of two in one name, the one that status tells of counts", () => {
  const stale = proxy("v1", 90_000, { error: "bad", lagMs: 5_000 });
  expect(counted(stale, proxy("v2", 40))).toEqual({ all: 1, programmed: 1, refusing: 0, lag: 0.002 });
  expect(counted(proxy("v2", 40), stale)).toEqual({ all: 1, programmed: 1, refusing: 0, lag: 0.002 });
  const standsBy = proxy("v1", 40, { standsBy: true });
  expect(counted(proxy("v2", 90_000), standsBy)).toMatchObject({ all: 1, programmed: 1 });
  expect(counted(proxy("v2", 40), proxy("v1", 40, { pod: "p2" }))).toMatchObject({ all: 2, programmed: 1 });
});
