import { afterEach, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { mesh, servicePort } from "../router/testkit/mesh-configs.ts";
import { WIDE_READ_BYTES } from "../socket/write-buffers.ts";
import { FarEnd, type Peer, TcpFixture, type TcpFixtureOptions } from "./testkit/tcp-fixture.ts";

const ENTRY = "n/s:80";
const MIB = 1024 * 1024;

const closing: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
});

/** A far end, and the mesh before it. */
async function relay(onConnection?: (peer: Peer) => void, rest: Partial<TcpFixtureOptions> = {}) {
  const farEnd = await FarEnd.listen(onConnection);
  closing.push(farEnd);
  const config = mesh("off", { [ENTRY]: servicePort({ [farEnd.key]: "n/server" }, { trafficType: "tcp" }) });
  const fixture = await TcpFixture.open({ config, entry: ENTRY, ...rest });
  closing.push(fixture);
  return { farEnd, fixture };
}

/** A caller and the far end of its flow. */
async function connected(rest: Partial<TcpFixtureOptions> = {}) {
  const { farEnd, fixture } = await relay(undefined, rest);
  const caller = fixture.caller();
  const server = await farEnd.peer(0);
  await fixture.untilOpened(1);
  return { fixture, caller, server };
}

const echo = (peer: Peer) => {
  peer.socket.on("data", (bytes) => peer.socket.write(bytes));
  peer.socket.on("end", () => peer.socket.end());
};

/** Resolves when the number has stayed the same while sockets had many turns. */
async function standstill(number: () => number): Promise<number> {
  let last = number();
  for (let same = 0; same < 20; same++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    if (number() === last) continue;
    last = number();
    same = 0;
  }
  return last;
}

test("bytes go both ways, and the end of each side is passed on", async () => {
  const { fixture } = await relay(echo);
  const caller = fixture.caller();
  caller.socket.write("one ");
  await caller.untilReceived("one ");
  caller.socket.end("two");
  await caller.untilClosed();
  expect(caller.received).toBe("one two");
  expect(caller.error).toBe(undefined);
  const record = await fixture.record();
  expect(record).toMatchObject({ transport: "tcp", failure: "", bytesUp: 7, bytesDown: 7, wouldDeny: false });
  expect(record.caller.address).toBe("127.1.0.1");
  expect(record.path.map(({ key }) => key)).toEqual([ENTRY]);
  expect(fixture.engine.counters).toMatchObject({ accepted: 1, opened: 1, bytesUp: 7, bytesDown: 7 });
  expect(fixture.engine.activeFlows).toBe(0);
  expect(fixture.outstanding(ENTRY)).toEqual([0]);
});

test("a server that speaks first is heard before the caller says anything", async () => {
  const { fixture } = await relay((peer) => peer.socket.write("220 ready\r\n"));
  const caller = fixture.caller();
  await caller.untilReceived("220 ready\r\n");
  expect(fixture.engine.counters.bytesUp).toBe(0);
});

test("what the caller sends before the endpoint is connected, its end included, arrives whole and in order", async () => {
  const early = Buffer.alloc(300_000, "0123456789");
  const { farEnd, fixture } = await relay((peer) => peer.socket.end("bye"));
  const caller = fixture.caller();
  caller.socket.end(early);
  const server = await farEnd.peer(0);
  await server.until(() => server.ended);
  expect(server.bytes.equals(early)).toBe(true);
});

test("a caller that has ended its side still gets the answer", async () => {
  const { caller, server } = await connected();
  caller.socket.end("question");
  await server.until(() => server.ended);
  expect(server.received).toBe("question");
  expect(caller.ended).toBe(false);
  server.socket.write("answer, ");
  await caller.untilReceived("answer, ");
  server.socket.end("and the rest");
  await caller.untilClosed();
  expect(caller.received).toBe("answer, and the rest");
});

test("an endpoint that has ended its side still gets what the caller sends", async () => {
  const { fixture, caller, server } = await connected();
  server.socket.end("go on");
  await caller.until(() => caller.ended);
  caller.socket.write("one ");
  await server.untilReceived("one ");
  caller.socket.end("two");
  await server.untilClosed();
  expect(server.received).toBe("one two");
  expect((await fixture.record()).failure).toBe("");
});

