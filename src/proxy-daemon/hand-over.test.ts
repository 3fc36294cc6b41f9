import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { IDLE } from "../proxy/traffic/proxy-standing.ts";
import { silentLog } from "../telemetry/log.ts";
import { NO_TRAFFIC } from "../traffic/traffic-report.ts";
import { HandOver, type OwnPorts } from "./hand-over.ts";
import type { HandedCounts } from "./handed-counts.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tulle-hand-over-"));
  onTestFinished(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
  });
});

const clock = new ManualClock();
const counts = (connections: number): HandedCounts => ({
  traffic: NO_TRAFFIC,
  standing: { ...IDLE, connections },
});

function proxy(): HandOver {
  const made = new HandOver({ folder, clock, log: silentLog });
  onTestFinished(() => made.close());
  return made;
}

interface Told extends OwnPorts {
  /** What was asked of the ports, in order. */
  readonly said: string[];
  until(word: string): Promise<void>;
}

/** Ports that are words. */
function ports(handOver?: HandOver): Told {
  const said: string[] = [];
  let onSaid = () => {};
  const say = (word: string) => {
    said.push(word);
    onSaid();
  };
  const own: Told = {
    said,
    giveUp: async () => {
      say("gave up");
      return counts(7);
    },
    takeBack: async () => {
      await handOver?.listen();
      say("took back");
    },
    replaced: () => say("replaced"),
    until: async (word) => {
      while (!said.includes(word))
        await new Promise<void>((resolve) => {
          onSaid = resolve;
        });
    },
  };
  return own;
}

const GIVEN = { how: "given", counts: counts(7) };
const GONE = { how: "gone", counts: undefined };

/** More than a socket holds when it is told often. */
const many = Object.fromEntries(
  Array.from({ length: 500 }, (_, index) => [
    `shop/web-${index}:80`,
    { breaker: undefined, connections: 1, waiting: 0, ejected: 0, ejections: 0, retriesRefused: 0 },
  ]),
);

async function inCharge(handOver: HandOver, own: OwnPorts): Promise<void> {
  await handOver.listen();
  handOver.answer(own);
}

/** One that is in charge, spoken by hand: says the first when it is asked, and the second when its ports are taken. */
async function byHand(given: string, taken: string): Promise<{ say(line: string): void; end(): void }> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (bytes) => socket.write(bytes.toString() === "take over\n" ? given : taken));
  });
  server.listen(join(folder, "hand-over.sock"));
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const each = (act: (socket: net.Socket) => void) => () => {
    for (const socket of sockets) act(socket);
  };
  return { say: (line) => each((socket) => socket.write(`${line}\n`))(), end: each((socket) => socket.end()) };
}

/** One that waits for others. */
async function running(): Promise<{ handOver: HandOver; own: Told }> {
  const handOver = proxy();
  const own = ports(handOver);
  await inCharge(handOver, own);
  return { handOver, own };
}

test("the one before gives up when it is asked, and is replaced when the next one has the ports", async () => {
  const { own } = await running();
  const next = proxy();
  expect(await next.meet()).toBe(true);
  expect(own.said).toEqual([]);
  expect(await next.takeOver()).toEqual(GIVEN);
  expect(own.said).toEqual(["gave up"]);
  await inCharge(next, ports());
  await next.taken();
  await own.until("replaced");
  expect(own.said).toEqual(["gave up", "replaced"]);
  expect(await proxy().meet()).toBe(true);
});

test("what was given and not taken goes back, and is given to another", async () => {
  const { own } = await running();
  const failing = proxy();
  await failing.meet();
  await failing.takeOver();
  failing.close();
  await own.until("took back");
  const next = proxy();
  expect(await next.meet()).toBe(true);
  expect(await next.takeOver()).toEqual(GIVEN);
  await next.taken();
  await own.until("replaced");
  expect(own.said).toEqual(["gave up", "took back", "gave up", "replaced"]);
});

test("one that is told to stop while it asks asks no more, and what it was given goes back", async () => {
  const { own } = await running();
  const next = proxy();
  await next.meet();
  const over = next.takeOver();
  next.withdraw();
  expect(await over).toEqual(GONE);
  expect(await next.meet()).toBe(false);
  await own.until("took back");
  expect(own.said).toEqual(["gave up", "took back"]);
});

test("one that has been asked has settled when the next one has the ports, or has not taken them", async () => {
  const { handOver, own } = await running();
  const [failing, next] = [proxy(), proxy()];
  await failing.meet();
  await failing.takeOver();
  const back = handOver.settled();
  failing.close();
  await back;
  expect(own.said).toEqual(["gave up", "took back"]);
  await next.meet();
  await next.takeOver();
  const over = handOver.settled();
  void next.taken();
  await over;
  expect(own.said).toEqual(["gave up", "took back", "gave up", "replaced"]);
});

