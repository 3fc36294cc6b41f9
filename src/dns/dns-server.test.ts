import dgram from "node:dgram";
import dns from "node:dns/promises";
import { once } from "node:events";
import net from "node:net";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../model/clock.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { type Log, silentLog } from "../telemetry/log.ts";
import { DnsServer, type DnsServerOptions } from "./dns-server.ts";
import { MeshZone } from "./mesh-zone.ts";
import { type At, askTcp, askUdp, decode, framed, messagesOf, question } from "./testkit/dns-asking.ts";

const ADDRESS = "127.1.90.1";
const NAME = "whoami.whoami.traefik.mesh";
const MANY = "many.whoami.traefik.mesh";
const GOOD = question(NAME, "A", { id: 77 });

function meshZone(): MeshZone {
  const zone = new MeshZone(["traefik.mesh"]);
  const many = Array.from({ length: 200 }, (_, index) => `127.3.1.${index + 1}`);
  zone.update({
    names: { "whoami/whoami": ["127.3.0.1"], "whoami/many": many, "whoami/two": ["127.3.0.2", "127.3.0.3"] },
  });
  return zone;
}

async function listening(more: Partial<DnsServerOptions> = {}): Promise<{ at: At; server: DnsServer; zone: MeshZone }> {
  const zone = meshZone();
  const server = new DnsServer({ zones: [zone], log: silentLog, clock: systemClock, ...more });
  onTestFinished(() => server.close());
  return { at: await server.listen(ADDRESS, 0), server, zone };
}

async function connected(at: At): Promise<net.Socket> {
  const socket = net.connect({ host: at.address, port: at.port, noDelay: true });
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** once() would throw for the reset that a cut connection may end with. */
const closeOf = (socket: net.Socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()));

const addressesIn = (message: Buffer) => (decode(message).answers as { data: string }[]).map(({ data }) => data);

describe("a resolver", () => {
  async function resolver() {
    const { at, zone } = await listening();
    const asking = new dns.Resolver({ tries: 1, timeout: 2000 });
    asking.setServers([`${at.address}:${at.port}`]);
    return { asking, zone };
  }

  test("gets addresses, lacks and refusals", async () => {
    const { asking } = await resolver();
    expect(await asking.resolve4(NAME, { ttl: true })).toEqual([{ address: "127.3.0.1", ttl: 5 }]);
    expect(await asking.resolve4("WHOAMI.whoami.Traefik.mesh")).toEqual(["127.3.0.1"]);
    await expect(asking.resolve6(NAME)).rejects.toMatchObject({ code: "ENODATA" });
    await expect(asking.resolve4("whoami.traefik.mesh")).rejects.toMatchObject({ code: "ENODATA" });
    await expect(asking.resolve4("no.whoami.traefik.mesh")).rejects.toMatchObject({ code: "ENOTFOUND" });
    await expect(asking.resolve4("example.com")).rejects.toMatchObject({ code: "EREFUSED" });
  });

  test("comes back over TCP for what is too long for UDP", async () => {
    const { asking } = await resolver();
    expect(await asking.resolve4(MANY)).toHaveLength(200);
  });

  test("sees a change at once", async () => {
    const { asking, zone } = await resolver();
    zone.update({ names: { "whoami/new": ["127.3.0.9"] } });
    expect(await asking.resolve4("new.whoami.traefik.mesh")).toEqual(["127.3.0.9"]);
    await expect(asking.resolve4(NAME)).rejects.toMatchObject({ code: "ENOTFOUND" });
  });
});

test("UDP and TCP have one port number, and answer the same but for its length", async () => {
  const { at } = await listening();
  expect(await askTcp(at, framed(GOOD))).toEqual([await askUdp(at, GOOD)]);
  expect(decode(await askUdp(at, question(MANY))).flag_tc).toBe(true);
  const [whole] = await askTcp(at, framed(question(MANY)));
  expect(addressesIn(whole as Buffer)).toHaveLength(200);
});

test("times to live are the ones asked for", async () => {
  const { at } = await listening({ ttlSeconds: 30, negativeTtlSeconds: 2 });
  expect(decode(await askUdp(at, GOOD)).answers).toMatchObject([{ ttl: 30 }]);
  expect(decode(await askUdp(at, question("x.traefik.mesh"))).authorities).toMatchObject([
    { ttl: 2, data: { minimum: 2 } },
  ]);
});

