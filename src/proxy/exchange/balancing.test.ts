/** tulle.dev/load-balancing, as exchanges feed it. */
import { expect, test } from "vitest";
import type { Balancing } from "../../config/mesh-config.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { FarEnd } from "./testkit/http-fixture.ts";
import { farEnd, GET, OK, openProxy } from "./testkit/plain-peers.ts";

/** An endpoint that takes so long, by the clock of the proxy. */
async function taking(ms: number, clock: ManualClock): Promise<FarEnd> {
  return farEnd((socket, received) => {
    if (!received.endsWith("\r\n\r\n")) return;
    clock.advance(ms);
    socket.write(OK);
  });
}

async function open(ends: readonly FarEnd[], clock: ManualClock, algorithm: NonNullable<Balancing["algorithm"]>) {
  const endpoints = ends.map(({ address }) => address);
  return openProxy(endpoints, { clock, servicePort: { balancing: { algorithm } } });
}

const calls = (end: FarEnd) => end.received.split("GET / ").length - 1;

test("by ewma, the endpoint that answers sooner gets nearly all that comes one after the other", async () => {
  const clock = new ManualClock();
  const [quick, slow] = [await taking(5, clock), await taking(200, clock)];
  const proxy = await open([slow, quick], clock, "ewma");
  for (let call = 0; call < 60; call++) await proxy.exchange(GET);
  expect(calls(slow)).toBeGreaterThan(0);
  expect(calls(quick)).toBeGreaterThan(50);
});

test("by ewma, an endpoint that refuses is not taken for a quick one", async () => {
  const clock = new ManualClock();
  const fine = await taking(50, clock);
  const gone = await taking(1, clock);
  const proxy = await open([fine, gone], clock, "ewma");
  gone.close();
  for (let call = 0; call < 20; call++) await proxy.exchange(GET);
  expect(proxy.records.filter(({ failure }) => failure !== "").length).toBeLessThanOrEqual(1);
});

test("in round robin, each endpoint gets as many, and through another configuration too", async () => {
  const clock = new ManualClock();
  const ends = [await taking(1, clock), await taking(300, clock), await taking(30, clock)];
  const proxy = await open(ends, clock, "roundRobin");
  for (let call = 0; call < 10; call++) await proxy.exchange(GET);
  const endpoints = ends.map(({ address }) => address);
  proxy.apply({ endpoints, servicePort: { balancing: { algorithm: "roundRobin", slowStartMs: 1000 } } });
  for (let call = 0; call < 20; call++) await proxy.exchange(GET);
  expect(ends.map(calls)).toEqual([10, 10, 10]);
});
