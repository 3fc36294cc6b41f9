/** One proxy of a node that takes over from another, in this process. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { seal } from "../src/config/snapshot.ts";
import type { AskableProxy } from "../src/config-stream/subscriber.ts";
import { systemClock } from "../src/model/clock.ts";
import { freePort } from "../src/model/testkit/free-ports.ts";
import { ManualClock } from "../src/model/testkit/manual-clock.ts";
import { HandOver } from "../src/proxy-daemon/hand-over.ts";
import type { HandedCounts } from "../src/proxy-daemon/handed-counts.ts";
import {
  configFor,
  controller,
  endpoint,
  type NodePorts,
  nodePorts,
  nodeProxy,
  startedProxy,
  stateFolder,
} from "../src/proxy-daemon/testkit/node-proxies.ts";
import { canSharePorts } from "../src/shared-ports/port-sharing.ts";
import { silentLog } from "../src/telemetry/log.ts";
import { readReport } from "../src/traffic/report-schema.ts";
import { totalTraffic } from "../src/traffic/traffic-report.ts";

interface Answered {
  readonly status: number;
  readonly body: string;
}

/** By the config stream. */
function asked(proxy: AskableProxy | undefined, path: string): Promise<Answered> {
  return new Promise((resolve) => {
    let body = "";
    const onText = (piece: string) => {
      body += piece;
    };
    proxy?.ask(path, { onText, onEnd: (status) => resolve({ status, body }) });
  });
}

const exchangesOf = (counts: readonly (HandedCounts | undefined)[]) => {
  const all = counts.flatMap((each) => (each === undefined ? [] : totalTraffic(each.traffic).exchanges));
  return all.reduce((sum, each) => sum + each, 0);
};

const callsIn = (body: string) => totalTraffic(readReport(JSON.parse(body))).exchanges[2];

