/** What a controller publishes, and what its proxies have of it. */
import { expect, test } from "vitest";
import { ConfigWriter } from "../config/changes.ts";
import { emptyMeshConfig } from "../config/mesh-config.ts";
import { LiveSnapshot } from "../config/snapshot.ts";
import { FIRST, follow, followed, proxyByHand, SECOND, serve, THIRD } from "./testkit/stream-peers.ts";

test("a proxy gets the whole configuration, then what changes, and acknowledges each", async () => {
  const { server, port, inForce } = await serve();
  server.publish(FIRST);
  const first = inForce(FIRST);
  const proxy = follow(port);
  expect(await first).toMatchObject({ pod: "p1", node: "n1", version: FIRST.version, sequence: 1, error: "" });
  const second = inForce(SECOND);
  server.publish(SECOND);
  expect((await second).sequence).toBe(2);
  expect(proxy.applied).toEqual([FIRST.version, SECOND.version]);
  expect(proxy.whole).toEqual([true, false]);
});

test("a proxy that comes long after a configuration was published has no lag for that", async () => {
  const { server, port, clock, inForce } = await serve();
  server.publish(FIRST);
  clock.advance(3_600_000);
  const first = inForce(FIRST);
  follow(port);
  expect(await first).toMatchObject({ lagMs: 0 });
});

test("what is published while one is under way is merged into the next", async () => {
  const { server, port, inForce } = await serve();
  const proxy = follow(port);
  const go = proxy.hold();
  const connected = proxy.connected(true);
  server.publish(FIRST);
  await connected;
  server.publish(SECOND);
  server.publish(THIRD);
  const last = inForce(THIRD);
  go();
  await last;
  expect(proxy.applied).toEqual([FIRST.version, THIRD.version]);
});

test("what changes in place is sent as what it is then, to a slow proxy as one difference", async () => {
  const { server, port, inForce } = await serve();
  const snapshot = new LiveSnapshot({ ...emptyMeshConfig(), names: { "n/a": ["127.3.0.1"], "n/b": ["127.3.0.2"] } });
  const writer = new ConfigWriter(snapshot.config);
  const publish = (name: string, addresses: string[] | undefined) => {
    writer.put("names", name, addresses);
    const changes = writer.take();
    snapshot.noteChanges(changes);
    server.publish(snapshot, changes);
  };
  server.publish(snapshot);
  const first = inForce(snapshot);
  const proxy = follow(port);
  await first;
  const slow = inForce(snapshot);
  publish("n/c", ["127.3.0.3"]);
  publish("n/a", undefined);
  publish("n/a", ["127.3.0.4"]);
  const last = inForce(snapshot);
  expect(await Promise.race([slow.then(() => "before"), last.then(() => "last")])).toBe("last");
  expect(proxy.applied).toHaveLength(3);
  expect(proxy.applied.at(-1)).toBe(snapshot.version);
});

test("a proxy that comes back with a version that is remembered gets no more than the difference", async () => {
  const { server, port, inForce } = await serve();
  server.publish(FIRST);
  server.publish(SECOND);
  const done = inForce(SECOND);
  const proxy = follow(port, { initial: FIRST });
  await done;
  expect(proxy.applied).toEqual([SECOND.version]);
});

test("a proxy that has what is published already is known to have it", async () => {
  const { server, port, inForce } = await serve();
  server.publish(FIRST);
  const done = inForce(FIRST);
  follow(port, { initial: FIRST });
  expect((await done).sequence).toBe(1);
});

test("a proxy that comes back to a configuration that was published anew follows what comes after it", async () => {
  const { server, port, next, inForce } = await serve();
  server.publish(FIRST);
  const known = inForce(FIRST);
  const before = follow(port, { initial: FIRST });
  await known;
  await before.stop();
  while (server.status().length > 0) await new Promise((resolve) => setImmediate(resolve));
  server.publish(SECOND);
  server.publish(FIRST);
  const back = next(({ sequence }) => sequence === 3);
  follow(port, { initial: FIRST });
  await back;
  const third = inForce(THIRD);
  server.publish(THIRD);
  expect((await third).sequence).toBe(4);
});

