import { describe, expect, test } from "vitest";
import type { Workload } from "../../config/mesh-config.ts";
import { expose } from "../../telemetry/exposition.ts";
import { DURATION_BOUNDS_MS, NO_TRAFFIC, type TrafficEdge, totalTraffic } from "../../traffic/traffic-report.ts";
import { entryOf, exchangeRecord, flowRecord, tableOf } from "./testkit/records.ts";
import { TrafficMeter } from "./traffic-meter.ts";
import { trafficMetrics } from "./traffic-metrics.ts";

const pod = (name: string): Workload => ({ namespace: "a", pod: name, serviceAccount: "default" });
const table = tableOf(["web", "web-v2"], { "10.1.0.1": pod("one"), "10.1.0.2": pod("two") });
const web = entryOf(table, "web");
const v2 = entryOf(table, "web-v2");
const one = table.caller("10.1.0.1");
const two = table.caller("10.1.0.2");
const stranger = table.caller("192.0.2.1");

const keyOf = ({ source, servicePort, backend, protocol }: TrafficEdge) => [source, servicePort, backend, protocol];

describe("an exchange is counted", () => {
  test("by caller, service port and the service port that served it", () => {
    const meter = new TrafficMeter();
    meter.exchange(exchangeRecord(web, one));
    meter.exchange(exchangeRecord(web, one, { endpoint: v2.endpoints[0] }));
    meter.exchange(exchangeRecord(web, two));
    meter.exchange(exchangeRecord(web, stranger));
    meter.exchange(
      exchangeRecord(web, one, { status: 403, failure: "AccessDenied", endpoint: undefined, attempts: 0 }),
    );
    meter.exchange(exchangeRecord(web, one));
    const { edges } = meter.take();
    expect(edges.map(keyOf)).toEqual([
      ["", "n/web:80", "n/web:80", "http"],
      ["a/one", "n/web:80", "", "http"],
      ["a/one", "n/web:80", "n/web-v2:80", "http"],
      ["a/one", "n/web:80", "n/web:80", "http"],
      ["a/two", "n/web:80", "n/web:80", "http"],
    ]);
    expect(edges.map(({ exchanges }) => exchanges[2])).toEqual([1, 0, 1, 2, 1]);
    expect(edges[1]).toMatchObject({ exchanges: [0, 0, 0, 0, 1, 0], failures: { AccessDenied: 1 } });
  });

  test("with its status, tries, sizes and time", () => {
    const meter = new TrafficMeter();
    meter.exchange(exchangeRecord(web, one, { attempts: 3, bytesUp: 10, bytesDown: 200, durationMs: 2.5 }));
    meter.exchange(exchangeRecord(web, one, { status: 0, failure: "ClientGone", durationMs: 40_000, wouldDeny: true }));
    const [edge] = meter.take().edges;
    expect(edge).toMatchObject({
      exchanges: [1, 0, 1, 0, 0, 0],
      failures: { ClientGone: 1 },
      durationUs: 40_002_500,
      retries: 2,
      bytesUp: 10,
      bytesDown: 200,
      audited: 1,
    });
    expect(edge?.durations[DURATION_BOUNDS_MS.indexOf(2.5)]).toBe(1);
    expect(edge?.durations.at(-1)).toBe(1);
  });

  test("without its time where it became a tunnel", () => {
    const meter = new TrafficMeter();
    meter.exchange(exchangeRecord(web, one, { status: 101, durationMs: 3_600_000 }));
    const total = totalTraffic(meter.take());
    expect(total.exchanges[1]).toBe(1);
    expect([total.durationUs, ...total.durations].some((count) => count !== 0)).toBe(false);
  });
});

test("the Pods of a workload are one source", () => {
  const of = (name: string): Workload => ({ ...pod(name), workload: "client" });
  const addresses = ["10.1.0.1", "10.1.0.2"];
  const shared = tableOf(["web"], { "10.1.0.1": of("client-a"), "10.1.0.2": of("client-b") });
  const meter = new TrafficMeter();
  for (let round = 0; round < 2; round++)
    for (const address of addresses) meter.exchange(exchangeRecord(entryOf(shared, "web"), shared.caller(address)));
  expect(meter.take().edges.map(({ source, exchanges }) => [source, exchanges[2]])).toEqual([["a/client", 4]]);
});

test("a request that never became an exchange counts as its failure alone", () => {
  const meter = new TrafficMeter();
  meter.refused("HeadTooLarge", web, one);
  const [edge] = meter.take().edges;
  expect(edge).toMatchObject({
    source: "a/one",
    backend: "",
    exchanges: [0, 0, 0, 0, 0, 0],
    failures: { HeadTooLarge: 1 },
  });
});