test("what was counted comes in pieces, and is as it was", async () => {
  const handOver = proxy();
  const own = { ...ports(), giveUp: async () => ({ traffic: NO_TRAFFIC, standing: { ...IDLE, servicePorts: many } }) };
  await inCharge(handOver, own);
  const next = proxy();
  await next.meet();
  const { counts: given } = await next.takeOver();
  expect(given).toEqual({ traffic: NO_TRAFFIC, standing: { ...IDLE, servicePorts: many } });
});

describe("the one before is not heard to go on", () => {
  test("for 5 s: the next one goes on itself, and hears it whenever it is said", async () => {
    const before = await byHand("yours\n", "");
    const next = proxy();
    await next.meet();
    await next.takeOver();
    const taken = next.taken();
    const waiting = clock.pending;
    clock.advance(5_000);
    await taken;
    expect(clock.pending).toBe(waiting - 1);
    const heard: number[] = [];
    const ended = next.follow(({ standing }) => heard.push(standing.connections));
    before.say("go on");
    before.say(JSON.stringify(counts(4)));
    before.end();
    await ended;
    expect(heard).toEqual([4]);
  });

  test("as it has its ports itself: the next one hears that, late as it is", async () => {
    const before = await byHand("yours\n", "");
    const next = proxy();
    await next.meet();
    await next.takeOver();
    const taken = next.taken();
    clock.advance(5_000);
    await taken;
    const followed = next.follow(() => {});
    before.say("too late");
    await expect(followed).rejects.toThrow("took its ports back");
  });
});

describe("the next one says nothing once it was given the ports", () => {
  test("for 5 s: the one before has them back, and another gets them", async () => {
    const { own } = await running();
    const frozen = proxy();
    await frozen.meet();
    await frozen.takeOver();
    clock.advance(4_999);
    await setImmediate();
    expect(own.said).toEqual(["gave up"]);
    clock.advance(1);
    await own.until("took back");
    const next = proxy();
    expect(await next.meet()).toBe(true);
    expect(await next.takeOver()).toEqual(GIVEN);
    await next.taken();
    await own.until("replaced");
    // The one that comes to itself learns that it has nothing.
    const inUse = new Error("EADDRINUSE");
    expect(frozen.reasonFor(inUse).message).toContain("took its ports back");
    expect(next.reasonFor(inUse)).toBe(inUse);
    await expect(frozen.taken()).rejects.toThrow("took its ports back");
    expect(own.said).toEqual(["gave up", "took back", "gave up", "replaced"]);
  });

  test("but had said it before the time was over: what had come is heard first", async () => {
    const { own } = await running();
    const next = proxy();
    await next.meet();
    await next.takeOver();
    const taken = next.taken();
    // As of one that was stopped itself: the timer is the first that it sees.
    clock.advance(5_000);
    await taken;
    await own.until("replaced");
    expect(own.said).toEqual(["gave up", "replaced"]);
  });
});

describe("one that was replaced", () => {
  async function replaced(): Promise<{ handOver: HandOver; next: HandOver; heard: number[]; ended: Promise<void> }> {
    const { handOver } = await running();
    const next = proxy();
    await next.meet();
    await next.takeOver();
    await next.taken();
    const heard: number[] = [];
    const ended = next.follow(({ standing }) => heard.push(standing.connections));
    return { handOver, next, heard, ended };
  }

  test("tells what it counts until it has ended, and not one word is lost", async () => {
    const { handOver, heard, ended } = await replaced();
    handOver.tell(counts(3));
    handOver.tell(counts(2));
    handOver.tell(counts(0));
    await handOver.farewell();
    handOver.close();
    await ended;
    expect(heard).toEqual([3, 2, 0]);
  });

  test("is heard while its next one drains as well", async () => {
    const { handOver, next, heard, ended } = await replaced();
    next.withdraw();
    handOver.tell(counts(1));
    await handOver.farewell();
    await ended;
    expect(heard).toEqual([1]);
  });

  test("does not wait for a next one that is gone, nor longer than a second for one that does not hear", async () => {
    const { handOver, next, ended } = await replaced();
    next.close();
    await ended;
    handOver.tell(counts(1));
    await handOver.farewell();
    const path = join(folder, "hand-over.sock");
    const own = ports();
    const other = proxy();
    await inCharge(other, own);
    const deaf = net.connect(path);
    deaf.write("take over\n");
    await once(deaf, "data");
    deaf.write("have them\n");
    await own.until("replaced");
    deaf.pause();
    const waiting = clock.pending;
    for (let line = 0; line < 50; line++) other.tell({ ...counts(1), standing: { ...IDLE, servicePorts: many } });
    while (!other.isBehind) await setImmediate();
    const over = other.farewell();
    while (clock.pending === waiting) await setImmediate();
    clock.advance(1_000);
    await over;
    deaf.destroy();
  });

  test("and says what cannot be read, is followed all the same", async () => {
    const before = await byHand("{}\nyours\n", "go on\nnonsense\n");
    const next = proxy();
    await next.meet();
    expect(await next.takeOver()).toEqual({ how: "given", counts: undefined });
    await next.taken();
    const heard: HandedCounts[] = [];
    const ended = next.follow((told) => heard.push(told));
    before.end();
    await ended;
    expect(heard).toEqual([]);
  });
});