test("several addresses take turns, whatever is asked between", async () => {
  const { at } = await listening();
  const firsts: (string | undefined)[] = [];
  for (let asked = 0; asked < 4; asked++) {
    firsts.push(addressesIn(await askUdp(at, question("two.whoami.traefik.mesh")))[0]);
    // Every resolver asks for AAAA too; that must not turn the order back.
    await askUdp(at, question("two.whoami.traefik.mesh", "AAAA"));
  }
  expect(firsts).toEqual(["127.3.0.2", "127.3.0.3", "127.3.0.2", "127.3.0.3"]);
});

test("it listens on IPv6 too", async () => {
  const server = new DnsServer({ zones: [meshZone()], log: silentLog, clock: systemClock });
  onTestFinished(() => server.close());
  const at = await server.listen("::1", 0);
  expect(addressesIn(await askUdp(at, GOOD))).toEqual(["127.3.0.1"]);
});

describe("a port that is taken", () => {
  async function takenUdp(): Promise<number> {
    const socket = dgram.createSocket("udp4");
    onTestFinished(() => void socket.close());
    await new Promise<void>((resolve) => socket.bind(0, ADDRESS, resolve));
    return socket.address().port;
  }

  test.each(["udp", "tcp"])(
    "by %s is an error that leaves nothing open, and another may be tried",
    async (transport) => {
      let port: number;
      if (transport === "udp") port = await takenUdp();
      else {
        const other = net.createServer().listen(0, ADDRESS);
        await once(other, "listening");
        onTestFinished(() => void other.close());
        port = (other.address() as net.AddressInfo).port;
      }
      const server = new DnsServer({ zones: [meshZone()], log: silentLog, clock: systemClock });
      onTestFinished(() => server.close());
      await expect(server.listen(ADDRESS, port)).rejects.toMatchObject({ code: "EADDRINUSE" });
      if (transport === "udp") {
        const free = net.createServer().listen(port, ADDRESS);
        await once(free, "listening");
        free.close();
      }
      const at = await server.listen(ADDRESS, 0);
      expect(addressesIn(await askUdp(at, GOOD))).toEqual(["127.3.0.1"]);
    },
  );
});

test("after close both ports are free, and its connections have ended", async () => {
  const { at, server } = await listening();
  const socket = await connected(at);
  const ended = closeOf(socket);
  socket.write(framed(GOOD));
  await once(socket, "data");
  await server.close();
  await ended;
  const again = new DnsServer({ zones: [], log: silentLog, clock: systemClock });
  await again.listen(at.address, at.port);
  await again.close();
  await again.close();
});

describe("over UDP", () => {
  test("neither junk nor callers that are gone keep the next one from an answer", async () => {
    const { at } = await listening();
    for (let index = 0; index < 20; index++) {
      const gone = dgram.createSocket("udp4");
      await new Promise<void>((resolve) => gone.send(GOOD, at.port, at.address, () => resolve()));
      await new Promise<void>((resolve) => gone.close(resolve));
    }
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 0, maxLength: 100 }), async (junk) => {
        // A response or a stub gets silence: the first answer is then the good question's.
        const silent = Buffer.concat([Buffer.from([0, 1, 0x80]), junk]);
        expect(decode(await askUdp(at, silent, junk.subarray(0, 3), GOOD)).id).toBe(77);
        const mutated = Buffer.from(GOOD);
        mutated.set(junk.subarray(0, GOOD.length - 12), 12);
        await askUdp(at, mutated);
        expect(addressesIn(await askUdp(at, GOOD))).toEqual(["127.3.0.1"]);
      }),
      { numRuns: 60 },
    );
  });
});

