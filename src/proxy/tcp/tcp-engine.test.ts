import { afterEach, expect, test } from "vitest";
import type { MeshConfig } from "../../config/mesh-config.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { mesh, route, rule, servicePort } from "../router/testkit/mesh-configs.ts";
import { closedPort, FarEnd, type Peer, TcpFixture, type TcpFixtureOptions } from "./testkit/tcp-fixture.ts";

const ENTRY = "n/s:80";
const FRIEND = "127.1.0.1";
const FOE = "127.1.0.2";
const STRANGER = "127.1.0.3";
const CALLERS = { [FRIEND]: "n/friend", [FOE]: "n/foe" };

const closing: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
});

async function listen(onConnection?: (peer: Peer) => void): Promise<FarEnd> {
  const farEnd = await FarEnd.listen(onConnection);
  closing.push(farEnd);
  return farEnd;
}

async function open(config: MeshConfig, rest: Partial<TcpFixtureOptions> = {}): Promise<TcpFixture> {
  const fixture = await TcpFixture.open({ config, entry: ENTRY, ...rest });
  closing.push(fixture);
  return fixture;
}

const greeting = (text: string) => (peer: Peer) => peer.socket.write(text);
const tcp = (endpoints: readonly string[], identity = "n/server") =>
  servicePort(Object.fromEntries(endpoints.map((key) => [key, identity])), { trafficType: "tcp" });
const plain = (...endpoints: string[]) => mesh("off", { [ENTRY]: tcp(endpoints) });
const guarded = (mode: "on" | "audit", ...endpoints: string[]) =>
  mesh(mode, { [ENTRY]: tcp(endpoints) }, [rule("t", "n/server", ["n/friend"], { tcp: {} })], CALLERS);

test.each([FOE, STRANGER])(
  "a caller that no rule allows gets a reset, and the endpoint hears nothing: %s",
  async (address) => {
    const farEnd = await listen(greeting("welcome"));
    const fixture = await open(guarded("on", farEnd.key));
    const denied = fixture.caller(address);
    await denied.untilClosed();
    expect([denied.error, denied.received]).toEqual(["ECONNRESET", ""]);
    await fixture.caller(FRIEND).untilReceived("welcome");
    expect(farEnd.peers).toHaveLength(1);
    expect(fixture.ended).toMatchObject([{ failure: "AccessDenied", caller: { address }, endpoint: undefined }]);
    expect(fixture.engine.counters).toMatchObject({ accepted: 2, opened: 1 });
    expect([...fixture.engine.counters.failures]).toEqual([["AccessDenied", 1]]);
  },
);

test("audit lets through what would be denied, and says so", async () => {
  const farEnd = await listen(greeting("welcome"));
  const fixture = await open(guarded("audit", farEnd.key));
  for (const [address, wouldDeny] of [
    [FOE, true],
    [FRIEND, false],
  ] as const) {
    const caller = fixture.caller(address);
    await caller.untilReceived("welcome");
    expect(fixture.opened.at(-1)).toMatchObject({ wouldDeny, caller: { address } });
  }
});

test("a permission that is withdrawn ends no flow, and lets no new one in", async () => {
  const farEnd = await listen((peer) => peer.socket.on("data", (bytes) => peer.socket.write(bytes)));
  const fixture = await open(guarded("on", farEnd.key));
  const caller = fixture.caller(FRIEND);
  await fixture.untilOpened(1);
  fixture.table.apply({ ...guarded("on", farEnd.key), accessRules: {} });
  caller.socket.write("still here");
  await caller.untilReceived("still here");
  const late = fixture.caller(FRIEND);
  await late.untilClosed();
  expect(late.error).toBe("ECONNRESET");
});

test("a service port without endpoints resets", async () => {
  const fixture = await open(plain());
  const caller = fixture.caller();
  await caller.untilClosed();
  expect(caller.error).toBe("ECONNRESET");
  expect(fixture.ended).toMatchObject([{ failure: "NoEndpoint", endpoint: undefined }]);
});

test("an endpoint that refuses hands over to the next, and counts nothing as outstanding", async () => {
  const farEnd = await listen(greeting("welcome"));
  const fixture = await open(plain(await closedPort(), farEnd.key, await closedPort()));
  for (let flow = 1; flow <= 6; flow++) {
    const caller = fixture.caller();
    await caller.untilReceived("welcome");
    expect(fixture.opened.at(-1)?.endpoint?.key).toBe(farEnd.key);
    expect(fixture.outstanding(ENTRY).toSorted()).toEqual([0, 0, flow]);
  }
  await fixture.close();
  expect(fixture.outstanding(ENTRY)).toEqual([0, 0, 0]);
});

