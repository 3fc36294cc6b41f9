/** One proxy of a node that takes over from another, in this process. */
import { describe, expect, test } from "vitest";
import { seal } from "../src/config/snapshot.ts";
import type { AskableProxy } from "../src/config-stream/config-server.ts";
import { ManualClock } from "../src/model/testkit/manual-clock.ts";
import {
  configFor,
  controller,
  endpoint,
  freePort,
  freePorts,
  nodeProxy,
  startedProxy,
  stateFolder,
} from "../src/proxy-daemon/testkit/node-proxies.ts";
import { canSharePorts } from "../src/shared-ports/port-sharing.ts";
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

const callsIn = (body: string) => totalTraffic(readReport(JSON.parse(body))).exchanges[2];

describe.skipIf(!canSharePorts(process.versions.node))("a proxy that follows another (Node.js 22.12 or later)", () => {
  test("says nothing of traffic until the counts are its own, and the one before says nothing from then on", async () => {
    const [entry, back, folder, ports] = [await freePort(), await endpoint(), await stateFolder(), await freePorts()];
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
});