describe("the one before closes", () => {
  test("while another waits for a configuration: that one sees it, and has the ports", async () => {
    const { handOver } = await running();
    const next = proxy();
    await next.meet();
    const gone = next.gone();
    handOver.close();
    await gone;
    expect(await next.takeOver()).toEqual(GONE);
  });

  test("in the instant in which it is asked: nobody waits for an answer", async () => {
    const { handOver } = await running();
    const next = proxy();
    await next.meet();
    const over = next.takeOver();
    handOver.close();
    expect(await over).toEqual(GONE);
  });

  test("in the instant in which it is met: nobody is there", async () => {
    const { handOver } = await running();
    const met = proxy().meet();
    handOver.close();
    expect(await met).toBe(false);
  });

  test("before it listens: it listens no more", async () => {
    const handOver = proxy();
    handOver.close();
    await handOver.listen();
    expect(existsSync(join(folder, "hand-over.sock"))).toBe(false);
  });
});

test("one that asks while another is given the ports is led to that one", async () => {
  await running();
  const [second, third] = [proxy(), proxy()];
  await second.meet();
  await third.meet();
  await second.takeOver();
  const over = third.takeOver();
  const seconds = ports();
  await second.listen();
  await second.taken();
  // It is asked, and answers as soon as it is in charge.
  expect(seconds.said).toEqual([]);
  second.answer(seconds);
  expect(await over).toEqual(GIVEN);
  expect(seconds.said).toEqual(["gave up"]);
});

test("one that says something else is not listened to", async () => {
  const { own } = await running();
  const stranger = net.connect(join(folder, "hand-over.sock"));
  stranger.on("error", () => {});
  stranger.write("GET / HTTP/1.1\r\n\r\n");
  await once(stranger, "close");
  expect(own.said).toEqual([]);
});

test("only the user of the proxy may ask for its ports", async () => {
  await running();
  expect(statSync(join(folder, "hand-over.sock")).mode & 0o777).toBe(0o600);
});

test("what a killed proxy left there is nobody, and is no obstacle", async () => {
  const path = join(folder, "hand-over.sock");
  writeFileSync(path, "");
  const next = proxy();
  expect(await next.meet()).toBe(false);
  await next.listen();
  expect(await proxy().meet()).toBe(true);
});

describe("while the ports are being given away", () => {
  test("whoever looks finds the one that gives them, and asks the one that has them then", async () => {
    await running();
    const [second, third] = [proxy(), proxy()];
    await second.meet();
    await second.takeOver();
    expect(await third.meet()).toBe(true);
    const own = ports();
    await inCharge(second, own);
    await second.taken();
    expect(await third.takeOver()).toEqual(GIVEN);
    expect(own.said).toEqual(["gave up"]);
  });

  test("and are not taken, whoever looks finds the one that has them back, though another had its place", async () => {
    const { own } = await running();
    const [failing, next] = [proxy(), proxy()];
    await failing.meet();
    await failing.takeOver();
    await failing.listen();
    failing.close();
    await own.until("took back");
    expect(await next.meet()).toBe(true);
    expect(await next.takeOver()).toEqual(GIVEN);
  });
});

test("one that is told to stop while it takes the place of another leaves that one its place", async () => {
  const { own } = await running();
  const late = proxy();
  const listening = late.listen();
  late.withdraw();
  await listening;
  const next = proxy();
  await next.meet();
  await next.takeOver();
  expect(own.said).toEqual(["gave up"]);
});

test("nothing but the socket is left in the folder", async () => {
  const { handOver } = await running();
  expect(readdirSync(folder)).toEqual(["hand-over.sock"]);
  handOver.close();
  expect(await proxy().meet()).toBe(false);
});

test.skipIf(process.getuid?.() === 0)("where it cannot be known who is there, nothing is taken", async () => {
  await running();
  chmodSync(join(folder, "hand-over.sock"), 0);
  await expect(proxy().meet()).rejects.toThrow("EACCES");
});

test("a folder that is not one tells nothing about who is there", async () => {
  const path = join(folder, "file");
  writeFileSync(path, "");
  const handOver = new HandOver({ folder: path, clock, log: silentLog });
  await expect(handOver.meet()).rejects.toThrow("ENOTDIR");
});

test("one that does not answer is waited for 10 s", async () => {
  const mute = net.createServer((socket) => socket.on("error", () => {}).resume());
  mute.listen(join(folder, "hand-over.sock"));
  await once(mute, "listening");
  onTestFinished(() => void mute.close());
  const next = proxy();
  await next.meet();
  const over = next.takeOver();
  clock.advance(10_000);
  await expect(over).rejects.toThrow("does not give up its ports");
});
