/** Proxies of a node in this process, their controller and an endpoint; what a test opens is closed when it is over. */
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import type net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { MeshConfig } from "../../config/mesh-config.ts";
import { seal } from "../../config/snapshot.ts";
import { webConfig } from "../../config/testkit/shop-config.ts";
import { ConfigServer } from "../../config-stream/config-server.ts";
import { type Clock, systemClock } from "../../model/clock.ts";
import { CERTIFICATE, KEY } from "../../model/testkit/certificate.ts";
import { freePorts } from "../../model/testkit/free-ports.ts";
import { type Log, silentLog } from "../../telemetry/log.ts";
import { ProxyDaemon } from "../proxy-daemon.ts";

/** Says hello. @returns its port */
export async function endpoint(
  answer: http.RequestListener = (_request, response) => void response.end("hello"),
): Promise<number> {
  const server = http.createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

/** One Service, whose mesh name is 127.0.0.1 and whose port the proxy knows as `port`. */
export function configFor(port: number, endpointPort: number): MeshConfig {
  const config = webConfig(port, `127.0.0.1:${endpointPort}`);
  return { ...config, meshDomains: ["traefik.mesh"], names: { "shop/web": ["127.0.0.1"] } };
}

export interface Controller {
  readonly server: ConfigServer;
  readonly port: number;
  /** Resolves when a proxy has acknowledged a configuration. */
  readonly acked: Promise<void>;
}

export async function controller(config: MeshConfig | undefined): Promise<Controller> {
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
  onTestFinished(() => server.close());
  if (config !== undefined) server.publish(seal(config));
  return { server, port, acked };
}

export interface NodePorts {
  readonly dnsPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly adminPort: number;
}

export async function nodePorts(): Promise<NodePorts> {
  const [dnsPort = 0, healthPort = 0, metricsPort = 0, adminPort = 0] = await freePorts(4);
  return { dnsPort, healthPort, metricsPort, adminPort };
}

export async function stateFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tulle-proxy-"));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

export interface NodeProxyOptions {
  readonly address?: string;
  readonly clock?: Clock;
  readonly handOver?: boolean;
  readonly ports?: NodePorts;
  readonly log?: Log;
}

export interface NodeProxy extends NodePorts {
  readonly daemon: ProxyDaemon;
  /** Ends it once, with a second to drain; it has none when the test is over. */
  stop(lameDuckMs?: number): Promise<void>;
}

/** It is not started yet. */
export async function nodeProxy(
  controllerPort: number,
  folder: string,
  { address = "127.0.0.1", clock = systemClock, handOver = false, ports, log = silentLog }: NodeProxyOptions = {},
): Promise<NodeProxy> {
  const own = ports ?? (await nodePorts());
  const daemon = new ProxyDaemon({
    version: "0.0.0",
    controller: { host: "127.0.0.1", port: controllerPort },
    ca: async () => CERTIFICATE,
    token: async () => "token",
    stateFolder: folder,
    name: "proxy-1",
    address,
    ...own,
    handOver,
    clock,
    random: Math.random,
    log,
  });
  let stopped: Promise<void> | undefined;
  const stop = (lameDuckMs = 0, drainMs = 1000) => {
    stopped ??= daemon.stop(lameDuckMs, drainMs);
    return stopped;
  };
  onTestFinished(() => stop(0, 0));
  return { daemon, stop, ...own };
}

export async function startedProxy(...made: Parameters<typeof nodeProxy>): Promise<NodeProxy> {
  const proxy = await nodeProxy(...made);
  await proxy.daemon.start();
  return proxy;
}
