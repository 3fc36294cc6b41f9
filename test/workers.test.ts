/** `tulle proxy` on several cores: worker processes, one configuration, one sum. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { emptyMeshConfig, type MeshConfig, type ServicePort } from "../src/config/mesh-config.ts";
import { seal } from "../src/config/snapshot.ts";
import { ConfigServer } from "../src/config-stream/config-server.ts";
import { systemClock } from "../src/model/clock.ts";
import { CERTIFICATE, KEY } from "../src/model/testkit/certificate.ts";
import type { TrafficReport } from "../src/proxy/traffic/traffic-report.ts";
import { silentLog } from "../src/telemetry/log.ts";
import { sumOfSeries } from "../src/telemetry/testkit/parse-exposition.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const WORKERS = 3;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = net.createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map(async (server) => once(server.close(), "close")));
  return ports;
}

let endpoint: string;
let controller: ConfigServer;
let controllerPort: number;
let ports: number[];
let daemon: ChildProcess;
let log: string;
/** Called at each acknowledgement of the proxy. */
let onAcknowledged: () => void;

beforeEach(async () => {
  const server = http.createServer((request, response) => {
    if (request.url === "/slow") setTimeout(() => response.end("slow"), 300);
    else response.end("hello");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  endpoint = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  onAcknowledged = () => {};
  controller = new ConfigServer({
    cert: CERTIFICATE,
    key: KEY,
    clock: systemClock,
    log: silentLog,
    authenticate: async () => ({ pod: "p", node: "n" }),
    onStatus: () => onAcknowledged(),
  });
  controllerPort = await controller.listen("localhost", 0);
  closing.push(() => controller.close());
  ports = await freePorts(8);
});

const [SERVICE, LIMITED, DNS, HEALTH, METRICS, ADMIN] = [0, 1, 2, 3, 4, 5];
const portOf = (index: number) => ports[index] as number;

function configOf(middlewares: ServicePort["middlewares"] = {}): MeshConfig {
  const servicePort = (service: string, own: ServicePort["middlewares"]): ServicePort => ({
    namespace: "shop",
    service,
    port: 80,
    trafficType: "http",
    scheme: "http",
    middlewares: own,
    endpoints: { [endpoint]: {} },
  });
  const entrypoint = (port: number, name: string) => ({
    [`127.0.0.1:${port}/tcp`]: {
      address: "127.0.0.1",
      port,
      transport: "tcp" as const,
      servicePort: `shop/${name}:80`,
    },
  });
  return {
    ...emptyMeshConfig(),
    entrypoints: { ...entrypoint(portOf(SERVICE), "web"), ...entrypoint(portOf(LIMITED), "limited") },
    servicePorts: {
      "shop/web:80": servicePort("web", middlewares),
      "shop/limited:80": servicePort("limited", { rateLimit: { average: 1, burst: 5 } }),
    },
  };
}

/** Publishes it, and waits until the proxy has it in force. */
async function putInForce(config: MeshConfig): Promise<void> {
  const acknowledged = new Promise<void>((resolve) => {
    onAcknowledged = resolve;
  });
  controller.publish(seal(config));
  await acknowledged;
}

async function start(workers: number | "auto" = WORKERS): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tulle-workers-"));
  closing.push(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "ca.crt"), CERTIFICATE);
  writeFileSync(join(folder, "token"), "token");
  const args = {
    controller: `localhost:${controllerPort}`,
    "ca-file": join(folder, "ca.crt"),
    "token-file": join(folder, "token"),
    "state-dir": folder,
    address: "127.0.0.1",
    "dns-port": portOf(DNS),
    "health-port": portOf(HEALTH),
    "metrics-port": portOf(METRICS),
    "admin-port": portOf(ADMIN),
    workers,
    "lame-duck": 0,
    drain: 5,
  };
  const flags = Object.entries(args).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(process.execPath, [join(ROOT, "bin/tulle"), "proxy", ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  daemon = child;
  log = "";
  child.stderr.on("data", (bytes) => {
    log += bytes;
  });
  closing.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  await putInForce(configOf());
}

/** One request on a connection of its own. */
async function call(port: number, path = "/"): Promise<number> {
  const request = http.get({ host: "127.0.0.1", port, path, agent: false });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.resume();
  await once(response, "end");
  return response.statusCode ?? 0;
}

const metricsText = () => answerOf(portOf(METRICS), "/metrics");

async function answerOf(port: number, path: string): Promise<string> {
  const request = http.get({ host: "127.0.0.1", port, path, agent: false });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let text = "";
  for await (const piece of response) text += piece;
  return text;
}

/** Asks until the answer is as wanted. */
async function until<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
  }
}