test("the endpoint is dialled from the address that the flow is told to", async () => {
  const { farEnd, fixture } = await relay(undefined, { dialFrom: ({ address }) => address });
  fixture.caller("127.1.0.7");
  expect((await farEnd.peer(0)).socket.remoteAddress).toBe("127.1.0.7");
});

test("a caller's reset reaches the endpoint as a reset", async () => {
  const { fixture, caller, server } = await connected();
  caller.reset();
  await server.untilClosed();
  expect(server.error).toBe("ECONNRESET");
  expect((await fixture.record()).failure).toBe("ClientGone");
  expect(fixture.outstanding(ENTRY)).toEqual([0]);
});

test("an endpoint's reset reaches the caller as a reset, never as an end in good order", async () => {
  const { fixture, caller, server } = await connected();
  server.socket.write("half of an ans");
  await caller.untilReceived("half of an ans");
  server.reset();
  await caller.untilClosed();
  expect([caller.error, caller.ended]).toEqual(["ECONNRESET", false]);
  expect((await fixture.record()).failure).toBe("UpstreamReset");
});

test("an endpoint's reset that comes with its last bytes is no end in good order either", async () => {
  const { fixture, server } = await connected();
  server.socket.write("last");
  server.reset();
  expect(await fixture.record()).toMatchObject({ failure: "UpstreamReset" });
});

test("a reset after the end of a side reaches the other side", async () => {
  const { caller, server } = await connected();
  caller.socket.end("question");
  await server.until(() => server.ended);
  server.reset();
  await caller.untilClosed();
  expect(caller.error).toBe("ECONNRESET");
});

