/** Traces of the program as people run it, taken by a collector that reads OTLP by its own definition. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { emptyMeshConfig } from "../src/config/mesh-config.ts";
import { seal } from "../src/config/snapshot.ts";
import { freePorts } from "../src/model/testkit/free-ports.ts";
import { type ReceivedSpan, TestCollector } from "../src/trace-export/testkit/collectors.ts";
import { until } from "./until.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const ANY_PORTS = ["--dns", "127.0.0.1:0", "--socks", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

let collector: TestCollector;
beforeEach(async () => {
  collector = await TestCollector.grpc();
  closing.push(() => collector.close());
});

interface Run {
  readonly child: ChildProcess;
  /** Its exit code and what it said on standard error. */
  readonly ended: Promise<{ code: number | null; err: string }>;
}

function tulle(args: readonly string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, ["bin/tulle", ...args], {
    cwd: ROOT,
    env: { PATH: process.env["PATH"], HOME: "/nonexistent", ...env },
  });
  closing.push(() => child.kill("SIGKILL"));
  let err = "";
  child.stderr.on("data", (bytes: Buffer) => {
    err += bytes;
  });
  child.stdout.resume();
  return { child, ended: once(child, "close").then(([code]) => ({ code: code as number | null, err })) };
}

/** Server spans whose tries are all there, each below its own. */
function traces(spans: readonly ReceivedSpan[]): ReceivedSpan[] {
  const servers = spans.filter(({ kind }) => kind === "server");
  const byId = new Map(servers.map((span) => [`${span.traceId} ${span.spanId}`, span]));
  for (const client of spans.filter(({ kind }) => kind === "client"))
    expect(byId.get(`${client.traceId} ${client.parentId}`), client.name).toBeDefined();
  return servers;
}

describe("tulle local", () => {
  test("sends the traces of the example's calls, complete, before it ends", async () => {
    const args = ["local", "--once", "--acl", "on", ...ANY_PORTS, "--tracing-endpoint", collector.endpoint];
    const { code } = await tulle([...args, "--tracing-protocol", "otlp-grpc"]).ended;
    expect(code).toBe(0);
    const servers = traces(collector.spans);
    const denied = servers.find(({ attributes }) => attributes["tulle.failure"] === "AccessDenied");
    expect(denied?.attributes).toMatchObject({ "tulle.attempts": 0, "http.response.status_code": 403 });
    const split = servers.find(({ attributes }) => String(attributes["tulle.decided_by"]).startsWith("TrafficSplit "));
    expect(split?.attributes).toMatchObject({ "tulle.backend": expect.stringMatching(/^whoami\//) });
    expect(collector.spans.filter(({ kind }) => kind === "client").length).toBeGreaterThan(3);
  });

  test("ends as ever where the collector is gone, and says so once", async () => {
    collector.close();
    const args = ["local", "--once", ...ANY_PORTS, "--tracing-protocol", "otlp-grpc"];
    const { code, err } = await tulle(args, { TULLE_TRACING_ENDPOINT: collector.endpoint }).ended;
    expect(code).toBe(0);
    expect(err.match(/spans cannot be sent/g)).toHaveLength(1);
    expect(err).toMatch(/spans were lost/);
  });
});

test("workers of tulle proxy send what each of them carries, with the headers that are no one else's business", async () => {
  const endpoint = http.createServer((_, response) => response.end("hello"));
  endpoint.listen(0, "127.0.0.1");
  await once(endpoint, "listening");
  closing.push(() => endpoint.close());
  const [service = 0, dns = 0, health = 0, metrics = 0, admin = 0] = await freePorts(5);
  const folder = await mkdtemp(join(tmpdir(), "tulle-tracing-"));
  closing.push(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "mesh-config.json"), JSON.stringify(seal(configOf(service, portOf(endpoint)))));
  const { child, ended } = tulle(
    [
      ...["proxy", "--state-dir", folder, "--address", "127.0.0.1", "--workers", "2", "--controller", "127.0.0.1:1"],
      ...["--dns-port", dns, "--health-port", health, "--metrics-port", metrics, "--admin-port", admin].map(String),
      ...["--ca-file", "/dev/null", "--token-file", "/dev/null", "--lame-duck", "0", "--drain", "5"],
      ...["--pod-name", "tulle-proxy-x", "--node-name", "node-1", "--tracing-endpoint", collector.endpoint],
      ...["--tracing-protocol", "otlp-grpc", "--tracing-headers", "x-token=secret", "--tracing-rate", "0"],
    ],
    {},
  );
  await until(() => isReachable(service));
  const answers = await Promise.all(Array.from({ length: 40 }, () => call(service)));
  expect(answers).toEqual(Array.from({ length: 40 }, () => "hello"));
  child.kill("SIGTERM");
  expect((await ended).code).toBe(0);
  expect(traces(collector.spans)).toHaveLength(40);
  expect(collector.spans).toHaveLength(80);
  for (const { resource } of collector.spans)
    expect(resource).toMatchObject({
      "service.name": "tulle",
      "k8s.pod.name": "tulle-proxy-x",
      "k8s.node.name": "node-1",
    });
  for (const headers of collector.headers) expect(headers).toMatchObject({ "x-token": "secret" });
});

test.each([
  [
    ["--tracing-endpoint", "jaeger-agent:6831"],
    /^tulle: --tracing-endpoint \(TULLE_TRACING_ENDPOINT\) "jaeger-agent:6831": port 6831 is one of Jaeger's own .*\n$/,
  ],
  [
    ["--tracing-endpoint", "http://me:secret@c:4318"],
    /^tulle: --tracing-endpoint \(TULLE_TRACING_ENDPOINT\) "http:\/\/…@c:4318": it has a name or password, .*\n$/,
  ],
  [["--tracing-endpoint", "http://c:4318", "--tracing-headers", "secret"], /--tracing-headers: it is not name=value/],
  [["--tracing-protocol", "jaeger"], /Allowed choices are otlp-grpc, otlp-http, otlp-json, zipkin/],
  [["--tracing-sampling", "2"], /"2" is not a number from 0 to 1\./],
  [["--tracing-propagators", "b4"], /"b4" is none of tracecontext, b3, b3multi, jaeger\./],
])("%j is refused with 2 and a hint", async (args, hint) => {
  const { code, err } = await tulle(["local", "--once", ...ANY_PORTS, ...args]).ended;
  expect([code, err]).toEqual([2, expect.stringMatching(hint)]);
  if (args.includes("secret")) expect(err).not.toContain("secret");
});

function configOf(port: number, endpointPort: number) {
  const servicePort = { namespace: "shop", service: "web", port: 80, trafficType: "http", scheme: "http" } as const;
  const entrypoint = { address: "127.0.0.1", port, transport: "tcp", servicePort: "shop/web:80" } as const;
  return {
    ...emptyMeshConfig(),
    entrypoints: { [`127.0.0.1:${port}/tcp`]: entrypoint },
    servicePorts: {
      "shop/web:80": { ...servicePort, middlewares: {}, endpoints: { [`127.0.0.1:${endpointPort}`]: {} } },
    },
  };
}

const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port;

async function isReachable(port: number): Promise<boolean> {
  const socket = net.connect(port, "127.0.0.1");
  const isOpen = await once(socket, "connect").then(
    () => true,
    () => false,
  );
  socket.destroy();
  return isOpen;
}

function call(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: "127.0.0.1", port, agent: false }, (response) => {
      let text = "";
      response.on("data", (bytes: Buffer) => {
        text += bytes;
      });
      response.on("end", () => resolve(text));
    });
    request.on("error", reject);
  });
}