test("a configuration that cannot be read is refused, the one before stays, and the next comes whole", async () => {
  const { server, next, inForce, proxy } = await followed();
  const refusal = next(({ error }) => error !== "");
  server.publish({ version: "of-another-content", config: SECOND.config });
  expect((await refusal).error).toContain("of-another-content");
  const third = inForce(THIRD);
  server.publish(THIRD);
  await third;
  expect(proxy.applied).toEqual([FIRST.version, THIRD.version]);
});

test("a configuration that could not be put in force comes again, whole", async () => {
  const { server, inForce, proxy } = await followed();
  const failing = Promise.reject(new Error("a port is taken"));
  failing.catch(() => {});
  proxy.holdBack = failing;
  const offline = proxy.connected(false);
  server.publish(SECOND);
  await offline;
  proxy.holdBack = Promise.resolve();
  const second = inForce(SECOND);
  proxy.clock.advance(1_000);
  await second;
  expect(proxy.applied).toEqual([FIRST.version, SECOND.version]);
  expect(proxy.whole).toEqual([true, true]);
});

test("a proxy that refuses a difference gets the whole at once, and that once only", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  server.publish(SECOND);
  const proxy = proxyByHand(port);
  proxy.send({ type: "hello", token: "token-of-p1", version: FIRST.version });
  const { version } = SECOND;
  expect(await proxy.next()).toMatchObject({ type: "delta", sequence: 2, from: FIRST.version, version });
  proxy.send({ type: "nack", sequence: 2, version, error: "it does not fit" });
  expect(await proxy.next()).toMatchObject({ type: "full", sequence: 2, version });
  const refused = next(({ error }) => error === "nor does this");
  proxy.send({ type: "nack", sequence: 2, version, error: "nor does this" });
  await refused;
  server.publish(THIRD);
  expect(await proxy.next()).toMatchObject({ type: "full", sequence: 3, version: THIRD.version });
});

test("a proxy tells later that an entrypoint which could not be opened is open", async () => {
  const { server, port, next, inForce } = await serve();
  server.publish(FIRST);
  const proxy = follow(port, { closed: ["[::]:10000/tcp"] });
  expect((await inForce(FIRST)).closedEntrypoints).toEqual(["[::]:10000/tcp"]);
  const opened = next(({ closedEntrypoints }) => closedEntrypoints.length === 0);
  proxy.client.report([]);
  expect(await opened).toMatchObject({ version: FIRST.version, sequence: 1 });
});

test("a proxy says whether it stands by: when it comes, and when that changes", async () => {
  const { server, port, inForce } = await serve();
  let standsBy = true;
  const proxy = follow(port, { standsBy: () => standsBy, answerer: () => () => {} });
  const came = new Promise<boolean>((resolve) => server.follow((each) => resolve(each.standsBy)));
  expect(await came).toBe(true);
  server.publish(FIRST);
  expect((await inForce(FIRST)).standsBy).toBe(true);
  const inCharge = inForce(FIRST);
  standsBy = false;
  proxy.client.report([]);
  expect((await inCharge).standsBy).toBe(false);
  expect(server.askable()[0]?.standsBy).toBe(false);
});

test("a proxy may report more than this controller knows", async () => {
  const { server, port, inForce } = await serve();
  server.publish(FIRST);
  const proxy = proxyByHand(port);
  proxy.send({ type: "hello", token: "token-of-p1", zone: "a" });
  expect(await proxy.next()).toMatchObject({ type: "full", sequence: 1 });
  const acknowledged = inForce(FIRST);
  proxy.send({ type: "ack", sequence: 1, version: FIRST.version, openMs: 3 });
  await acknowledged;
});