describe("over TCP", () => {
  test("a message may be cut anywhere, its length too", async () => {
    const { at } = await listening();
    const bytes = framed(GOOD);
    const answers = await askTcp(at, ...[...bytes].map((byte) => Buffer.from([byte])));
    expect(answers.map(addressesIn)).toEqual([["127.3.0.1"]]);
  });

  test("several questions in one piece are all answered, in their order", async () => {
    const { at } = await listening();
    const ids = Array.from({ length: 50 }, (_, index) => index + 1);
    const answers = await askTcp(at, Buffer.concat(ids.map((id) => framed(question(NAME, "A", { id })))));
    expect(answers.map((message) => decode(message).id)).toEqual(ids);
  });

  test("questions read the same wherever they are cut", async () => {
    const { at } = await listening();
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(250), { maxLength: 5 }), async (count, cuts) => {
        const bytes = Buffer.concat(
          Array.from({ length: count }, (_, id) => framed(question(NAME, "A", { id: id + 1 }))),
        );
        const edges = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const pieces = edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
        const answers = await askTcp(at, ...pieces);
        expect(answers.map((message) => decode(message).id)).toEqual(Array.from({ length: count }, (_, id) => id + 1));
      }),
      { numRuns: 40 },
    );
  });

  test("a malformed message is refused, and the connection goes on", async () => {
    const { at } = await listening();
    const junk = Buffer.from([0, 9, 1, 0, 0, 1]);
    const answers = await askTcp(at, framed(junk), framed(Buffer.alloc(0)), framed(GOOD));
    expect(answers.map((message) => [decode(message).id, decode(message).rcode])).toEqual([
      [9, "FORMERR"],
      [77, "NOERROR"],
    ]);
  });

  test("a length that no question has ends the connection", async () => {
    const { at } = await listening();
    const socket = await connected(at);
    const messages = messagesOf(socket);
    socket.write(Buffer.concat([framed(GOOD), Buffer.from([0xff, 0xff])]));
    expect((await messages).length).toBeLessThanOrEqual(1);
    expect(await askTcp(at, framed(GOOD))).toHaveLength(1);
  });

  test("random bytes never harm the server", async () => {
    const { at } = await listening();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (junk) => {
        await askTcp(at, junk);
      }),
      { numRuns: 60 },
    );
    expect(await askTcp(at, framed(GOOD))).toHaveLength(1);
  });

  test("a connection without a whole question for 10 s ends, an answered one waits anew", async () => {
    const clock = new ManualClock();
    const { at } = await listening({ clock });
    const socket = await connected(at);
    const closed = closeOf(socket);
    socket.write(framed(GOOD));
    await once(socket, "data");
    clock.advance(9_999);
    socket.write(framed(GOOD));
    await once(socket, "data");
    socket.write(framed(GOOD).subarray(0, 5));
    clock.advance(9_999);
    socket.write(framed(GOOD).subarray(5));
    await once(socket, "data");
    socket.write(framed(GOOD).subarray(0, 5));
    clock.advance(10_000);
    await closed;
  });

  test("of too many connections the quietest ends", async () => {
    const { at } = await listening({ maxConnections: 3 });
    const sockets: net.Socket[] = [];
    const ask = async (socket: net.Socket) => {
      socket.write(framed(GOOD));
      await once(socket, "data");
    };
    for (let index = 0; index < 3; index++) {
      const socket = await connected(at);
      sockets.push(socket);
      await ask(socket);
    }
    const [first, second, third] = sockets as [net.Socket, net.Socket, net.Socket];
    await ask(first);
    const ended = closeOf(second);
    const fourth = await connected(at);
    await ended;
    for (const socket of [fourth, first, third]) await ask(socket);
  });

  test("who reads none of his answers is asked nothing more of, and loses none when he reads on", async () => {
    const zone = meshZone();
    let found = 0;
    const counting = {
      origins: zone.origins,
      find(name: string) {
        found++;
        return zone.find(name);
      },
    };
    const { at } = await listening({ zones: [counting] });
    const socket = await connected(at);
    socket.pause();
    const count = 2000;
    // Answers of 8 kB: more than all buffers on the way hold.
    socket.end(Buffer.concat(Array(count).fill(framed(question(MANY)))));
    for (let turn = 0; turn < 20; turn++) await askUdp(at, GOOD);
    expect(found - 20).toBeLessThan(count);
    const answers = await messagesOf(socket.resume());
    expect(answers).toHaveLength(count);
    expect(new Set(answers.map((message) => message.length)).size).toBe(1);
  });
});

test("what a zone holds that is no name is a failure of the server, logged, and the next question is answered", async () => {
  const errors: unknown[] = [];
  const log: Log = { ...silentLog, error: (...all) => errors.push(all) };
  const broken = { origins: ["broken"], find: () => ({ kind: "alias", target: "a..b" }) as const };
  const { at } = await listening({ zones: [broken, meshZone()], log });
  expect(decode(await askUdp(at, question("x.broken")))).toMatchObject({ id: 4711, rcode: "SERVFAIL" });
  expect(errors).toEqual([["a DNS question could not be answered", { error: '"a..b" is no DNS name' }]]);
  expect(addressesIn(await askUdp(at, GOOD))).toEqual(["127.3.0.1"]);
});
