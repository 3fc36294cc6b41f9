import { setImmediate } from "node:timers/promises";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { AdminServer } from "../admin/admin-server.ts";
import { systemClock } from "../model/clock.ts";
import { IDLE } from "../proxy/traffic/proxy-standing.ts";
import { silentLog } from "../telemetry/log.ts";
import { NO_TRAFFIC } from "../traffic/traffic-report.ts";
import type { AdminPort } from "./admin-ports.ts";
import { HandOver } from "./hand-over.ts";
import { NodeCharge, type NodeChargeOptions } from "./node-charge.ts";
import { NodeCounts } from "./node-counts.ts";
import { type NodePorts, nodePorts, stateFolder } from "./testkit/node-proxies.ts";

let folder: string;
let numbers: NodePorts;
beforeEach(async () => {
  [folder, numbers] = [await stateFolder(), await nodePorts()];
});

class LoudServer extends AdminServer {
  onListening = () => {};

  override async listen(address: string, port: number): ReturnType<AdminServer["listen"]> {
    const opened = await super.listen(address, port);
    this.onListening();
    return opened;
  }
}

interface Opened {
  readonly charge: NodeCharge;
  readonly servers: readonly LoudServer[];
}

function charge(changes: Partial<NodeChargeOptions> = {}): Opened {
  const { healthPort, metricsPort, adminPort } = numbers;
  const servers: LoudServer[] = [];
  const at = (port: number): AdminPort => {
    const server = new LoudServer({});
    servers.push(server);
    return { server, address: "127.0.0.1", port };
  };
  const plane = {
    traffic: async () => NO_TRAFFIC,
    inherit() {},
    add() {},
    standing: () => IDLE,
  };
  const counts = new NodeCounts({ clock: systemClock, plane });
  const made = new NodeCharge({
    folder,
    ports: [at(healthPort), at(metricsPort), at(adminPort)],
    counts,
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
    onTaken() {},
    onGiven: async () => {},
    ...changes,
  });
  onTestFinished(() => {
    counts.close();
    return made.close();
  });
  return { charge: made, servers };
}

test("what is in charge gives nothing up before it has left what will be another's", async () => {
  let left = () => {};
  const leaving = new Promise<void>((resolve) => {
    left = resolve;
  });
  let asked = () => {};
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const onGiven = () => {
    asked();
    return leaving;
  };
  const { charge: running, servers } = charge({ onGiven });
  expect(await running.begin()).toBe(true);
  const next = new HandOver({ folder, clock: systemClock, log: silentLog });
  onTestFinished(() => next.close());
  await next.meet();
  let isGiven = false;
  const given = next.takeOver().finally(() => {
    isGiven = true;
  });
  await isAsked;
  while (servers.some(({ listening }) => listening)) await setImmediate();
  // As long as it would take to say so.
  for (let turn = 0; turn < 50; turn++) await setImmediate();
  expect([isGiven, running.isHere]).toEqual([false, false]);
  left();
  expect(await given).toMatchObject({ how: "given" });
});

test("one that is told to stop while it opens what it was given closes that at once", async () => {
  const { charge: before } = charge();
  await before.begin();
  const { charge: next, servers } = charge();
  expect(await next.begin()).toBe(false);
  const [, , admin] = servers as [LoudServer, LoudServer, LoudServer];
  admin.onListening = () => next.withdraw();
  await next.takeOverWhen(Promise.resolve());
  expect(servers.map(({ listening }) => listening)).toEqual([false, false, false]);
  expect([next.isHere, before.isReplaced]).toEqual([false, false]);
});
