import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../model/clock.ts";
import { freePort } from "../../model/testkit/free-ports.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { type Log, silentLog } from "../../telemetry/log.ts";
import { SocksServer, type SocksServerOptions } from "./socks-server.ts";
import {
  SOCKS_ADDRESS as ADDRESS,
  FAR_ADDRESS as FAR,
  farEnd,
  high,
  login,
  Peer,
  toAddress,
  toName,
} from "./testkit/socks-peers.ts";

const POD = "127.1.95.3";
const CALLERS: Readonly<Record<string, string>> = { "whoami.whoami-client": POD, "six.pod": "::1" };

interface Fixture {
  readonly server: SocksServer;
  readonly port: number;
  readonly said: string[];
  readonly asked: (readonly [string, string | undefined])[];
}

async function listening(more: Partial<SocksServerOptions> = {}): Promise<Fixture> {
  const said: string[] = [];
  const asked: (readonly [string, string | undefined])[] = [];
  const log: Log = { ...silentLog, warn: (message) => said.push(message), info: (message) => said.push(message) };
  const server = new SocksServer({
    callerAddress: (user) => CALLERS[user.replace("/", ".")],
    callers: () => Object.keys(CALLERS),
    resolve: async (name, namespace) => {
      asked.push([name, namespace]);
      return name === "far" ? [FAR] : [];
    },
    mapPort: (_, port) => port,
    log,
    clock: systemClock,
    ...more,
  });
  onTestFinished(() => server.close());
  const { port } = await server.listen(ADDRESS, 0);
  return { server, port, said, asked };
}

const NO_LOGIN = [5, 1, 0] as const;
const WITH_LOGIN = [5, 2, 0, 2] as const;

/** Takes the reply of a call that stands, and checks it against the far end's view. */
async function standing(peer: Peer, far: Peer): Promise<void> {
  const { remoteAddress = "", remotePort = 0 } = far.socket;
  expect(await peer.take(10)).toEqual([5, 0, 0, 1, ...remoteAddress.split(".").map(Number), ...high(remotePort)]);
}

describe("who calls", () => {
  test.each(["whoami.whoami-client", "whoami/whoami-client"])(
    "is said by the user name %s, and the call leaves from that Pod",
    async (user) => {
      const { port, asked } = await listening();
      const far = await farEnd();
      const peer = await Peer.to(port);
      peer.say(...WITH_LOGIN);
      expect(await peer.take(2)).toEqual([5, 2]);
      peer.say(...login(user));
      expect(await peer.take(2)).toEqual([1, 0]);
      peer.say(...toName("far", far.port));
      const other = await far.accept();
      expect(other.socket.remoteAddress).toBe(POD);
      await standing(peer, other);
      expect(asked).toEqual([["far", "whoami"]]);
    },
  );

  test.each([
    ["no login", NO_LOGIN, [5, 0]],
    ["an empty user name", WITH_LOGIN, [5, 2]],
  ])("is nobody, at 127.0.0.1, with %s", async (_, greeting, method) => {
    const { port, asked } = await listening();
    const far = await farEnd();
    const peer = await Peer.to(port);
    peer.say(...greeting);
    expect(await peer.take(2)).toEqual(method);
    if (method[1] === 2) {
      peer.say(1, 0, 0);
      expect(await peer.take(2)).toEqual([1, 0]);
    }
    peer.say(...toName("far", far.port));
    const other = await far.accept();
    expect(other.socket.remoteAddress).toBe("127.0.0.1");
    await standing(peer, other);
    expect(asked).toEqual([["far", undefined]]);
  });

  test("is refused with near names, where no Pod is meant", async () => {
    const { port, said } = await listening();
    for (const user of ["whoami-client", "whoami.whoami-clinet", "nobody.at-all"]) {
      const peer = await Peer.to(port);
      peer.say(...WITH_LOGIN, ...login(user), ...toName("far", 80));
      expect(await peer.take(99)).toEqual([5, 2, 1, 1]);
    }
    const hint = "is no Pod; a user name is NAMESPACE.POD";
    expect(said).toEqual([
      `SOCKS5: user "whoami-client" ${hint}; did you mean whoami.whoami-client?`,
      `SOCKS5: user "whoami.whoami-clinet" ${hint}; did you mean whoami.whoami-client?`,
      `SOCKS5: user "nobody.at-all" ${hint}`,
    ]);
  });
});

