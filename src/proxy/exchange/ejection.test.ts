/** Endpoints that fail are left out: what counts as failing, as exchanges see it. */
import { expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { FixtureOptions, HttpFixture } from "./testkit/http-fixture.ts";
import { Http2Caller } from "./testkit/http2-peers.ts";
import { answering, closing, GET, http2FarEnd, OK, openProxy } from "./testkit/plain-peers.ts";

const NOBODY = "127.0.0.1:1";

async function open(endpoints: readonly string[], servicePort: NonNullable<FixtureOptions["servicePort"]> = {}) {
  const clock = new ManualClock();
  const fixture = await openProxy(endpoints, { servicePort, clock });
  return { fixture, clock };
}

async function statuses(fixture: HttpFixture, calls: number): Promise<string[]> {
  const list = [];
  for (let call = 0; call < calls; call++) list.push((await fixture.exchange(GET)).slice(9, 12));
  return list;
}

test("an endpoint where nothing listens fails five calls, and no more until its time is over", async () => {
  const { fixture, clock } = await open([NOBODY, (await answering(OK)).address]);
  const first = await statuses(fixture, 30);
  expect(first.filter((status) => status === "502")).toHaveLength(5);
  clock.advance(10_000);
  expect((await statuses(fixture, 30)).filter((status) => status === "502")).toHaveLength(1);
});

test("with tulle.dev/ejection, an endpoint that answers 503 is left out too", async () => {
  const busy = await answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  const endpoints = [busy.address, (await answering(OK)).address];
  const { fixture } = await open(endpoints, { balancing: { ejection: { failures: 2 } } });
  expect((await statuses(fixture, 30)).filter((status) => status === "503")).toHaveLength(2);
});

test("with tulle.dev/ejection off, it gets its turns for ever", async () => {
  const endpoints = [NOBODY, (await answering(OK)).address];
  const { fixture } = await open(endpoints, { balancing: { ejection: { failures: 0 } } });
  expect((await statuses(fixture, 30)).filter((status) => status === "502").length).toBeGreaterThan(10);
});

test("the only endpoint is called whatever it does", async () => {
  const { fixture } = await open([NOBODY]);
  expect(await statuses(fixture, 8)).toEqual(new Array(8).fill("502"));
});

test("what is ejected stays so through a configuration that does not touch it", async () => {
  const endpoints = [NOBODY, (await answering(OK)).address];
  const { fixture } = await open(endpoints);
  await statuses(fixture, 20);
  fixture.apply({ endpoints, servicePort: { middlewares: { retry: { attempts: 1 } } } });
  expect(await statuses(fixture, 10)).toEqual(new Array(10).fill("200"));
});

test("endpoints of HTTP/2 that reset their streams are left out where that counts", async () => {
  let resets = 0;
  const broken = await http2FarEnd((stream) => {
    resets++;
    stream.close(2);
  });
  const fine = await http2FarEnd((stream) => {
    stream.respond({ ":status": 200 });
    stream.end("ok");
  });
  const settings = { scheme: "h2c", balancing: { ejection: { failures: 3 } } } as const;
  const { fixture } = await open([broken.address, fine.address], settings);
  const caller = closing(new Http2Caller(fixture.port));
  for (let call = 0; call < 20; call++) await caller.call({ ":path": "/" });
  // One of them may have been repeated silently, at the same endpoint.
  expect(resets).toBeLessThanOrEqual(4);
});
