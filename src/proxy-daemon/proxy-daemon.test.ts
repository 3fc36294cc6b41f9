import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { seal } from "../config/snapshot.ts";
import { freePort } from "../model/testkit/free-ports.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import type { TrafficReport } from "../traffic/traffic-report.ts";
import { configFor, controller, endpoint, startedProxy, stateFolder } from "./testkit/node-proxies.ts";

const readiness = async (port: number) => {
  const response = await fetch(`http://127.0.0.1:${port}/readyz`);
  return { status: response.status, text: await response.text() };
};

test("it is not ready before its first configuration, and with it serves calls and names", async () => {
  const { server, port, acked } = await controller(undefined);
  const { healthPort, adminPort } = await startedProxy(port, await stateFolder());
  expect(await readiness(healthPort)).toEqual({ status: 503, text: "not ready: no configuration is in force yet\n" });
  const [entry, back] = [await freePort(), await endpoint()];
  server.publish(seal(configFor(entry, back)));
  await acked;
  expect((await readiness(healthPort)).status).toBe(200);
  expect(await (await fetch(`http://127.0.0.1:${entry}/`)).text()).toBe("hello");
  const status = (await (await fetch(`http://127.0.0.1:${adminPort}/api/status`)).json()) as { connected: boolean };
  expect(status).toMatchObject({ name: "proxy-1", connected: true, silentSeconds: 0, draining: false });
});

test("one that starts anew serves its last configuration, though no controller is there", async () => {
  const [entry, back, path] = [await freePort(), await endpoint(), await stateFolder()];
  const { port, server, acked } = await controller(configFor(entry, back));
  const first = await startedProxy(port, path);
  await acked;
  await first.stop();
  await server.close();
  const second = await startedProxy(port, path);
  expect((await readiness(second.healthPort)).status).toBe(200);
  expect(await (await fetch(`http://127.0.0.1:${entry}/`)).text()).toBe("hello");
  expect(await (await fetch(`http://127.0.0.1:${second.metricsPort}/metrics`)).text()).toContain(
    "tulle_config_stream_up 0",
  );
});

test("a saved configuration that is damaged is not used", async () => {
  const [entry, back, path] = [await freePort(), await endpoint(), await stateFolder()];
  const { port, server, acked } = await controller(configFor(entry, back));
  const first = await startedProxy(port, path);
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
    const second = await startedProxy(port, path);
    expect((await readiness(second.healthPort)).status).toBe(503);
    await second.stop();
    await writeFile(file, text);
  }
});

test("other Pods see metrics and status; who may call whom is told on 127.0.0.1 only", async () => {
  const { port, acked } = await controller(configFor(await freePort(), await endpoint()));
  const { metricsPort, adminPort } = await startedProxy(port, await stateFolder(), { address: "127.0.0.2" });
  await acked;
  const statusOf = async (url: string) => (await fetch(url)).status;
  const config = [
    "/api/config",
    "/api/service-ports",
    "/api/callers",
    "/api/traffic",
    "/api/traffic/recent",
    "/api/service-port/shop/web/80",
  ];
  const open = ["/metrics", "/api/status", "/healthz", "/readyz"];
  for (const path of config) expect.soft(await statusOf(`http://127.0.0.2:${metricsPort}${path}`), path).toBe(404);
  for (const path of open) expect.soft(await statusOf(`http://127.0.0.2:${metricsPort}${path}`), path).toBe(200);
  for (const path of [...config, ...open])
    expect.soft(await statusOf(`http://127.0.0.1:${adminPort}${path}`), path).toBe(200);
  await expect(fetch(`http://127.0.0.2:${adminPort}/`)).rejects.toThrow();
});

test("what has passed is told as a report, and goes on growing", async () => {
  const [entry, back] = [await freePort(), await endpoint()];
  const { port, acked } = await controller(configFor(entry, back));
  const { adminPort } = await startedProxy(port, await stateFolder());
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
  const [entry, back] = [await freePort(), await endpoint()];
  const { port, acked } = await controller(configFor(entry, back));
  const clock = new ManualClock();
  const { adminPort, stop } = await startedProxy(port, await stateFolder(), { clock });
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
  const [entry, back] = [await freePort(), await endpoint()];
  const { port, acked } = await controller(configFor(entry, back));
  const clock = new ManualClock();
  const { stop, healthPort } = await startedProxy(port, await stateFolder(), { clock });
  await acked;
  const stopped = stop(60_000);
  expect((await readiness(healthPort)).text).toBe("not ready: it is draining\n");
  const response = await fetch(`http://127.0.0.1:${entry}/`);
  expect([response.status, response.headers.get("connection")]).toEqual([200, "close"]);
  clock.advance(60_000);
  await stopped;
  await expect(fetch(`http://127.0.0.1:${entry}/`)).rejects.toThrow();
});
