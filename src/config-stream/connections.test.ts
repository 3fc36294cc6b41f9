/** Who may connect, and how long a connection lasts, seen from both ends. */
import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { PING_MS, SILENCE_MS } from "./stream-messages.ts";
import {
  connected,
  controllerByHand,
  FIRST,
  follow,
  followed,
  proxyByHand,
  SECOND,
  serve,
} from "./testkit/stream-peers.ts";

test("a proxy says hello with what is in force, however long that took", async () => {
  const { port, call } = await controllerByHand();
  const [first, second] = [call(), call()];
  const proxy = follow(port);
  const go = proxy.hold();
  const controller = await first;
  await controller.next();
  const up = proxy.connected(true);
  controller.send({ type: "full", sequence: 1, ...FIRST });
  await up;
  const closed = new Promise((resolve) => controller.socket.once("close", resolve));
  controller.socket.end();
  await closed;
  // Time in which it could come again, had it not to finish first.
  for (let turn = 0; turn < 20; turn++) {
    proxy.clock.advance(50);
    await new Promise((resolve) => setImmediate(resolve));
  }
  go();
  const again = await proxy.clock.advanceUntil(second, 50);
  expect(await again.next()).toMatchObject({ type: "hello", version: FIRST.version });
});

test("a proxy that comes again and again leaves nothing behind each time", async () => {
  const { server, port } = await serve();
  await server.close();
  const proxy = follow(port);
  for (let round = 0; round < 5; round++) await proxy.clock.advanceUntil(proxy.connected(false), 50);
  // The pause that it makes now.
  expect(getEventListeners(proxy.signal, "abort").length).toBe(1);
});

test("a proxy that goes while its token is reviewed leaves nothing behind", async () => {
  let reviewed = () => {};
  const review = new Promise<void>((resolve) => {
    reviewed = resolve;
  });
  const { server, port, clock } = await serve({ tokenReviewed: review });
  server.publish(FIRST);
  const proxy = proxyByHand(port);
  await new Promise((resolve) => proxy.socket.once("secureConnect", resolve));
  proxy.send({ type: "hello", token: "token-of-p1" });
  await new Promise<void>((resolve) => proxy.socket.end(resolve));
  await server.close();
  reviewed();
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(SILENCE_MS);
  expect(clock.pending).toBe(0);
});

test("a proxy goes on without its controller, and follows again when one is back", async () => {
  const { server, port, proxy } = await followed();
  const lost = proxy.connected(false);
  await server.close();
  await lost;
  expect(proxy.applied).toEqual([FIRST.version]);
  const after = await serve({ port });
  after.server.publish(SECOND);
  const second = after.inForce(SECOND);
  await proxy.clock.advanceUntil(second, 50);
  expect(proxy.applied).toEqual([FIRST.version, SECOND.version]);
});

test("both sides give up a peer that has fallen silent", async () => {
  const { server, clock, proxy } = await followed();
  const lost = proxy.connected(false);
  // The proxy's clock stands still, so it says nothing.
  clock.advance(SILENCE_MS + PING_MS);
  await lost;
  expect(server.status()).toEqual([]);
});

test("a controller that is suspended sends its proxies away and refuses others, until it goes on", async () => {
  const { server, port, next, proxy } = await followed();
  const gone = proxy.connected(false);
  server.suspend("it sees nothing");
  await gone;
  const other = follow(port, { token: "token-of-p2" });
  await other.connected(false);
  expect([other.applied, server.status()]).toEqual([[], []]);
  server.suspend("");
  const back = next(({ pod }) => pod === "p2");
  other.clock.advance(60_000);
  await back;
  expect(other.applied).toEqual([FIRST.version]);
});

test("a caller without a valid token is told so and gets nothing", async () => {
  const { server, port } = await serve();
  server.publish(FIRST);
  const proxy = follow(port, { token: "stolen" });
  await proxy.connected(false);
  expect(proxy.applied).toEqual([]);
  expect(server.status()).toEqual([]);
});

test("a controller whose certificate names another is not believed", async () => {
  const { server, port } = await serve();
  server.publish(FIRST);
  const proxy = follow(port, { serverName: "somebody-else.test" });
  await proxy.connected(false);
  expect(proxy.applied).toEqual([]);
});

test("what is no message of ours ends the connection with a reason", async () => {
  const { port } = await serve();
  for (const line of [
    "not json",
    '{"type":"ack","sequence":1,"version":"x"}',
    '{"type":"hello"}',
    "x".repeat(70_000),
  ]) {
    const socket = connected(port);
    socket.write(`${line}\n`);
    const text = await new Promise<string>((resolve) => {
      let all = "";
      socket.on("data", (bytes) => {
        all += bytes;
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(all));
    });
    expect(text).toContain('"type":"refused"');
  }
});
