import dgram from "node:dgram";
import net from "node:net";
import { afterEach, expect, test } from "vitest";
import { ConfigWriter } from "../../config/changes.ts";
import { type Entrypoint, emptyMeshConfig, type MeshConfig } from "../../config/mesh-config.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { type Log, silentLog } from "../../telemetry/log.ts";
import { MeshProxy } from "./mesh-proxy.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Somebody else who has the port. */
async function holder(transport: "tcp" | "udp"): Promise<{ port: number; giveUp(): Promise<void> }> {
  if (transport === "udp") {
    const socket = dgram.createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    return { port: socket.address().port, giveUp: () => new Promise((resolve) => socket.close(resolve)) };
  }
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  return { port, giveUp: () => new Promise((resolve) => server.close(() => resolve())) };
}

const configFor = (port: number, transport: "tcp" | "udp"): MeshConfig => ({
  ...emptyMeshConfig(),
  entrypoints: { here: { address: "127.0.0.1", port, transport, servicePort: "shop/web:80" } },
});

function makeProxy() {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => warnings.push(message) };
  let reopened = () => {};
  const proxy = new MeshProxy({
    clock,
    random: () => 0.5,
    log,
    name: "p",
    substitutePorts: false,
    onReopened: () => reopened(),
  });
  cleanups.push(() => proxy.close(0));
  const reopening = new Promise<void>((resolve) => {
    reopened = resolve;
  });
  return { proxy, clock, warnings, reopening };
}

for (const transport of ["tcp", "udp"] as const) {
  test(`an entrypoint (${transport}) whose port was taken is opened once it is free, and warned of once`, async () => {
    const { port, giveUp } = await holder(transport);
    const { proxy, clock, warnings, reopening } = makeProxy();
    await proxy.apply(configFor(port, transport));
    expect(proxy.status().get("here")).toMatchObject({
      boundPort: undefined,
      reason: expect.stringContaining("EADDRINUSE"),
    });
    // While it is still taken; the configuration in force queues behind the try.
    clock.advance(60_000);
    await proxy.apply(configFor(port, transport));
    expect(warnings).toHaveLength(1);
    await giveUp();
    clock.advance(60_000);
    await reopening;
    expect(proxy.status().get("here")).toMatchObject({ boundPort: port, reason: undefined });
  });

  test(`an entrypoint (${transport}) whose port was taken is opened by the next configuration`, async () => {
    const { port, giveUp } = await holder(transport);
    const { proxy } = makeProxy();
    await proxy.apply(configFor(port, transport));
    await giveUp();
    await proxy.apply(configFor(port, transport));
    expect(proxy.status().get("here")?.boundPort).toBe(port);
  });

  test(`an entrypoint (${transport}) whose port is taken is forgotten with its configuration`, async () => {
    const { port, giveUp } = await holder(transport);
    cleanups.push(giveUp);
    const { proxy, clock } = makeProxy();
    await proxy.apply(configFor(port, transport));
    const idle = clock.pending;
    await proxy.apply(emptyMeshConfig());
    expect([proxy.status().size, clock.pending]).toEqual([0, idle - 1]);
  });
}

test("of a configuration that changes in place, entrypoints that came are opened and those that went are closed", async () => {
  const { proxy } = makeProxy();
  const config = configFor(0, "tcp");
  const { here } = config.entrypoints as { here: Entrypoint };
  await proxy.apply(config);
  const before = proxy.status().get("here")?.boundPort as number;
  const writer = new ConfigWriter(config);
  writer.put("entrypoints", "there", here);
  await proxy.apply(config, writer.take());
  expect([...proxy.status()].map(([key, { boundPort }]) => [key, boundPort === before])).toEqual([
    ["here", true],
    ["there", false],
  ]);
  writer.put("entrypoints", "here", undefined);
  await proxy.apply(config, writer.take());
  expect([[...proxy.status().keys()], proxy.closedEntrypoints()]).toEqual([["there"], []]);
  await expect(connectTo(before)).rejects.toThrow("ECONNREFUSED");
});

function connectTo(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}
