import { once } from "node:events";
import net from "node:net";
import { setImmediate } from "node:timers/promises";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { AdminServer } from "../admin/admin-server.ts";
import { systemClock } from "../model/clock.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { AdminPorts, type AdminPortsOptions } from "./admin-ports.ts";
import { HandOver } from "./hand-over.ts";
import { type NodePorts, nodePorts, stateFolder } from "./testkit/node-proxies.ts";

let folder: string;
let numbers: NodePorts;
beforeEach(async () => {
  [folder, numbers] = [await stateFolder(), await nodePorts()];
});

function handOverHere(): HandOver {
  const handOver = new HandOver({ folder, clock: systemClock, log: silentLog });
  onTestFinished(() => handOver.close());
  return handOver;
}

function portsWith(
  handOver: AdminPortsOptions["handOver"],
  clock: AdminPortsOptions["clock"] = systemClock,
): { ports: AdminPorts; servers: readonly AdminServer[] } {
  const { healthPort, metricsPort, adminPort } = numbers;
  const at = (port: number) => ({ server: new AdminServer({}), address: "127.0.0.1", port });
  const three = [at(healthPort), at(metricsPort), at(adminPort)] as const;
  const ports = new AdminPorts({ ports: three, handOver, clock, log: silentLog });
  onTestFinished(() => ports.close());
  return { ports, servers: three.map(({ server }) => server) };
}

const listening = (servers: readonly AdminServer[]) => servers.map((server) => server.listening);

test("of two that start at once one has the ports, and is the one that the other meets", async () => {
  const both = [portsWith(handOverHere()), portsWith(handOverHere())];
  const opened = await Promise.all(both.map(({ ports }) => ports.openOrMeet()));
  expect(opened.toSorted()).toEqual([false, true]);
  expect(both.map(({ servers }) => listening(servers))).toEqual(opened.map((each) => [each, each, each]));
});

test("one that met nobody before another came takes nothing while that one gives its ports up", async () => {
  const late = handOverHere();
  const looks = [await late.meet()];
  const running = portsWith(handOverHere());
  expect([await running.ports.openOrMeet(), ...looks]).toEqual([true, false]);
  await running.ports.close();
  const meet = async () => looks.shift() ?? late.meet();
  const { ports, servers } = portsWith({ meet, listen: () => late.listen(), isTooLate: false });
  expect(await ports.openOrMeet()).toBe(false);
  expect(listening(servers)).toEqual([false, false, false]);
});

test("ports that another program has are tried for 2 s, and none is kept", async () => {
  const stranger = net.createServer().listen(numbers.metricsPort, "127.0.0.1");
  await once(stranger, "listening");
  onTestFinished(() => void stranger.close());
  const clock = new ManualClock();
  const { ports } = portsWith(handOverHere(), clock);
  let isOver = false;
  const opened = ports.openOrMeet().finally(() => {
    isOver = true;
  });
  opened.catch(() => {});
  while (!isOver) {
    clock.advance(100);
    await setImmediate();
  }
  await expect(opened).rejects.toThrow("EADDRINUSE");
  expect(clock.now()).toBeGreaterThanOrEqual(1_900);
});

test("without another proxy to ask, ports that are taken are an error at once", async () => {
  const { ports } = portsWith(undefined);
  expect(await ports.openOrMeet()).toBe(true);
  await expect(portsWith(undefined).ports.openOrMeet()).rejects.toThrow("EADDRINUSE");
});

test("one that is told to open no more while it waits for a port ends its waiting", async () => {
  const stranger = net.createServer().listen(numbers.healthPort, "127.0.0.1");
  await once(stranger, "listening");
  onTestFinished(() => void stranger.close());
  const clock = new ManualClock();
  const { ports, servers } = portsWith(handOverHere(), clock);
  const opened = ports.openOrMeet();
  while (clock.pending === 0) await setImmediate();
  ports.openNoMore();
  expect(await opened).toBe(true);
  expect([listening(servers), clock.pending]).toEqual([[false, false, false], 0]);
});