test("when every endpoint refuses, each was tried once and the caller gets a reset", async () => {
  const fixture = await open(plain(await closedPort(), await closedPort(), await closedPort()));
  const caller = fixture.caller();
  await caller.untilClosed();
  expect(caller.error).toBe("ECONNRESET");
  expect(fixture.ended).toMatchObject([{ failure: "ConnectRefused", endpoint: undefined }]);
  const picks = fixture.table.servicePort(ENTRY)?.endpoints.map(({ lastPick }) => lastPick > 0);
  expect(picks).toEqual([true, true, true]);
  expect(fixture.outstanding(ENTRY)).toEqual([0, 0, 0]);
});

test("an endpoint that does not answer in a third of the time hands over to the next", async () => {
  const clock = new ManualClock();
  const farEnds = [await listen(greeting("welcome")), await listen(greeting("welcome"))];
  const dialled: string[] = [];
  const fixture = await open(plain(...farEnds.map(({ key }) => key)), {
    clock,
    limits: { connectTimeoutMs: 9_000 },
    // In the step of accepting, so no connection can stand yet.
    onAccept: () => {
      const busy = () => fixture.table.servicePort(ENTRY)?.endpoints.find(({ outstanding }) => outstanding > 0)?.key;
      dialled.push(busy() ?? "");
      clock.advance(2_999);
      dialled.push(busy() ?? "");
      clock.advance(1);
      dialled.push(busy() ?? "");
    },
  });
  await fixture.caller().untilReceived("welcome");
  const [first, still, second] = dialled;
  expect(still).toBe(first);
  expect(second).not.toBe(first);
  expect(fixture.opened[0]?.endpoint?.key).toBe(second);
});

test("when no endpoint answers in time, the caller gets a reset after that time in all", async () => {
  const clock = new ManualClock();
  const farEnds = [await listen(), await listen()];
  const fixture = await open(plain(...farEnds.map(({ key }) => key)), {
    clock,
    limits: { connectTimeoutMs: 9_000 },
    onAccept: () => {
      clock.advance(8_999);
      expect(fixture.engine.activeFlows).toBe(1);
      clock.advance(1);
      expect(fixture.engine.activeFlows).toBe(0);
    },
  });
  const caller = fixture.caller();
  await caller.untilClosed();
  expect(caller.error).toBe("ECONNRESET");
  expect(fixture.ended).toMatchObject([{ failure: "ConnectTimeout", durationMs: 9_000 }]);
});

test("an endpoint whose turn would come when the time is over is not dialled any more", async () => {
  const clock = new ManualClock();
  const farEnds = await Promise.all([listen(), listen(), listen(), listen()]);
  let dials = 0;
  const fixture = await open(plain(...farEnds.map(({ key }) => key)), {
    clock,
    limits: { connectTimeoutMs: 9_000 },
    dialFrom: () => {
      dials++;
      return undefined;
    },
    onAccept: () => clock.advance(20_000),
  });
  fixture.caller();
  expect(await fixture.record()).toMatchObject({ failure: "ConnectTimeout", durationMs: 9_000 });
  expect(dials).toBe(3);
});

test("a caller that resets while its endpoint is dialled ends the dialling", async () => {
  const farEnd = await listen();
  const fixture = await open(plain(farEnd.key), {
    // What a reset comes to in the engine's socket, before the connection to the endpoint can stand.
    onAccept: (socket) => socket.destroy(new Error("read ECONNRESET")),
  });
  fixture.caller();
  expect(await fixture.record()).toMatchObject({ failure: "ClientGone", bytesUp: 0 });
  const server = await farEnd.peer(0);
  await server.until(() => server.ended);
  expect(fixture.opened).toEqual([]);
  expect(fixture.outstanding(ENTRY)).toEqual([0]);
});

test("a split is exact over connections, and a weight of 0 gets none", async () => {
  const farEnds = await Promise.all(["v1", "v2", "v3"].map((name) => listen(greeting(name))));
  const [v1, v2, v3] = farEnds.map(({ key }) => tcp([key]));
  const backends = [
    { servicePort: "n/v1:80", weight: 80 },
    { servicePort: "n/v2:80", weight: 20 },
    { servicePort: "n/v3:80", weight: 0 },
  ];
  const root = { ...tcp([]), routes: [route("split", backends)] };
  const config = mesh("off", {
    [ENTRY]: root,
    "n/v1:80": v1,
    "n/v2:80": v2,
    "n/v3:80": v3,
  } as MeshConfig["servicePorts"]);
  const fixture = await open(config);
  const seen: Record<string, number> = {};
  for (let call = 0; call < 100; call++) {
    const caller = fixture.caller();
    await caller.until(() => caller.receivedBytes === 2);
    seen[caller.received] = (seen[caller.received] ?? 0) + 1;
    caller.reset();
  }
  expect(seen).toEqual({ v1: 80, v2: 20 });
  expect(fixture.opened[0]?.path.map(({ key }) => key)).toEqual([ENTRY, expect.stringMatching(/^n\/v[12]:80$/)]);
});

