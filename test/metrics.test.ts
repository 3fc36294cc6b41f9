/** docs/metrics.md against what is rendered, and what is rendered against Prometheus. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { controllerMetrics } from "../src/controller/controller-metrics.ts";
import { problem } from "../src/model/problems.ts";
import { MAX_EDGES } from "../src/proxy/traffic/traffic-meter.ts";
import { standingMetrics, trafficMetrics } from "../src/proxy/traffic/traffic-metrics.ts";
import { configMetrics, workerMetrics } from "../src/proxy-daemon/proxy-metrics.ts";
import { DurationHistogram } from "../src/telemetry/duration-histogram.ts";
import { expose, type Metric } from "../src/telemetry/exposition.ts";
import { buildInfo, ProcessMeter, processMetrics } from "../src/telemetry/process-metrics.ts";
import { parseExposition } from "../src/telemetry/testkit/parse-exposition.ts";
import { NO_COUNTS, overflowEdge, type TrafficEdge } from "../src/traffic/traffic-report.ts";

const OPEN = "application/openmetrics-text";
const TEXT = readFileSync(new URL("../docs/metrics.md", import.meta.url), "utf8");

/** Rows `| name | type | labels | … |` of the table under a heading. */
function rowsUnder(heading: string): string[] {
  const [, section = ""] = TEXT.split(`\n## ${heading}\n`);
  const rows = (section.split("\n## ")[0] as string).matchAll(/^\| `([a-z0-9_]+)` \| (\w+) \|([^|]*)\|/gm);
  return [...rows].map(([, name, type, labels = ""]) =>
    rowOf(name as string, type as string, labels.match(/\w+/g) ?? []),
  );
}

const EDGE = [
  "source_namespace",
  "source_workload",
  "destination_namespace",
  "destination_service",
  "destination_port",
];
function rowOf(name: string, type: string, labels: readonly string[]): string {
  const all = labels.flatMap((label) => (label === "edge" ? [...EDGE, "backend"] : [label]));
  return `${name} ${type} ${[...new Set(all)].sort().join(" ")}`;
}

function rendered(metrics: readonly Metric[]): string[] {
  return metrics.map(({ name, type, samples }) =>
    rowOf(
      name,
      type,
      samples.flatMap(({ shared = "", labels }) => [
        ...[...shared.matchAll(/(\w+)="/g)].map(([, label]) => label as string),
        ...Object.keys(labels),
      ]),
    ),
  );
}

const counts = { ...NO_COUNTS, failures: { AccessDenied: 1 }, audited: 1, bytesUp: 1, bytesDown: 1, durationUs: 1_500 };
const edge = (protocol: TrafficEdge["protocol"]): TrafficEdge => ({
  source: "shop/cart",
  servicePort: "shop/web:80",
  backend: "shop/web-v2:80",
  protocol,
  ...counts,
  exchanges: [1, 0, 3, 0, 1, 0],
  durations: NO_COUNTS.durations.map((_, index) => index),
  retries: 2,
  flowsOpened: 1,
  flowsEnded: 1,
});
const meter = new ProcessMeter();
const figures = meter.figures(1_700_000_000_000);
meter.close();
const times = new DurationHistogram();
times.note(12);

const CALLS = [
  ...trafficMetrics({ edges: [{ ...overflowEdge("http"), ...counts }, edge("http"), edge("tcp")], retired: NO_COUNTS }),
  ...standingMetrics({
    connections: 1,
    upstreamConnections: 1,
    tcpFlows: 1,
    udpFlows: 1,
    servicePorts: {
      "shop/web:80": {
        breaker: "recovering",
        connections: 1,
        waiting: 2,
        ejected: 1,
        ejections: 3,
        retriesRefused: 4,
      },
    },
  }),
];
const PROXY = [
  ...configMetrics({
    version: "abc",
    appliedAt: 1_700_000_000,
    applyTimes: times,
    connected: true,
    silentSeconds: 0,
    closedEntrypoints: 0,
  }),
  ...workerMetrics([{ worker: 0, ...figures }]),
];
const CONTROLLER = controllerMetrics({
  leads: true,
  synced: true,
  stale: false,
  troubles: 0,
  services: 1,
  objects: { Pod: 3 },
  problems: [problem("SplitWeightsZero", { kind: "TrafficSplit", namespace: "n", name: "s" }, "spec", "")],
  compileTimes: times,
  version: "abc",
  proxies: [{ pod: "p", version: "abc", error: "", lagMs: 3, connectedMs: 1, standsBy: false }],
  dnsInForce: true,
  dnsRepairs: 1,
  eventsWritten: 1,
});
const PROCESS = [buildInfo("1.2.3"), ...processMetrics(figures)];

describe("docs/metrics.md has every metric with its type and labels, and no other:", () => {
  const sections = { Calls: CALLS, "A proxy": PROXY, "A controller": CONTROLLER, "Every process": PROCESS };
  for (const [heading, metrics] of Object.entries(sections))
    test(heading, () => {
      expect(rowsUnder(heading).sort()).toEqual(rendered(metrics).sort());
    });

  test("and the ceiling as it is", () => {
    expect(TEXT).toContain(`**${MAX_EDGES.toLocaleString("en")}**`);
  });
});

const ALL = [...CALLS, ...PROXY, ...CONTROLLER, ...PROCESS];

describe("what is rendered", () => {
  test("can be read in both formats", () => {
    for (const accept of [undefined, OPEN]) {
      const families = parseExposition(expose(ALL, accept).body, accept === OPEN);
      expect(families.size).toBe(ALL.length);
    }
  });

  test("says the number of requests twice, and both are one number", () => {
    const families = parseExposition(expose(CALLS, undefined).body, false);
    const sum = [...(families.get("tulle_requests_total")?.series.values() ?? [])].reduce((a, b) => a + b, 0);
    expect(sum).toBe(5);
  });

  const isInstalled = spawnSync("promtool", ["--version"]).status === 0;
  if (!isInstalled) process.stdout.write("promtool (package prometheus) is not installed: left out\n");

  test.runIf(isInstalled)("is as Prometheus would have metrics", () => {
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
      input: expose(ALL, undefined).body,
      encoding: "utf8",
    });
    expect([status, stdout, stderr]).toEqual([0, "", ""]);
  });

  test.runIf(isInstalled)("is read by Prometheus as OpenMetrics", () => {
    const folder = mkdtempSync(join(tmpdir(), "tulle-metrics-"));
    const file = join(folder, "metrics");
    // What is read from a file must say when it was.
    writeFileSync(file, expose(ALL, OPEN).body.replace(/^([^#].*)$/gm, "$1 1700000000"));
    const args = ["tsdb", "create-blocks-from", "openmetrics", file, join(folder, "tsdb")];
    const { status, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
    rmSync(folder, { recursive: true });
    expect([status, stderr]).toEqual([0, ""]);
  });
});