describe("the handshake", () => {
  test("may come byte by byte", async () => {
    const { port } = await listening();
    const far = await farEnd();
    const peer = await Peer.to(port);
    for (const part of [...WITH_LOGIN, ...login("whoami.whoami-client"), ...toName("far", far.port), "early"])
      for (const byte of Buffer.from(typeof part === "string" ? part : [part])) {
        peer.say(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
    const other = await far.accept();
    expect(await peer.take(4)).toEqual([5, 2, 1, 0]);
    await standing(peer, other);
    expect(Buffer.from(await other.take(5)).toString()).toBe("early");
  });

  test("may come in one piece, with the first bytes of the call behind it", async () => {
    const { port } = await listening();
    const far = await farEnd();
    const peer = await Peer.to(port);
    peer.say(...WITH_LOGIN, ...login("whoami.whoami-client"), ...toName("far", far.port), "GET / HTTP/1.1");
    const other = await far.accept();
    expect(Buffer.from(await other.take(14)).toString()).toBe("GET / HTTP/1.1");
  });

  test("reads the same wherever it is cut", async () => {
    const { port } = await listening();
    const far = await farEnd();
    const whole = Buffer.concat(
      [...WITH_LOGIN, ...login("whoami.whoami-client"), ...toAddress(FAR, far.port), "early"].map((part) =>
        Buffer.from(typeof part === "string" ? part : [part]),
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(whole.length), { maxLength: 6 }), async (cuts) => {
        const peer = await Peer.to(port);
        const edges = [0, ...cuts.sort((a, b) => a - b), whole.length];
        for (let index = 1; index < edges.length; index++) {
          peer.socket.write(whole.subarray(edges[index - 1], edges[index]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        const other = await far.accept();
        expect(Buffer.from(await other.take(5)).toString()).toBe("early");
        peer.socket.destroy();
      }),
      { numRuns: 30 },
    );
  });

  test("ends where no method is acceptable", async () => {
    const { port } = await listening();
    for (const greeting of [
      [5, 0],
      [5, 2, 1, 3],
    ]) {
      const peer = await Peer.to(port);
      peer.say(...greeting);
      expect(await peer.take(99)).toEqual([5, 0xff]);
    }
  });

  test("says in the log what else was spoken", async () => {
    const { port, said } = await listening();
    for (const words of ["\x04\x01\x00\x50", "GET / HTTP/1.1\r\n\r\n"]) {
      const peer = await Peer.to(port);
      peer.say(words);
      expect(await peer.take(99)).toEqual([]);
    }
    expect(said).toEqual([
      "SOCKS5: a caller speaks SOCKS4; use socks5h://",
      "SOCKS5: a caller speaks no SOCKS; use socks5h://",
    ]);
  });

  test("that is not done in 10 s is cut off", async () => {
    const clock = new ManualClock();
    const { port } = await listening({ clock });
    const peer = await Peer.to(port);
    peer.say(...NO_LOGIN);
    await peer.take(2);
    peer.say(5, 1, 0);
    clock.advance(10_000);
    await peer.closed();
  });

  test("of random bytes never harms the server", async () => {
    const { port } = await listening();
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.uint8Array({ maxLength: 300 }), async (greets, junk) => {
        const peer = await Peer.to(port);
        if (greets) peer.say(...NO_LOGIN);
        // No random call of a real address may be waited for.
        const bytes = Buffer.from(junk);
        if (greets && bytes.length > 1) bytes[1] = 2;
        peer.socket.end(bytes);
        await peer.until(() => peer.ended || peer.socket.closed);
      }),
      { numRuns: 60 },
    );
    const peer = await Peer.to(port);
    peer.say(...NO_LOGIN);
    expect(await peer.take(2)).toEqual([5, 0]);
  });
});

describe("a call that cannot be made is answered by its cause", () => {
  async function replyTo(fixture: Fixture, ...request: readonly (number | string)[]): Promise<number[]> {
    const peer = await Peer.to(fixture.port);
    peer.say(...NO_LOGIN, ...request);
    const reply = await peer.take(99);
    expect(reply.slice(0, 2)).toEqual([5, 0]);
    return reply.slice(2);
  }
  const failed = (code: number) => [5, code, 0, 1, 0, 0, 0, 0, 0, 0];

  test("no such name: host unreachable, said in the log", async () => {
    const fixture = await listening();
    expect(await replyTo(fixture, ...toName("nowhere", 80))).toEqual(failed(4));
    expect(await replyTo(fixture, 5, 1, 0, 3, 0, 0, 80)).toEqual(failed(4));
    expect(fixture.said).toEqual(['SOCKS5: there is no name "nowhere"', 'SOCKS5: there is no name ""']);
  });

  test("nobody listens: refused", async () => {
    expect(await replyTo(await listening(), ...toAddress(FAR, await freePort(FAR)))).toEqual(failed(5));
  });

  test("out of the machine from a loopback address: network unreachable", async () => {
    expect(await replyTo(await listening(), ...toAddress("192.0.2.1", 80))).toEqual(failed(3));
  });

  test("a look-up that fails: general failure", async () => {
    const fixture = await listening({ resolve: () => Promise.reject(new Error("broken")) });
    expect(await replyTo(fixture, ...toName("far", 80))).toEqual(failed(1));
    expect(fixture.said).toEqual(['SOCKS5: "far" could not be looked up']);
  });

  test("a look-up that takes too long: timed out, and its late end changes nothing", async () => {
    const clock = new ManualClock();
    let begin = () => {};
    let answer = (_: string[]) => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const resolve = () => {
      begin();
      return new Promise<string[]>((done) => {
        answer = done;
      });
    };
    const reply = replyTo(await listening({ clock, resolve }), ...toName("far", 80));
    await begun;
    clock.advance(10_000);
    expect(await reply).toEqual(failed(6));
    answer([FAR]);
  });

  test("BIND, UDP ASSOCIATE and unknown commands: not supported", async () => {
    const fixture = await listening();
    for (const command of [0, 2, 3, 9]) {
      expect(await replyTo(fixture, 5, command, 0, 1, 127, 0, 0, 1, 0, 80)).toEqual(failed(7));
    }
  });

  test("an unknown type of address: not supported", async () => {
    expect(await replyTo(await listening(), 5, 1, 0, 2, 1, 2, 3, 4, 0, 80)).toEqual(failed(8));
  });

  test("an IPv6 address from an IPv4 Pod: not supported", async () => {
    const { port } = await listening();
    const peer = await Peer.to(port);
    peer.say(...WITH_LOGIN, ...login("whoami.whoami-client"), 5, 1, 0, 4, ...Array<number>(15).fill(0), 1, 0, 80);
    expect(await peer.take(99)).toEqual([5, 2, 1, 0, ...failed(8)]);
  });
});

describe("a call", () => {
  test("goes to an IPv6 address, from nobody and from an IPv6 Pod", async () => {
    const { port } = await listening();
    const far = await farEnd("::1");
    const peer = await Peer.to(port);
    peer.say(...WITH_LOGIN, ...login("six.pod"), 5, 1, 0, 4, ...Array<number>(15).fill(0), 1, ...high(far.port));
    const other = await far.accept();
    expect(await peer.take(26)).toEqual([
      5,
      2,
      1,
      0,
      5,
      0,
      0,
      4,
      ...Array<number>(15).fill(0),
      1,
      ...high(other.socket.remotePort ?? 0),
    ]);
    const nobody = await Peer.to(port);
    nobody.say(...NO_LOGIN, ...toName("::1", far.port));
    await far.accept();
    expect((await nobody.take(4)).slice(2)).toEqual([5, 0]);
  });

  test("goes to an address that is written as a name, without a look-up", async () => {
    const { port, asked } = await listening();
    const far = await farEnd();
    const peer = await Peer.to(port);
    peer.say(...NO_LOGIN, ...toName(FAR, far.port));
    await far.accept();
    expect(asked).toEqual([]);
  });

  test("goes to the port that was bound instead", async () => {
    const far = await farEnd();
    const { port } = await listening({
      mapPort: (address, asked) => (address === FAR && asked === 80 ? far.port : asked),
    });
    const peer = await Peer.to(port);
    peer.say(...NO_LOGIN, ...toAddress(FAR, 80));
    await standingAfterMethod(peer, await far.accept());
  });

  test("tries the next address where the first refuses", async () => {
    const far = await farEnd();
    const { port } = await listening({ resolve: async () => ["127.1.95.9", "::1", FAR] });
    const peer = await Peer.to(port);
    peer.say(...WITH_LOGIN, ...login("whoami.whoami-client"), ...toName("far", far.port));
    const other = await far.accept();
    expect(await peer.take(4)).toEqual([5, 2, 1, 0]);
    await standing(peer, other);
  });

  async function standingAfterMethod(peer: Peer, other: Peer): Promise<void> {
    expect(await peer.take(2)).toEqual([5, 0]);
    await standing(peer, other);
  }

  async function called(more: Partial<SocksServerOptions> = {}) {
    const fixture = await listening(more);
    const far = await farEnd();
    const peer = await Peer.to(fixture.port);
    peer.say(...NO_LOGIN, ...toAddress(FAR, far.port));
    const other = await far.accept();
    await standingAfterMethod(peer, other);
    return { ...fixture, peer, other };
  }

  test("carries bytes both ways, and each side may end first", async () => {
    for (const [first, second] of [
      ["peer", "other"],
      ["other", "peer"],
    ] as const) {
      const { [first]: one, [second]: two } = await called();
      one.say("question");
      one.socket.end();
      await two.until(() => two.ended);
      expect(two.text).toBe("question");
      two.say("answer after the end");
      two.socket.end();
      await one.until(() => one.ended);
      expect(one.text).toBe("answer after the end");
      await one.closed();
      await two.closed();
      expect([one.error, two.error]).toEqual(["", ""]);
    }
  });

  test("passes a reset on, in both directions", async () => {
    for (const [first, second] of [
      ["peer", "other"],
      ["other", "peer"],
    ] as const) {
      const { [first]: one, [second]: two } = await called();
      one.socket.resetAndDestroy();
      await two.closed();
      expect(two.error).toBe("ECONNRESET");
    }
  });

  test("stops reading where the other side does not take it, and loses nothing", async () => {
    for (const [first, second] of [
      ["peer", "other"],
      ["other", "peer"],
    ] as const) {
      const { [first]: one, [second]: two } = await called();
      const bytes = 32 << 20;
      two.socket.pause();
      one.socket.end(Buffer.alloc(bytes, "x"));
      // With nobody reading, what is not in the kernel's buffers stays with the sender.
      for (let round = 0; round < 200; round++) await new Promise((resolve) => setImmediate(resolve));
      expect(one.socket.writableLength).toBeGreaterThan(0);
      two.socket.resume();
      await two.until(() => two.ended);
      expect(two.text.length).toBe(bytes);
      two.socket.end();
      await one.closed();
    }
  });

  test("is carried to its last byte for a slow reader, after both sides have ended", async () => {
    const { peer, other } = await called();
    const bytes = 8 << 20;
    other.socket.end();
    await peer.until(() => peer.ended);
    other.socket.on("data", () => {
      other.socket.pause();
      setImmediate(() => other.socket.resume());
    });
    peer.socket.end(Buffer.alloc(bytes, "x"));
    await other.until(() => other.ended || other.socket.closed);
    expect(other.text.length).toBe(bytes);
  });

  test("may take to its end when the server closes, if it is given the time", async () => {
    const clock = new ManualClock();
    const { server, port, peer, other } = await called({ clock });
    const half = await Peer.to(port);
    half.say(...NO_LOGIN);
    await half.take(2);
    const closed = server.close(5_000);
    await half.closed();
    peer.say("still");
    expect(Buffer.from(await other.take(5)).toString()).toBe("still");
    other.socket.end("answer");
    await peer.until(() => peer.ended);
    expect(peer.text).toBe("answer");
    peer.socket.end();
    await closed;
  });

  test("is reset when the server closes, at once or when the time is over", async () => {
    const clock = new ManualClock();
    for (const drainMs of [0, 5_000]) {
      const { server, peer, other } = await called({ clock });
      const closed = server.close(drainMs);
      clock.advance(drainMs);
      await closed;
      await peer.closed();
      await other.closed();
      expect([peer.error, other.error]).toEqual(["ECONNRESET", "ECONNRESET"]);
    }
  });
});

test("no more connections are taken than the limit", async () => {
  const { port, said } = await listening({ maxConnections: 2 });
  const first = await Peer.to(port);
  const second = await Peer.to(port);
  for (const peer of [first, second]) {
    peer.say(...NO_LOGIN);
    expect(await peer.take(2)).toEqual([5, 0]);
  }
  const third = await Peer.to(port);
  await third.until(() => third.ended || third.socket.closed);
  expect(said).toEqual(["SOCKS5: too many connections; this one was not taken"]);
});

test("a port that is taken is an error, and another may be tried", async () => {
  const { port } = await listening();
  const server = new SocksServer({
    callerAddress: () => undefined,
    resolve: async () => [],
    mapPort: (_, asked) => asked,
    log: silentLog,
    clock: systemClock,
  });
  await expect(server.listen(ADDRESS, port)).rejects.toMatchObject({ code: "EADDRINUSE" });
  const bound = await server.listen(ADDRESS, 0);
  expect(bound.address).toBe(ADDRESS);
  await server.close();
  await server.close();
});