test("of several endpoints, the ones with the fewest flows get the next", async () => {
  const farEnds = await Promise.all([listen(greeting("hi")), listen(greeting("hi"))]);
  const fixture = await open(plain(...farEnds.map(({ key }) => key)));
  for (let flow = 0; flow < 10; flow++) await fixture.caller().untilReceived("hi");
  expect(fixture.outstanding(ENTRY)).toEqual([5, 5]);
});

test("a flow goes on when its endpoint and its service port leave the configuration", async () => {
  const farEnd = await listen((peer) => peer.socket.on("data", (bytes) => peer.socket.write(bytes)));
  const fixture = await open(plain(farEnd.key));
  const caller = fixture.caller();
  await fixture.untilOpened(1);
  const state = fixture.table.servicePort(ENTRY)?.endpoints[0];
  fixture.table.apply(mesh("off", {}));
  expect(state).toMatchObject({ removed: true, outstanding: 1 });
  caller.socket.write("still here");
  await caller.untilReceived("still here");
  caller.reset();
  await fixture.record();
  expect(state?.outstanding).toBe(0);
});

test("a flow whose service port goes while it is dialled does not crash, and tries nothing that is gone", async () => {
  const [first, second] = [await closedPort(), await closedPort()];
  const fixture = await open(plain(first, second), { onAccept: () => fixture.table.apply(mesh("off", {})) });
  const caller = fixture.caller();
  await caller.untilClosed();
  expect(caller.error).toBe("ECONNRESET");
  expect(fixture.ended).toMatchObject([{ failure: "NoEndpoint" }]);
});

test("a second try obeys the configuration of its time, not that of the first", async () => {
  const farEnd = await listen();
  const closed = await closedPort();
  const fixture = await open(guarded("on", closed), {
    onAccept: () => fixture.table.apply({ ...guarded("on", closed, farEnd.key), accessRules: {} }),
  });
  const caller = fixture.caller(FRIEND);
  await caller.untilClosed();
  expect(fixture.ended).toMatchObject([{ failure: "AccessDenied" }]);
  expect(farEnd.peers).toEqual([]);
});

test("endpoints that come while a flow is dialled are tried too", async () => {
  const farEnd = await listen(greeting("welcome"));
  const closed = await closedPort();
  const fixture = await open(plain(closed), { onAccept: () => fixture.table.apply(plain(closed, farEnd.key)) });
  await fixture.caller().untilReceived("welcome");
});

test("beyond the limit of flows callers get a reset, until one of them ends", async () => {
  const farEnd = await listen(greeting("welcome"));
  const fixture = await open(plain(farEnd.key), { limits: { maxFlows: 2 } });
  const [first] = [fixture.caller(), fixture.caller()];
  await fixture.untilOpened(2);
  const third = fixture.caller();
  await third.untilClosed();
  expect(third.error).toBe("ECONNRESET");
  expect(fixture.ended).toMatchObject([{ failure: "TooManyConnections", endpoint: undefined }]);
  expect(fixture.engine.activeFlows).toBe(2);
  first?.reset();
  await fixture.record(1);
  await fixture.caller().untilReceived("welcome");
});

test("flows that come and go by the hundred leave no count behind", async () => {
  const farEnd = await listen((peer) => peer.socket.end("bye"));
  const fixture = await open(plain(farEnd.key, await closedPort()));
  for (let round = 0; round < 5; round++) {
    const callers = Array.from({ length: 40 }, (_, index) => {
      const caller = fixture.caller();
      if (index % 2 === 0) caller.socket.end("hello");
      else caller.socket.once("data", () => caller.reset());
      return caller;
    });
    await Promise.all(callers.map((caller) => caller.untilClosed()));
  }
  await fixture.record(199);
  expect(fixture.ended).toHaveLength(200);
  expect(fixture.engine.activeFlows).toBe(0);
  expect(fixture.outstanding(ENTRY)).toEqual([0, 0]);
  expect(fixture.engine.counters).toMatchObject({ accepted: 200, opened: 200 });
});
