import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { MeshConfig } from "../config/mesh-config.ts";
import { seal } from "../config/snapshot.ts";
import { webConfig } from "../config/testkit/shop-config.ts";
import { ConfigServer } from "../config-stream/config-server.ts";
import { systemClock } from "../model/clock.ts";
import { CERTIFICATE, KEY } from "../model/testkit/certificate.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import type { TrafficReport } from "../traffic/traffic-report.ts";
import { ProxyDaemon } from "./proxy-daemon.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function backend(): Promise<number> {
  const server = http.createServer((_request, response) => response.end("hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

/** One service, whose mesh name is 127.0.0.1 and whose port the proxy knows as `port`. */
function configFor(port: number, backendPort: number): MeshConfig {
  const config = webConfig(port, `127.0.0.1:${backendPort}`);
  return { ...config, meshDomains: ["traefik.mesh"], names: { "shop/web": ["127.0.0.1"] } };
}

async function controller(
  config: MeshConfig | undefined,
): Promise<{ server: ConfigServer; port: number; acked: Promise<void> }> {
  let heard = () => {};
  const acked = new Promise<void>((resolve) => {
    heard = resolve;
  });
  const server = new ConfigServer({
    cert: CERTIFICATE,
    key: KEY,
    clock: systemClock,
    log: silentLog,
    authenticate: async () => ({ role: "proxy", pod: "p", node: "n" }),
    onStatus: () => heard(),
  });
  const port = await server.listen("127.0.0.1", 0);
  cleanups.push(() => server.close());
  if (config !== undefined) server.publish(seal(config));
  return { server, port, acked };
}

async function daemon(
  controllerPort: number,
  stateFolder: string,
  { address = "127.0.0.1", clock = systemClock } = {},
) {
  const [dnsPort, healthPort] = [await freePort(), await freePort()];
  const [metricsPort, adminPort] = [await freePort(), await freePort()];
  const made = new ProxyDaemon({
    version: "0.0.0",
    controller: { host: "127.0.0.1", port: controllerPort },
    ca: async () => CERTIFICATE,
    token: async () => "token",
    stateFolder,
    name: "proxy-1",
    address,
    dnsPort,
    healthPort,
    metricsPort,
    adminPort,
    clock,
    random: Math.random,
    log: silentLog,
  });
  await made.start();
  let stopped: Promise<void> | undefined;
  const stop = (lameDuckMs = 0) => {
    stopped ??= made.stop(lameDuckMs, 1000);
    return stopped;
  };
  cleanups.push(() => stop());
  return { stop, dnsPort, healthPort, metricsPort, adminPort };
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tulle-proxy-"));
  cleanups.push(() => rm(path, { recursive: true }));
  return path;
}

const readiness = async (port: number) => {
  const response = await fetch(`http://127.0.0.1:${port}/readyz`);
  return { status: response.status, text: await response.text() };
};

test("it is not ready before its first configuration, and with it serves calls and names", async () => {
  const { server, port, acked } = await controller(undefined);
  const { healthPort, adminPort } = await daemon(port, await folder());
  expect(await readiness(healthPort)).toEqual({ status: 503, text: "not ready: no configuration is in force yet\n" });
  const [entry, back] = [await freePort(), await backend()];
  server.publish(seal(configFor(entry, back)));
  await acked;
  expect((await readiness(healthPort)).status).toBe(200);
  expect(await (await fetch(`http://127.0.0.1:${entry}/`)).text()).toBe("hello");
  const status = (await (await fetch(`http://127.0.0.1:${adminPort}/api/status`)).json()) as { connected: boolean };
  expect(status).toMatchObject({ name: "proxy-1", connected: true, silentSeconds: 0, draining: false });
});

test("one that starts anew serves its last configuration, though no controller is there", async () => {
  const [entry, back, path] = [await freePort(), await backend(), await folder()];
  const { port, server, acked } = await controller(configFor(entry, back));
  const first = await daemon(port, path);
  await acked;
  await first.stop();
  await server.close();
  const second = await daemon(port, path);
  expect((await readiness(second.healthPort)).status).toBe(200);
  expect(await (await fetch(`http://127.0.0.1:${entry}/`)).text()).toBe("hello");
  expect(await (await fetch(`http://127.0.0.1:${second.metricsPort}/metrics`)).text()).toContain(
    "tulle_config_stream_up 0",
  );
});

test("a saved configuration that is damaged is not used", async () => {
  const [entry, back, path] = [await freePort(), await backend(), await folder()];
  const { port, server, acked } = await controller(configFor(entry, back));
  const first = await daemon(port, path);
  await acked;
  await first.stop();
  await server.close();
  const file = join(path, "mesh-config.json");
  for (const damage of [
    (text: string) => text.slice(0, -10),
    (text: string) => text.replace('"accessControl":"off"', '"accessControl":"on"'),
  ]) {
    const text = await readFile(file, "utf8");
    await writeFile(file, damage(text));
    const second = await daemon(port, path);
    expect((await readiness(second.healthPort)).status).toBe(503);
    await second.stop();
    await writeFile(file, text);
  }
});

test("other Pods see metrics and status; who may call whom is told on 127.0.0.1 only", async () => {
  const { port, acked } = await controller(configFor(await freePort(), await backend()));
  const { metricsPort, adminPort } = await daemon(port, await folder(), { address: "127.0.0.2" });
  await acked;
  const statusOf = async (url: string) => (await fetch(url)).status;
  const config = ["/api/config", "/api/traffic", "/api/traffic/recent", "/api/service-port/shop/web/80"];
  const open = ["/metrics", "/api/status", "/healthz", "/readyz"];
  for (const path of config) expect.soft(await statusOf(`http://127.0.0.2:${metricsPort}${path}`), path).toBe(404);
  for (const path of open) expect.soft(await statusOf(`http://127.0.0.2:${metricsPort}${path}`), path).toBe(200);
  for (const path of [...config, ...open])
    expect.soft(await statusOf(`http://127.0.0.1:${adminPort}${path}`), path).toBe(200);
  await expect(fetch(`http://127.0.0.2:${adminPort}/`)).rejects.toThrow();
});

test("what has passed is told as a report, and goes on growing", async () => {
  const [entry, back] = [await freePort(), await backend()];
  const { port, acked } = await controller(configFor(entry, back));
  const { adminPort } = await daemon(port, await folder());
  await acked;
  for (const calls of [1, 2]) {
    await (await fetch(`http://127.0.0.1:${entry}/`)).text();
    const report = (await (await fetch(`http://127.0.0.1:${adminPort}/api/traffic`)).json()) as TrafficReport;
    expect(report.edges).toHaveLength(1);
    expect(report.edges[0]).toMatchObject({
      source: "",
      servicePort: "shop/web:80",
      backend: "shop/web:80",
      protocol: "http",
      exchanges: [0, 0, calls, 0, 0, 0],
      bytesDown: 5 * calls,
    });
  }
});

test("what has passed in the last half minute is told by itself", async () => {
  const [entry, back] = [await freePort(), await backend()];
  const { port, acked } = await controller(configFor(entry, back));
  const clock = new ManualClock();
  const { adminPort, stop } = await daemon(port, await folder(), { clock });
  await acked;
  const recent = async () => {
    const response = await fetch(`http://127.0.0.1:${adminPort}/api/traffic/recent`);
    return ((await response.json()) as TrafficReport).edges.map(({ exchanges }) => exchanges[2]);
  };
  await (await fetch(`http://127.0.0.1:${entry}/`)).text();
  clock.advance(10_000);
  await expect.poll(recent).toEqual([1]);
  clock.advance(30_000);
  await expect.poll(recent).toEqual([]);
  const stopped = stop();
  clock.advance(60_000);
  await stopped;
});

test("told to stop, it serves on as long as it is told to, is not ready, and asks callers to connect anew", async () => {
  const [entry, back] = [await freePort(), await backend()];
  const { port, acked } = await controller(configFor(entry, back));
  const clock = new ManualClock();
  const { stop, healthPort } = await daemon(port, await folder(), { clock });
  await acked;
  const stopped = stop(60_000);
  expect((await readiness(healthPort)).text).toBe("not ready: it is draining\n");
  const response = await fetch(`http://127.0.0.1:${entry}/`);
  expect([response.status, response.headers.get("connection")]).toEqual([200, "close"]);
  clock.advance(60_000);
  await stopped;
  await expect(fetch(`http://127.0.0.1:${entry}/`)).rejects.toThrow();
});