test("workers share the port, and their counters are one sum", async () => {
  await start();
  const statuses = await Promise.all(Array.from({ length: 60 }, () => call(portOf(SERVICE))));
  expect(statuses.every((status) => status === 200)).toBe(true);
  const text = await metricsText();
  expect(sumOfSeries(text, "tulle_requests_total", { code: "2xx" })).toBe(60);
  const report = JSON.parse(await answerOf(portOf(ADMIN), "/api/traffic")) as TrafficReport;
  expect(report.edges.map(({ servicePort, exchanges }) => [servicePort, exchanges[2]])).toEqual([["shop/web:80", 60]]);
  for (let worker = 0; worker < WORKERS; worker++)
    expect(sumOfSeries(text, "tulle_worker_resident_memory_bytes", { worker: `${worker}` })).toBeGreaterThan(1e6);
});

test("a rate limit holds for all workers together", async () => {
  await start();
  const statuses = await Promise.all(Array.from({ length: 40 }, () => call(portOf(LIMITED))));
  expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(7);
  expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(33);
});

test("a change of configuration is in force in each of them when it is acknowledged", async () => {
  await start();
  const gone = configOf();
  const servicePorts = { ...gone.servicePorts };
  delete servicePorts["shop/web:80"];
  const entrypoints = { ...gone.entrypoints };
  delete entrypoints[`127.0.0.1:${portOf(SERVICE)}/tcp`];
  await putInForce({ ...gone, servicePorts, entrypoints });
  await expect(call(portOf(SERVICE))).rejects.toThrow("ECONNREFUSED");
  await putInForce(configOf());
  expect(await call(portOf(SERVICE))).toBe(200);
  // It is limited now, and so one worker's.
  await putInForce(configOf({ rateLimit: { average: 1, burst: 2 } }));
  const statuses = await Promise.all(Array.from({ length: 20 }, () => call(portOf(SERVICE))));
  expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(16);
});

test("a worker that dies is replaced, and what it counted stays", async () => {
  await start();
  await Promise.all(Array.from({ length: 30 }, () => call(portOf(SERVICE))));
  await metricsText();
  const children = spawnedBy(daemon.pid as number);
  expect(children).toHaveLength(WORKERS);
  for (const pid of children) process.kill(pid, "SIGKILL");
  await until(
    async () => spawnedBy(daemon.pid as number),
    (pids) => pids.length === WORKERS && !pids.includes(children[0] as number),
  );
  await until(
    async () => call(portOf(SERVICE)).catch(() => 0),
    (status) => status === 200,
  );
  expect(sumOfSeries(await metricsText(), "tulle_requests_total", { code: "2xx" })).toBeGreaterThanOrEqual(31);
  expect(log).toContain("a worker ended; it is started again");
});

test("a signal lets the calls under way finish, and nothing stays behind", async () => {
  await start();
  const children = spawnedBy(daemon.pid as number);
  const slow = Promise.all(Array.from({ length: 9 }, () => call(portOf(SERVICE), "/slow")));
  await until(metricsText, (text) => sumOfSeries(text, "tulle_upstream_connections") >= 9);
  // As a terminal does it: to the whole group.
  for (const pid of [daemon.pid as number, ...children]) process.kill(pid, "SIGTERM");
  expect(await slow).toEqual(Array.from({ length: 9 }, () => 200));
  const [code] = await once(daemon, "exit");
  expect(code).toBe(0);
  expect(children.filter(isRunning)).toEqual([]);
});

test("workers do not outlive a parent that is killed", async () => {
  await start();
  const children = spawnedBy(daemon.pid as number);
  daemon.kill("SIGKILL");
  await once(daemon, "exit");
  await until(
    async () => children.filter(isRunning),
    (left) => left.length === 0,
  );
});

test("one worker is the process itself", async () => {
  await start(1);
  expect(await call(portOf(SERVICE))).toBe(200);
  expect(spawnedBy(daemon.pid as number)).toEqual([]);
  expect(await metricsText()).not.toContain("tulle_worker_");
});

/** Processes that this one started, from /proc. */
function spawnedBy(parent: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const stat = statOf(pid);
      return stat !== undefined && stat.parent === parent && stat.state !== "Z";
    });
}

const isRunning = (pid: number) => !["Z", undefined].includes(statOf(pid)?.state);

function statOf(pid: number): { state: string; parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state = "", parent] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}
