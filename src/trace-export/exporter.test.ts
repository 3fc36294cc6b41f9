import { status as grpcStatus } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../model/clock.ts";
import type { Span } from "../proxy/tracing/span.ts";
import { type Log, silentLog } from "../telemetry/log.ts";
import { collectorOf, type TraceProtocol } from "./collector.ts";
import { GrpcSender } from "./grpc-sender.ts";
import { openExporter } from "./open-exporter.ts";
import { OtlpEncoding } from "./otlp-encoding.ts";
import { MAX_BATCH, type SpanQueue } from "./span-queue.ts";
import { TestCollector } from "./testkit/collectors.ts";
import { pending } from "./testkit/pending.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Keeps its lines. */
function listLog(): { lines: string[]; log: Log } {
  const lines: string[] = [];
  const note = (level: string) => (text: string, fields?: object) =>
    void lines.push(`${level} ${text} ${JSON.stringify(fields)}`);
  return { lines, log: { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") } };
}

let nextId = 1;
function spanOf(more: Partial<Span> = {}): Span {
  return {
    traceId: TRACE,
    spanId: (nextId++).toString(16).padStart(16, "0"),
    parentId: "",
    kind: "server",
    name: "GET ns/svc:80",
    startMs: 1_700_000_000_123.456,
    endMs: 1_700_000_000_223.456,
    failed: false,
    attributes: { "client.address": "127.0.0.1" },
    ...more,
  };
}

const PROTOCOLS = ["otlp-grpc", "otlp-http", "otlp-json", "zipkin"] as const;
const WITHIN_MS = 10_000;

async function collectorFor(protocol: TraceProtocol): Promise<TestCollector> {
  const collector = await (protocol === "otlp-grpc" ? TestCollector.grpc() : TestCollector.http());
  closing.push(() => collector.close());
  return collector;
}

function exporterTo(endpoint: string, protocol: TraceProtocol, log: Log = silentLog): SpanQueue {
  const collector = collectorOf(endpoint, protocol);
  if (typeof collector === "string") throw new Error(collector);
  return openExporter({
    collector,
    headers: { "x-token": "secret" },
    resource: { "service.name": "tulle", "service.version": "1.2.3", "k8s.pod.name": "tulle-proxy-x" },
    clock: systemClock,
    log,
  });
}

describe.each(PROTOCOLS)("spans in %s", (protocol) => {
  test("arrive with ids, parents, times, attributes and resource as they were", async () => {
    const collector = await collectorFor(protocol);
    const queue = exporterTo(collector.endpoint, protocol);
    const server = spanOf({ attributes: { "client.address": "127.0.0.1", "tulle.would_deny": true } });
    const attributes = { "server.address": "fd00::1", "server.port": 8080, "http.response.status_code": 503 };
    const client = spanOf({ kind: "client", parentId: server.spanId, failed: true, endMs: server.startMs, attributes });
    queue.add(pending(server, client));
    await queue.close(WITHIN_MS);
    const text = (value: unknown) => (protocol === "zipkin" ? String(value) : value);
    const [first, second] = collector.spans;
    expect(first).toMatchObject({
      ...{ traceId: TRACE, spanId: server.spanId, parentId: "", kind: "server", name: "GET ns/svc:80", failed: false },
      ...{ startMicros: 1_700_000_000_123_456, endMicros: 1_700_000_000_223_456 },
      attributes: { "tulle.would_deny": text(true) },
      resource: { "service.name": "tulle" },
    });
    expect(second).toMatchObject({
      ...{ spanId: client.spanId, parentId: server.spanId, kind: "client", failed: true },
      attributes: { "server.address": "fd00::1", "http.response.status_code": text(503) },
    });
    const resource = protocol === "zipkin" ? first?.attributes : first?.resource;
    expect(resource).toMatchObject({ "service.version": "1.2.3", "k8s.pod.name": "tulle-proxy-x" });
    expect(collector.headers[0]).toMatchObject({ "x-token": "secret" });
  });

  test("arrive all, however many, before it closes", async () => {
    const collector = await collectorFor(protocol);
    const queue = exporterTo(collector.endpoint, protocol);
    for (let count = 0; count < 1000; count++) queue.add(pending(spanOf()));
    await queue.close(WITHIN_MS);
    expect(new Set(collector.spans.map(({ spanId }) => spanId)).size).toBe(1000);
    expect([queue.sent, queue.dropped]).toEqual([1000, 0]);
  });

  test("that nobody takes are said once, with the cause and without the headers", async () => {
    const gone = await collectorFor(protocol);
    gone.close();
    const { lines, log } = listLog();
    const said = new Promise<void>((resolve) => {
      const { warn } = log;
      log.warn = (text, fields) => resolve(warn(text, fields));
    });
    const queue = exporterTo(gone.endpoint, protocol, log);
    for (let count = 0; count < MAX_BATCH; count++) queue.add(pending(spanOf()));
    await said;
    await queue.close(1);
    expect(lines.filter((line) => line.includes("cannot be sent"))).toHaveLength(1);
    expect(lines.join()).toMatch(/ECONNREFUSED/);
    expect(lines.join()).not.toContain("secret");
  });

  test("that are refused for good are dropped, and the next are sent", async () => {
    const collector = await collectorFor(protocol);
    collector.faults.push({ status: protocol === "otlp-grpc" ? grpcStatus.UNAUTHENTICATED : 401 });
    const { lines, log } = listLog();
    const queue = exporterTo(collector.endpoint, protocol, log);
    for (let count = 0; count < MAX_BATCH + 1; count++) queue.add(pending(spanOf()));
    await queue.close(WITHIN_MS);
    expect([queue.sent, queue.dropped]).toEqual([1, MAX_BATCH]);
    expect(lines[0]).toMatch(/^warn the collector refuses spans; they are dropped .*(401|UNAUTHENTICATED)/);
  });
});

test("to close ends what is under way over gRPC, whose deadline is seconds later", async () => {
  const collector = await collectorFor("otlp-grpc");
  const asked = new Promise<void>((resolve) => {
    collector.onSilence = resolve;
  });
  const encoding = new OtlpEncoding("protobuf", { "service.name": "tulle" });
  const sender = new GrpcSender({ url: collector.endpoint, headers: {}, encoding, clock: systemClock });
  const outcome = sender.send([spanOf()]);
  await asked;
  sender.close();
  expect(await outcome).toMatchObject({ taken: false, reason: expect.stringMatching(/^CANCELLED/) });
});

test("what an OTLP collector takes in part is counted in part", async () => {
  const collector = await collectorFor("otlp-grpc");
  collector.rejects = 2;
  const queue = exporterTo(collector.endpoint, "otlp-grpc");
  for (let count = 0; count < 5; count++) queue.add(pending(spanOf()));
  await queue.close(WITHIN_MS);
  expect([queue.sent, queue.dropped]).toEqual([3, 2]);
});
