import { once } from "node:events";
import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { silentLog } from "../telemetry/log.ts";
import { HandOver } from "./hand-over.ts";
import { countsOf, followed, GIVEN, GONE, HandingProxies, type Running, ToldPorts } from "./testkit/handing-proxies.ts";

let node: HandingProxies;
beforeEach(() => {
  node = new HandingProxies();
});

/** More than a socket holds when it is told often. */
const many = countsOf({
  servicePorts: Object.fromEntries(
    Array.from({ length: 500 }, (_, index) => [
      `shop/web-${index}:80`,
      { breaker: undefined, connections: 1, waiting: 0, ejected: 0, ejections: 0, retriesRefused: 0 },
    ]),
  ),
});

test("the one before gives up when it is asked, and is replaced when the next one has the ports", async () => {
  const { own } = await node.running();
  const next = await node.met();
  expect(own.said).toEqual([]);
  expect(await next.takeOver()).toEqual(GIVEN);
  expect(own.said).toEqual(["gave up"]);
  await node.putInCharge(next, new ToldPorts());
  await next.taken();
  await own.until("replaced");
  expect(own.said).toEqual(["gave up", "replaced"]);
  expect(await node.proxy().meet()).toBe(true);
});

test("what was given and not taken goes back, and is given to another", async () => {
  const { own } = await node.running();
  const failing = await node.given();
  failing.close();
  await own.until("took back");
  const next = await node.met();
  expect(await next.takeOver()).toEqual(GIVEN);
  await next.taken();
  await own.until("replaced");
  expect(own.said).toEqual(["gave up", "took back", "gave up", "replaced"]);
});

test("one that is told to stop while it asks asks no more, and what it was given goes back", async () => {
  const { own } = await node.running();
  const next = await node.met();
  const over = next.takeOver();
  next.withdraw();
  expect(await over).toEqual(GONE);
  expect(await next.meet()).toBe(false);
  await own.until("took back");
  expect(own.said).toEqual(["gave up", "took back"]);
});

test("one that has been asked has settled when the next one has the ports, or has not taken them", async () => {
  const { handOver, own } = await node.running();
  const failing = await node.given();
  const back = handOver.settled();
  failing.close();
  await back;
  expect(own.said).toEqual(["gave up", "took back"]);
  const next = await node.given();
  const over = handOver.settled();
  void next.taken();
  await over;
  expect(own.said).toEqual(["gave up", "took back", "gave up", "replaced"]);
});

test("what was counted comes in pieces, and is as it was", async () => {
  const { own } = await node.running();
  own.giveUp = async () => many;
  const next = await node.met();
  expect(await next.takeOver()).toEqual({ how: "given", counts: many });
});

describe("the one before is not heard to go on", () => {
  test("for 5 s: the next one goes on itself, and hears it whenever it is said", async () => {
    const before = await node.byHand("yours\n", "");
    const next = await node.given();
    const taken = next.taken();
    const waiting = node.clock.pending;
    node.clock.advance(5_000);
    await taken;
    expect(node.clock.pending).toBe(waiting - 1);
    const { heard, ended } = followed(next);
    before.say("go on");
    before.say(JSON.stringify(countsOf({ connections: 4 })));
    before.end();
    await ended;
    expect(heard).toEqual([4]);
  });

  test("as it has its ports itself: the next one hears that, late as it is", async () => {
    const before = await node.byHand("yours\n", "");
    const next = await node.given();
    const taken = next.taken();
    node.clock.advance(5_000);
    await taken;
    const { ended } = followed(next);
    before.say("too late");
    await expect(ended).rejects.toThrow("took its ports back");
  });
});

describe("the next one says nothing once it was given the ports", () => {
  test("for 5 s: the one before has them back, and another gets them", async () => {
    const { own } = await node.running();
    const frozen = await node.given();
    node.clock.advance(4_999);
    await setImmediate();
    expect(own.said).toEqual(["gave up"]);
    node.clock.advance(1);
    await own.until("took back");
    const next = await node.taken();
    await own.until("replaced");
    // The one that comes to itself learns that it has nothing.
    const inUse = new Error("EADDRINUSE");
    expect(frozen.reasonFor(inUse).message).toContain("took its ports back");
    expect(next.reasonFor(inUse)).toBe(inUse);
    await expect(frozen.taken()).rejects.toThrow("took its ports back");
    expect(own.said).toEqual(["gave up", "took back", "gave up", "replaced"]);
  });

  test("but had said it before the time was over: what had come is heard first", async () => {
    const { own } = await node.running();
    const next = await node.given();
    const taken = next.taken();
    // As of one that was stopped itself: the timer is the first that it sees.
    node.clock.advance(5_000);
    await taken;
    await own.until("replaced");
    expect(own.said).toEqual(["gave up", "replaced"]);
  });
});