test("a flow broken off in the very step in which a side ended leaves no connection behind", async () => {
  const { fixture, caller, server } = await connected();
  // After the engine's own listener, which has just passed the end on.
  fixture.accepted[0]?.on("end", () => void fixture.engine.close(0));
  caller.socket.end();
  await caller.untilClosed();
  // One that has read the end looks at its socket again only to write; a connection that stayed would take it all.
  while (!server.closed) {
    server.socket.write("too late");
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(fixture.ended).toHaveLength(1);
});

test.each([
  ["down", (caller: Peer, server: Peer) => ({ from: server, to: caller })],
  ["up", (caller: Peer, server: Peer) => ({ from: caller, to: server })],
])(
  "50 MiB %s behind a reader that stalls: what the proxy holds is bounded, and all of it arrives",
  async (way, ends) => {
    const { fixture, caller, server } = await connected();
    const { from, to } = ends(caller, server);
    const chunk = Buffer.alloc(MIB, "0123456789abcdef");
    to.socket.pause();
    let sent = 0;
    const fill = () => {
      while (sent++ < 50) if (!from.socket.write(chunk)) return;
      from.socket.end();
    };
    from.socket.on("drain", fill);
    fill();
    const { counters } = fixture.engine;
    const stalledAt = await standstill(() => (way === "down" ? counters.bytesDown : counters.bytesUp));
    // The kernel's buffers take some megabytes; of the proxy's own there is what one read brought, and before that less
    // than makes a socket ask for a pause.
    expect(stalledAt).toBeLessThan(25 * MIB);
    const { writableLength = 0, readableLength = 0, writableHighWaterMark = 0 } = fixture.accepted[0] ?? {};
    expect(writableLength + readableLength).toBeLessThan(writableHighWaterMark + WIDE_READ_BYTES);
    const upstreamHolds = from.socket.bytesWritten - from.socket.writableLength - stalledAt;
    expect(upstreamHolds).toBeLessThan(25 * MIB);

    to.socket.resume();
    await to.until(() => to.ended);
    expect(to.receivedBytes).toBe(50 * MIB);
    expect(to.bytes.equals(Buffer.alloc(50 * MIB, chunk))).toBe(true);
  },
);

test("a half-closed flow ends when nothing has moved for the time-out, and not while something moves", async () => {
  const clock = new ManualClock();
  const { fixture, caller, server } = await connected({ clock, limits: { halfClosedTimeoutMs: 60_000 } });
  clock.advance(3_600_000);
  expect(fixture.engine.activeFlows).toBe(1);
  caller.socket.end("question");
  await server.until(() => server.ended);
  for (let part = 1; part <= 3; part++) {
    clock.advance(59_000);
    server.socket.write(`part ${part}`);
    await caller.untilReceived(`part ${part}`);
  }
  clock.advance(59_000);
  expect(fixture.engine.activeFlows).toBe(1);
  clock.advance(3_000);
  await caller.untilClosed();
  expect(caller.error).toBe("ECONNRESET");
  // It was the endpoint's turn.
  expect((await fixture.record()).failure).toBe("ResponseTimeout");
});

test("a half-closed flow that its caller leaves open is the caller's failure", async () => {
  const clock = new ManualClock();
  const { fixture, caller, server } = await connected({ clock });
  server.socket.end();
  await caller.until(() => caller.ended);
  clock.advance(310_000);
  expect((await fixture.record()).failure).toBe("ClientGone");
});

test("a flow of which nothing moves ends at the service's idle time-out, and not while something moves", async () => {
  const clock = new ManualClock();
  const { farEnd, fixture } = await relay(undefined, { clock });
  const settings = { trafficType: "tcp", timeouts: { idleMs: 60_000 } } as const;
  fixture.table.apply(mesh("off", { [ENTRY]: servicePort({ [farEnd.key]: "n/server" }, settings) }));
  const caller = fixture.caller();
  const server = await farEnd.peer(0);
  await fixture.untilOpened(1);
  for (let part = 1; part <= 3; part++) {
    clock.advance(59_000);
    server.socket.write(`part ${part}`);
    await caller.untilReceived(`part ${part}`);
  }
  clock.advance(59_000);
  expect(fixture.engine.activeFlows).toBe(1);
  clock.advance(3_000);
  await Promise.all([caller.untilClosed(), server.untilClosed()]);
  expect((await fixture.record()).failure).toBe("IdleTimeout");
});

test("flows beyond the service's connections wait their turn, and beyond those that may wait are reset", async () => {
  const { farEnd, fixture } = await relay(echo);
  const settings = { trafficType: "tcp", limits: { maxConnections: 1, maxPending: 1 } } as const;
  fixture.table.apply(mesh("off", { [ENTRY]: servicePort({ [farEnd.key]: "n/server" }, settings) }));
  const first = fixture.caller();
  await fixture.untilOpened(1);
  const second = fixture.caller();
  second.socket.write("early");
  while (fixture.table.servicePort(ENTRY)?.connections.waiting !== 1) await new Promise(setImmediate);
  const third = fixture.caller();
  await third.untilClosed();
  expect([third.error, (await fixture.record()).failure]).toEqual(["ECONNRESET", "Overloaded"]);
  expect(farEnd.peers).toHaveLength(1);
  first.socket.end();
  await second.untilReceived("early");
  second.socket.end();
  await second.untilClosed();
  expect(fixture.table.servicePort(ENTRY)?.connections.open).toBe(0);
});

test("closing waits for the flows, and takes no new ones", async () => {
  const { farEnd, fixture } = await relay(echo);
  const caller = fixture.caller();
  await fixture.untilOpened(1);
  let closed = false;
  const closes = fixture.engine.close(60_000).then(() => {
    closed = true;
  });
  const late = fixture.caller();
  await late.untilClosed();
  expect(late.error).toBe("ECONNRESET");
  caller.socket.write("still here");
  await caller.untilReceived("still here");
  expect(closed).toBe(false);
  caller.socket.end();
  await closes;
  expect(fixture.ended.map(({ failure }) => failure)).toEqual([""]);
  expect(farEnd.peers).toHaveLength(1);
});

test("closing breaks off what is left when the time for draining is over", async () => {
  const clock = new ManualClock();
  const { fixture, caller, server } = await connected({ clock });
  const closes = fixture.engine.close(10_000);
  clock.advance(9_999);
  expect(fixture.engine.activeFlows).toBe(1);
  clock.advance(1);
  await closes;
  await Promise.all([caller.untilClosed(), server.untilClosed()]);
  expect([caller.error, server.error]).toEqual(["ECONNRESET", "ECONNRESET"]);
  expect(fixture.engine.activeFlows).toBe(0);
});