describe.skipIf(!canSharePorts(process.versions.node))("a proxy that follows another (Node.js 22.12 or later)", () => {
  test("says nothing of traffic until the counts are its own, and the one before says nothing from then on", async () => {
    const [entry, back, folder, ports] = [await freePort(), await endpoint(), await stateFolder(), await nodePorts()];
    const config = configFor(entry, back);
    const [near, far] = [await controller(config), await controller(undefined)];
    // Nothing is saved while its clock stands.
    const first = await startedProxy(near.port, folder, { handOver: true, ports, clock: new ManualClock() });
    await near.acked;
    const [before] = near.server.askable();
    const call = async () => (await fetch(`http://127.0.0.1:${entry}/`, { headers: { connection: "close" } })).text();
    for (let calls = 0; calls < 3; calls++) await call();
    expect(callsIn((await asked(before, "/api/traffic")).body)).toBe(3);

    const arrived = new Promise<AskableProxy>((resolve) => far.server.follow(resolve));
    const second = await nodeProxy(far.port, folder, { handOver: true, ports });
    const started = second.daemon.start();
    const after = await arrived;
    expect(after.standsBy).toBe(true);
    for (const path of ["/api/traffic", "/api/traffic/recent"]) expect((await asked(after, path)).status).toBe(503);
    expect(before?.standsBy).toBe(false);

    far.server.publish(seal(config));
    await started;
    await first.daemon.replaced;
    for (const path of ["/api/traffic", "/api/traffic/recent"]) expect((await asked(before, path)).status).toBe(503);
    expect(callsIn((await asked(after, "/api/traffic")).body)).toBe(3);
    // What a proxy said before it answered was heard before the answer.
    expect([before?.standsBy, after.standsBy]).toEqual([true, false]);
    // The one before is gone first: it drains by a clock that stands.
    const stopped = first.stop();
    await second.stop();
    await stopped;
  });

  test("that asks in the last moment of a drain has the calls that the drain ended as well", async () => {
    const [entry, folder, ports] = [await freePort(), await stateFolder(), await nodePorts()];
    let onCall = () => {};
    const called = new Promise<void>((resolve) => {
      onCall = resolve;
    });
    const config = configFor(entry, await endpoint(() => onCall()));
    const { port, acked } = await controller(config);
    const clock = new ManualClock();
    const first = await startedProxy(port, folder, { handOver: true, ports, clock });
    await acked;
    const call = fetch(`http://127.0.0.1:${entry}/`).catch(() => "cut");
    await called;
    const next = new HandOver({ folder, clock: systemClock, log: silentLog });
    onTestFinished(() => next.close());
    await next.meet();
    let ended = false;
    const stopped = first.stop().then(() => {
      ended = true;
    });
    const given = await next.takeOver();
    expect(exchangesOf([given.counts])).toBe(0);
    // The drain is over, and the call with it.
    clock.advance(1_000);
    await call;
    expect(ended).toBe(false);
    await next.taken();
    const told: HandedCounts[] = [];
    await next.follow((counts) => told.push(counts));
    expect(exchangesOf([given.counts, ...told])).toBe(1);
    await stopped;
    expect(clock.pending).toBe(0);
  });

  test("goes on where that one falls silent, and is followed itself", async () => {
    const [entry, folder, ports] = [await freePort(), await stateFolder(), await nodePorts()];
    const { port, acked } = await controller(configFor(entry, await endpoint()));
    const silent = net.createServer((socket) => {
      socket.on("error", () => {});
      // It is stopped once it has given its ports up.
      socket.once("data", () => socket.write("yours\n"));
      onTestFinished(() => void socket.destroy());
    });
    silent.listen(join(folder, "hand-over.sock"));
    await once(silent, "listening");
    const clock = new ManualClock();
    const second = await nodeProxy(port, folder, { handOver: true, ports, clock });
    silent.on("connection", () => silent.close());
    const started = second.daemon.start();
    await acked;
    const metrics = async () => (await fetch(`http://127.0.0.1:${ports.metricsPort}/metrics`)).status;
    await expect.poll(metrics, { timeout: 10_000 }).toBe(503);
    clock.advance(5_000);
    await started;
    expect(await metrics()).toBe(200);
    const third = await startedProxy(port, folder, { handOver: true, ports });
    await second.daemon.replaced;
    const stopped = second.stop();
    await third.stop();
    await stopped;
  });

  test("and is not in charge yet leaves the saved configuration alone, also when it ends", async () => {
    const [folder, ports] = [await stateFolder(), await nodePorts()];
    const { port, acked } = await controller(configFor(await freePort(), await endpoint()));
    const before = new HandOver({ folder, clock: systemClock, log: silentLog });
    onTestFinished(() => before.close());
    // It is asked, and does not answer.
    await before.listen();
    const second = await nodeProxy(port, folder, { handOver: true, ports });
    const started = second.daemon.start();
    await acked;
    await second.stop();
    await started;
    expect(existsSync(join(folder, "mesh-config.json"))).toBe(false);
  });

  /** Of the log of one that is started: what has been said, and when. */
  function hearing() {
    const said: string[] = [];
    let onSaid = () => {};
    const info = (message: string) => {
      said.push(message);
      onSaid();
    };
    const says = async (text: string) => {
      while (!said.some((each) => each.includes(text)))
        await new Promise<void>((resolve) => {
          onSaid = resolve;
        });
    };
    return { log: { ...silentLog, info }, says };
  }

  const ready = async ({ healthPort }: NodePorts) => (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).status;

  test("and is started while another is being given the ports has them where that one ends", async () => {
    const [entry, folder, ports] = [await freePort(), await stateFolder(), await nodePorts()];
    const { port, acked } = await controller(configFor(entry, await endpoint()));
    const first = await startedProxy(port, folder, { handOver: true, ports });
    await acked;
    const failing = new HandOver({ folder, clock: systemClock, log: silentLog });
    onTestFinished(() => failing.close());
    await failing.meet();
    await failing.takeOver();
    const { log, says } = hearing();
    const third = await nodeProxy(port, folder, { handOver: true, ports, log });
    const started = third.daemon.start();
    const waits = says("another proxy has the ports");
    expect(await Promise.race([waits.then(() => "waits"), started.then(() => "has started")])).toBe("waits");
    failing.close();
    await started;
    await first.daemon.replaced;
    expect(await ready(ports)).toBe(200);
    const stopped = first.stop();
    await third.stop();
    await stopped;
  });

  test("and one that starts at the same moment, with nobody before them, follow one another", async () => {
    const [entry, folder, ports] = [await freePort(), await stateFolder(), await nodePorts()];
    const { port } = await controller(configFor(entry, await endpoint()));
    const both = [
      await nodeProxy(port, folder, { handOver: true, ports }),
      await nodeProxy(port, folder, { handOver: true, ports }),
    ];
    await Promise.all(both.map(({ daemon }) => daemon.start()));
    const gone = await Promise.race(both.map(({ daemon }, index) => daemon.replaced.then(() => index)));
    expect(await ready(ports)).toBe(200);
    await both[gone]?.stop();
    expect(await ready(ports)).toBe(200);
  });

  test("and one that waits beside it are both there for the next configuration when the one before ends", async () => {
    const [entry, folder, ports] = [await freePort(), await stateFolder(), await nodePorts()];
    const config = configFor(entry, await endpoint());
    const [near, far] = [await controller(config), await controller(undefined)];
    // Nothing is saved while its clock stands.
    const first = await startedProxy(near.port, folder, { handOver: true, ports, clock: new ManualClock() });
    await near.acked;
    const heard = [hearing(), hearing()];
    const both = await Promise.all(heard.map(({ log }) => nodeProxy(far.port, folder, { handOver: true, ports, log })));
    const started = both.map(({ daemon }) => daemon.start());
    await Promise.all(heard.map(({ says }) => says("another proxy has the ports")));
    await first.stop();
    await Promise.race(started);
    far.server.publish(seal(config));
    await Promise.all(started);
    const gone = await Promise.race(both.map(({ daemon }, index) => daemon.replaced.then(() => index)));
    await both[gone]?.stop();
    expect(await ready(ports)).toBe(200);
  });

  test("and is told to stop just when it asks leaves that one its ports at once", async () => {
    const [entry, folder, ports] = [await freePort(), await stateFolder(), await nodePorts()];
    const { port, acked } = await controller(configFor(entry, await endpoint()));
    const first = await startedProxy(port, folder, { handOver: true, ports, clock: new ManualClock() });
    await acked;
    let onStopped = (_: Promise<void>) => {};
    const stopped = new Promise<void>((resolve) => {
      onStopped = resolve;
    });
    const info = (message: string) => {
      if (message.includes("asked for its ports")) onStopped(second.stop());
    };
    const second = await nodeProxy(port, folder, { handOver: true, ports, log: { ...silentLog, info } });
    await second.daemon.start();
    await stopped;
    await expect.poll(() => ready(ports).catch(() => 0), { timeout: 10_000 }).toBe(200);
    await first.stop();
  });
});