test("a flow is counted when it opens and when it ends, apart from HTTP on the same service port", () => {
  const meter = new TrafficMeter();
  meter.flowOpened(flowRecord(web, one));
  meter.flow(flowRecord(web, one, { bytesUp: 5, bytesDown: 7 }));
  meter.flow(flowRecord(web, one, { transport: "udp", failure: "NoEndpoint", endpoint: undefined }));
  meter.exchange(exchangeRecord(web, one));
  const { edges } = meter.take();
  expect(edges.map(keyOf)).toEqual([
    ["a/one", "n/web:80", "", "udp"],
    ["a/one", "n/web:80", "n/web:80", "http"],
    ["a/one", "n/web:80", "n/web:80", "tcp"],
  ]);
  expect(edges[2]).toMatchObject({ flowsOpened: 1, flowsEnded: 1, bytesUp: 5, bytesDown: 7 });
});

test("what was taken is not told again", () => {
  const meter = new TrafficMeter();
  for (let round = 0; round < 3; round++) {
    expect(meter.take()).toEqual(NO_TRAFFIC);
    meter.exchange(exchangeRecord(web, one));
    expect(totalTraffic(meter.take()).exchanges[2]).toBe(1);
  }
});

describe("beyond the ceiling", () => {
  test("edges are counted in one, and those that are known go on", () => {
    const meter = new TrafficMeter(2);
    meter.exchange(exchangeRecord(web, one));
    meter.exchange(exchangeRecord(web, two));
    meter.exchange(exchangeRecord(web, stranger));
    meter.exchange(exchangeRecord(v2, one, { status: 500 }));
    meter.exchange(exchangeRecord(web, one));
    meter.flow(flowRecord(v2, two, { bytesUp: 3 }));
    const { edges } = meter.take();
    expect(edges.map(keyOf)).toEqual([
      ["", "", "", "http"],
      ["", "", "", "tcp"],
      ["a/one", "n/web:80", "n/web:80", "http"],
      ["a/two", "n/web:80", "n/web:80", "http"],
    ]);
    expect(edges[0]?.exchanges).toEqual([0, 0, 1, 0, 0, 1]);
    expect(edges[1]?.bytesUp).toBe(3);
    expect(edges[2]?.exchanges[2]).toBe(2);
  });

  test("10,000 services called from 50 workloads take no more room than the ceiling, and all calls are counted", () => {
    const names = Array.from({ length: 10_000 }, (_, index) => `s${index}`);
    const addresses = Array.from({ length: 50 }, (_, index) => `10.1.1.${index}`);
    const large = tableOf(names, Object.fromEntries(addresses.map((address) => [address, pod(address)])));
    const meter = new TrafficMeter(1_000);
    const callers = addresses.map((address) => large.caller(address));
    const sizes: number[] = [];
    for (let round = 0; round < 2; round++) {
      for (const name of names) {
        const record = exchangeRecord(entryOf(large, name), one);
        for (const caller of callers) meter.exchange({ ...record, caller });
      }
      sizes.push(meter.bytes);
      expect(meter.edges).toBe(1_000);
    }
    expect(new Set(sizes).size).toBe(1);
    expect(sizes[0]).toBeLessThan(600 * 1_024);
    const report = meter.take();
    expect(report.edges).toHaveLength(1_001);
    expect(totalTraffic(report).exchanges[2]).toBe(1_000_000);
    expect(meter.edges).toBe(0);
  });
});

test("the last exchange whose trace is recorded is an exemplar of the bucket that it is in", () => {
  const clock = { wall: () => 1_700_000_000_500 };
  const meter = new TrafficMeter(10, clock);
  meter.exchange(exchangeRecord(web, one, { durationMs: 700, traceId: "0af7651916cd43dd8448eb211c80319c" }));
  meter.exchange(exchangeRecord(web, one, { durationMs: 3 }));
  const text = expose(trafficMetrics(meter.take()), "application/openmetrics-text").body;
  const exemplars = text.split("\n").filter((line) => line.includes(" # {"));
  expect(exemplars).toHaveLength(1);
  expect(exemplars[0]).toMatch(
    /^tulle_request_duration_seconds_bucket\{.*le="1.0"\} 2 # \{trace_id="0af7651916cd43dd8448eb211c80319c"\} 0.7 1700000000.5$/,
  );
});
