import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { ManualClock } from "../../../model/testkit/manual-clock.ts";
import type { FixtureOptions, HttpFixture } from "../testkit/http-fixture.ts";
import { answering, farEnd, GET, KEPT_GET, OK, openProxy, reasonOf } from "../testkit/plain-peers.ts";

async function between({ answer, ...options }: Partial<FixtureOptions> & { readonly answer?: string } = {}) {
  const server = await (answer === undefined ? farEnd() : answering(answer));
  return { server, proxy: await openProxy(server, options) };
}

/** Waits for the engine to have forgotten its connections; each turn of the event loop may be the one. */
async function closed(proxy: HttpFixture): Promise<void> {
  while (proxy.engine.openConnections > 0) await nextTurn();
}

test("bytes that nobody asked for end an endpoint's idle connection, and reach no caller", async () => {
  const { server, proxy } = await between({ answer: OK });
  const caller = await proxy.caller();
  caller.send(KEPT_GET);
  await caller.until(() => caller.received.endsWith("ok"));
  server.connections[0]?.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  await server.until(() => server.connections[0]?.ended === true || server.connections[0]?.reset === true);
  caller.send(GET);
  expect(await caller.end()).not.toContain("evil");
  expect(server.connections).toHaveLength(2);
});

test("an endpoint that ends its idle connection has it ended, and the next request takes another", async () => {
  const { server, proxy } = await between({ answer: OK });
  await proxy.exchange(GET);
  server.connections[0]?.socket.end();
  await server.until(() => server.connections[0]?.ended === true);
  expect(await proxy.exchange(GET)).toContain("200 OK");
  expect(server.connections).toHaveLength(2);
});

test("content that stops coming gets 408, and the endpoint's connection is reset", async () => {
  const clock = new ManualClock();
  const { server, proxy } = await between({ clock, limits: { bodyTimeoutMs: 5000 } });
  const caller = await proxy.caller();
  caller.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello");
  await server.until(() => server.received.endsWith("hello"));
  clock.advance(4000);
  expect(caller.received).toBe("");
  clock.advance(3000);
  expect(reasonOf(await caller.end())).toBe("BodyTimeout");
  await server.until(() => server.connections[0]?.reset === true);
});

test("a caller without a request is disconnected after the idle time, without a word", async () => {
  const clock = new ManualClock();
  const { proxy } = await between({ answer: OK, clock, limits: { idleTimeoutMs: 60_000 } });
  const caller = await proxy.caller();
  caller.send(KEPT_GET);
  await caller.until(() => caller.received.endsWith("ok"));
  clock.advance(59_000);
  expect(caller.ended).toBe(false);
  clock.advance(3000);
  expect(await caller.end()).toMatch(/ok$/);
});

test("a caller that is refused can send on and still reads why", async () => {
  const { proxy } = await between();
  const caller = await proxy.caller();
  caller.send("GET / HTTP/1.1\r\nHost : h\r\n\r\n");
  caller.send("x".repeat(1_000_000));
  expect(reasonOf(await caller.end())).toBe("BadRequest");
  expect([caller.ended, caller.error]).toEqual([true, undefined]);
});

test("a caller that is refused and does not go is disconnected after a while", async () => {
  const clock = new ManualClock();
  const { proxy } = await between({ clock, limits: { lingerMs: 2000 } });
  const caller = await proxy.caller();
  caller.send("GET / HTTP/1.1\r\nHost : h\r\n\r\n");
  await caller.end();
  expect(proxy.engine.openConnections).toBe(1);
  clock.advance(4000);
  await closed(proxy);
});

test("a caller beyond the bound of connections gets 503 and its connection is closed", async () => {
  const { proxy } = await between({ answer: OK, limits: { maxConnections: 1 } });
  const first = await proxy.caller();
  first.send(KEPT_GET);
  await first.until(() => first.received.endsWith("ok"));
  const second = await proxy.caller();
  expect(reasonOf(await second.end())).toBe("TooManyConnections");
  first.send(GET);
  expect((await first.end()).match(/200 OK/g)).toHaveLength(2);
});

test("our own answer to HEAD says its length and has no content", async () => {
  const { proxy } = await between({ endpoints: [] });
  const answer = await proxy.exchange("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  expect(answer).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n[\s\S]*Content-Length: 19\r\n[\s\S]*\r\n\r\n$/);
});

test("our own answer has a Date", async () => {
  const { proxy } = await between({ endpoints: [], clock: new ManualClock() });
  expect(await proxy.exchange(GET)).toContain("\r\nDate: Thu, 01 Jan 1970 00:16:40 GMT\r\n");
});

test("a request after one that asks for close is not read", async () => {
  const { server, proxy } = await between({ answer: OK });
  expect((await proxy.exchange(GET + KEPT_GET)).match(/200 OK/g)).toHaveLength(1);
  expect(server.received.match(/GET/g)).toHaveLength(1);
});

test("a final answer in the place of 100 Continue reaches the caller, whose connection then ends", async () => {
  const { proxy } = await between({ answer: "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n" });
  const post = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  expect(await proxy.exchange(post)).toBe(
    "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
  );
});
