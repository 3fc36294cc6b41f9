import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { HandOver, type OwnPorts } from "./hand-over.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tulle-hand-over-"));
  onTestFinished(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
  });
});

const clock = new ManualClock();

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
    giveUp: async () => say("gave up"),
    takeBack: async () => {
      await handOver?.listen(own);
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

/** One that waits for others. */
async function running(): Promise<{ handOver: HandOver; own: Told }> {
  const handOver = proxy();
  const own = ports(handOver);
  await handOver.listen(own);
  return { handOver, own };
}

test("the one before gives up when it is asked, and is replaced when the next one has the ports", async () => {
  const { own } = await running();
  const next = proxy();
  expect(await next.meet()).toBe(true);
  expect(own.said).toEqual([]);
  expect(await next.takeOver()).toBe("given");
  expect(own.said).toEqual(["gave up"]);
  await next.listen(ports());
  next.taken();
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
  expect(await next.takeOver()).toBe("given");
  next.taken();
  await own.until("replaced");
  expect(own.said).toEqual(["gave up", "took back", "gave up", "replaced"]);
});

describe("the one before closes", () => {
  test("while another waits for a configuration: that one sees it, and has the ports", async () => {
    const { handOver } = await running();
    const next = proxy();
    await next.meet();
    const gone = next.gone();
    handOver.close();
    await gone;
    expect(await next.takeOver()).toBe("gone");
  });

  test("in the instant in which it is asked: nobody waits for an answer", async () => {
    const { handOver } = await running();
    const next = proxy();
    await next.meet();
    const over = next.takeOver();
    handOver.close();
    expect(await over).toBe("gone");
  });

  test("before it listens: it listens no more", async () => {
    const handOver = proxy();
    handOver.close();
    await handOver.listen(ports());
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
  await second.listen(seconds);
  second.taken();
  expect(await over).toBe("given");
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
  await next.listen(ports());
  expect(await proxy().meet()).toBe(true);
});

test("two that start at once do not both think that they are the one", async () => {
  const { own } = await running();
  await expect(proxy().listen(ports())).rejects.toThrow("EADDRINUSE");
  const next = proxy();
  await next.meet();
  await next.takeOver();
  expect(own.said).toEqual(["gave up"]);
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