describe("one that was replaced", () => {
  let handOver: Running["handOver"];
  let next: HandOver;
  beforeEach(async () => {
    ({ handOver } = await node.running());
    next = await node.taken();
  });

  test("tells what it counts until it has ended, and not one word is lost", async () => {
    const { heard, ended } = followed(next);
    for (const connections of [3, 2, 0]) handOver.tell(countsOf({ connections }));
    await handOver.farewell();
    handOver.close();
    await ended;
    expect(heard).toEqual([3, 2, 0]);
  });

  test("is heard while its next one drains as well", async () => {
    const { heard, ended } = followed(next);
    next.withdraw();
    handOver.tell(countsOf({ connections: 1 }));
    await handOver.farewell();
    await ended;
    expect(heard).toEqual([1]);
  });

  test("does not wait for a next one that is gone", async () => {
    const { ended } = followed(next);
    next.close();
    await ended;
    handOver.tell(countsOf({ connections: 1 }));
    await handOver.farewell();
  });

  test("does not wait longer than a second for a next one that does not hear", async () => {
    const { handOver: other, own } = await node.running();
    const deaf = net.connect(node.socket);
    deaf.write("take over\n");
    await once(deaf, "data");
    deaf.write("have them\n");
    await own.until("replaced");
    deaf.pause();
    const waiting = node.clock.pending;
    for (let line = 0; line < 50; line++) other.tell(many);
    while (!other.isBehind) await setImmediate();
    const over = other.farewell();
    while (node.clock.pending === waiting) await setImmediate();
    node.clock.advance(1_000);
    await over;
    deaf.destroy();
  });
});

test("one that was replaced and says what cannot be read is followed all the same", async () => {
  const before = await node.byHand("{}\nyours\n", "go on\nnonsense\n");
  const next = await node.met();
  expect(await next.takeOver()).toEqual({ how: "given", counts: undefined });
  await next.taken();
  const { heard, ended } = followed(next);
  before.end();
  await ended;
  expect(heard).toEqual([]);
});

describe("the one before closes", () => {
  test("while another waits for a configuration: that one sees it, and has the ports", async () => {
    const { handOver } = await node.running();
    const next = await node.met();
    const gone = next.gone();
    handOver.close();
    await gone;
    expect(await next.takeOver()).toEqual(GONE);
  });

  test("in the instant in which it is asked: nobody waits for an answer", async () => {
    const { handOver } = await node.running();
    const next = await node.met();
    const over = next.takeOver();
    handOver.close();
    expect(await over).toEqual(GONE);
  });

  test("in the instant in which it is met: nobody is there", async () => {
    const { handOver } = await node.running();
    const met = node.proxy().meet();
    handOver.close();
    expect(await met).toBe(false);
  });

  test("before it listens: it listens no more", async () => {
    const handOver = node.proxy();
    handOver.close();
    await handOver.listen();
    expect(existsSync(node.socket)).toBe(false);
  });
});

test("one that asks while another is given the ports is led to that one", async () => {
  await node.running();
  const [second, third] = [await node.met(), await node.met()];
  await second.takeOver();
  const over = third.takeOver();
  const seconds = new ToldPorts();
  await second.listen();
  await second.taken();
  // It is asked, and answers as soon as it is in charge.
  expect(seconds.said).toEqual([]);
  second.answer(seconds);
  expect(await over).toEqual(GIVEN);
  expect(seconds.said).toEqual(["gave up"]);
});

test("one that says something else is not listened to", async () => {
  const { own } = await node.running();
  const stranger = net.connect(node.socket);
  stranger.on("error", () => {});
  stranger.write("GET / HTTP/1.1\r\n\r\n");
  await once(stranger, "close");
  expect(own.said).toEqual([]);
});

test("only the user of the proxy may ask for its ports", async () => {
  await node.running();
  expect(statSync(node.socket).mode & 0o777).toBe(0o600);
});

test("what a killed proxy left there is nobody, and is no obstacle", async () => {
  writeFileSync(node.socket, "");
  const next = node.proxy();
  expect(await next.meet()).toBe(false);
  await next.listen();
  expect(await node.proxy().meet()).toBe(true);
});

describe("while the ports are being given away", () => {
  test("whoever looks finds the one that gives them, and asks the one that has them then", async () => {
    await node.running();
    const second = await node.given();
    const third = await node.met();
    const own = new ToldPorts();
    await node.putInCharge(second, own);
    await second.taken();
    expect(await third.takeOver()).toEqual(GIVEN);
    expect(own.said).toEqual(["gave up"]);
  });

  test("and are not taken, whoever looks finds the one that has them back, though another had its place", async () => {
    const { own } = await node.running();
    const failing = await node.given();
    await failing.listen();
    failing.close();
    await own.until("took back");
    const next = await node.met();
    expect(await next.takeOver()).toEqual(GIVEN);
  });
});

test("one that is told to stop while it takes the place of another leaves that one its place", async () => {
  const { own } = await node.running();
  const late = node.proxy();
  const listening = late.listen();
  late.withdraw();
  await listening;
  await node.given();
  expect(own.said).toEqual(["gave up"]);
});

test("nothing but the socket is left in the folder", async () => {
  const { handOver } = await node.running();
  expect(readdirSync(node.folder)).toEqual(["hand-over.sock"]);
  handOver.close();
  expect(await node.proxy().meet()).toBe(false);
});

test.skipIf(process.getuid?.() === 0)("where it cannot be known who is there, nothing is taken", async () => {
  await node.running();
  chmodSync(node.socket, 0);
  await expect(node.proxy().meet()).rejects.toThrow("EACCES");
});

test("a folder that is not one tells nothing about who is there", async () => {
  const path = join(node.folder, "file");
  writeFileSync(path, "");
  const handOver = new HandOver({ folder: path, clock: node.clock, log: silentLog });
  await expect(handOver.meet()).rejects.toThrow("ENOTDIR");
});

test("one that does not answer is waited for 10 s", async () => {
  const mute = net.createServer((socket) => socket.on("error", () => {}).resume());
  mute.listen(node.socket);
  await once(mute, "listening");
  onTestFinished(() => void mute.close());
  const next = await node.met();
  const over = next.takeOver();
  node.clock.advance(10_000);
  await expect(over).rejects.toThrow("does not give up its ports");
});
