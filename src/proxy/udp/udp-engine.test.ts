import { afterEach, describe, expect, test } from "vitest";
import type { MeshConfig, ServicePort } from "../../config/mesh-config.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { mesh, route, rule, servicePort } from "../router/testkit/mesh-configs.ts";
import { closedPort, echo, UdpFixture, type UdpFixtureOptions, UdpPeer, until } from "./testkit/udp-fixture.ts";

const ENTRY = "n/s:53";
const V1 = "n/v1:53";
const V2 = "n/v2:53";
const FRIEND = "127.1.0.1";
const FOE = "127.1.0.2";
const CALLERS = { [FRIEND]: "n/friend", [FOE]: "n/foe" };

const closing: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
});

function closed<T extends { close(): unknown }>(each: T): T {
  closing.push(each);
  return each;
}

async function open(config: MeshConfig, rest: Partial<UdpFixtureOptions> = {}) {
  const fixture = closed(new UdpFixture({ config, ...rest }));
  return { fixture, entrypoint: await fixture.listen(ENTRY) };
}

const caller = async (address = FRIEND) => closed(await UdpPeer.bind(address));
const server = async (name: string, address?: string) => closed(await echo(name, address));

const udp = (endpoints: readonly string[], rest: Partial<ServicePort> = {}) =>
  servicePort(Object.fromEntries(endpoints.map((key) => [key, "n/server"])), { trafficType: "udp", ...rest });
const plain = (...endpoints: string[]) => mesh("off", { [ENTRY]: udp(endpoints) });
const RULE = rule("t", "n/server", ["n/friend"], { udp: {} });
const guarded = (mode: "on" | "audit", ...endpoints: string[]) =>
  mesh(mode, { [ENTRY]: udp(endpoints) }, [RULE], CALLERS);
const split = (v1: string, v2: string, weights: readonly [number, number]) => {
  const backends = [
    { servicePort: V1, weight: weights[0] },
    { servicePort: V2, weight: weights[1] },
  ];
  return mesh("off", { [ENTRY]: udp([], { routes: [route("split", backends)] }), [V1]: udp([v1]), [V2]: udp([v2]) });
};

describe("datagrams", () => {
  test("come back from the address that was called, for each of the services that one socket calls", async () => {
    const [one, two] = [await server("one"), await server("two")];
    const config = mesh("off", { [ENTRY]: udp([one.key]), [V1]: udp([two.key]) });
    const { fixture, entrypoint } = await open(config);
    const other = await fixture.listen(V1, "127.3.0.2");
    const client = await caller();
    client.send("a", entrypoint.key);
    client.send("b", other.key);
    await until(() => client.received.length === 2);
    const answers = Object.fromEntries(client.senders.map((sender, index) => [sender, client.received[index]]));
    expect(answers).toEqual({ [entrypoint.key]: "one a", [other.key]: "two b" });
    expect(fixture.opened.map(({ caller: { address } }) => address)).toEqual([FRIEND, FRIEND]);
  });

  test("of one caller are one flow and keep their order and bounds; another port is another caller", async () => {
    const far = await server("far");
    const { fixture, entrypoint } = await open(plain(far.key));
    const [one, two] = [await caller(), await caller()];
    const sent = Array.from({ length: 16 }, (_, index) => "x".repeat(index));
    // The first are sent before the flow's socket is connected.
    for (const text of sent) one.send(text, entrypoint.key);
    await until(() => one.received.length === 16);
    expect(far.received).toEqual(sent);
    expect(new Set(far.senders).size).toBe(1);
    two.send("two", entrypoint.key);
    await two.untilReceived("far two");
    expect(new Set(far.senders).size).toBe(2);
    expect(one.received).toHaveLength(16);
    expect(fixture.engine.activeFlows).toBe(2);
    expect(fixture.outstanding(ENTRY)).toEqual([2]);
    expect(fixture.engine.counters).toMatchObject({ opened: 2, datagramsUp: 17, datagramsDown: 17, dropped: 0 });
  });

  test("may be as large as IPv4 allows", async () => {
    const far = closed(await UdpPeer.bind("127.1.1.1", (text, answer) => answer(text)));
    const { entrypoint } = await open(plain(far.key));
    const client = await caller();
    const large = "0123456789".repeat(6551).slice(0, 65_507);
    client.send(large, entrypoint.key);
    await until(() => client.received.length === 1);
    expect(client.received[0]).toBe(large);
  });

  test("leave for the endpoint from the address that they are told to", async () => {
    const far = await server("far");
    const { entrypoint } = await open(plain(far.key), { dialFrom: ({ address }) => address });
    const client = await caller("127.1.0.7");
    client.send("a", entrypoint.key);
    await client.untilReceived("far a");
    expect(far.senders[0]).toMatch(/^127\.1\.0\.7:/);
  });

  test("of others than the endpoint do not reach the caller through the flow's socket", async () => {
    const far = await server("far");
    const { entrypoint } = await open(plain(far.key));
    const client = await caller();
    client.send("a", entrypoint.key);
    await client.untilReceived("far a");
    const stranger = await caller("127.1.0.9");
    stranger.send("spoofed", far.senders[0] as string);
    client.send("b", entrypoint.key);
    await client.untilReceived("far b");
    expect(client.received).toEqual(["far a", "far b"]);
  });
});

describe("access control", () => {
  test("answers a denied caller with silence, and tells of a flood once", async () => {
    const far = await server("far");
    const { fixture, entrypoint } = await open(guarded("on", far.key));
    const [foe, friend] = [await caller(FOE), await caller(FRIEND)];
    for (let sent = 0; sent < 50; sent++) foe.send("let me in", entrypoint.key);
    await fixture.untilDropped(50);
    friend.send("hello", entrypoint.key);
    await friend.untilReceived("far hello");
    expect(far.received).toEqual(["hello"]);
    expect(foe.received).toEqual([]);
    expect(fixture.ended).toMatchObject([{ failure: "AccessDenied", caller: { address: FOE }, endpoint: undefined }]);
    expect([...fixture.engine.counters.failures]).toEqual([["AccessDenied", 1]]);
  });

  test("tells again of a caller that is denied again later", async () => {
    const clock = new ManualClock();
    const { fixture, entrypoint } = await open(guarded("on", "127.1.1.1:9"), { clock });
    const foe = await caller(FOE);
    for (let time = 1; time <= 2; time++) {
      foe.send("let me in", entrypoint.key);
      await fixture.untilDropped(time);
      expect(fixture.ended).toHaveLength(time);
      clock.advance(4_000);
    }
  });

  test("denies a caller without identity", async () => {
    const { fixture, entrypoint } = await open(guarded("on", "127.1.1.1:9"));
    (await caller("127.1.0.9")).send("let me in", entrypoint.key);
    await fixture.untilDropped(1);
    expect(fixture.ended).toMatchObject([{ failure: "AccessDenied", caller: { identity: undefined } }]);
  });

  test("lets a caller in at its first datagram after it was allowed", async () => {
    const far = await server("far");
    const { fixture, entrypoint } = await open({ ...guarded("on", far.key), accessRules: {} });
    const friend = await caller(FRIEND);
    friend.send("too early", entrypoint.key);
    await fixture.untilDropped(1);
    fixture.table.apply(guarded("on", far.key));
    friend.send("now", entrypoint.key);
    await friend.untilReceived("far now");
    expect(far.received).toEqual(["now"]);
  });

  test("cuts a flow off at its first datagram after the permission was withdrawn", async () => {
    const far = await server("far");
    const { fixture, entrypoint } = await open(guarded("on", far.key));
    const friend = await caller(FRIEND);
    friend.send("hello", entrypoint.key);
    await friend.untilReceived("far hello");
    fixture.table.apply({ ...guarded("on", far.key), accessRules: {} });
    friend.send("again", entrypoint.key);
    await fixture.untilDropped(1);
    expect(fixture.ended).toMatchObject([{ failure: "", bytesUp: 5 }, { failure: "AccessDenied" }]);
    expect(fixture.outstanding(ENTRY)).toEqual([0]);
    fixture.table.apply(guarded("on", far.key));
    friend.send("back", entrypoint.key);
    await friend.untilReceived("far back");
    expect(far.received).toEqual(["hello", "back"]);
  });

  test("moves a flow away from an endpoint that its caller may no longer reach", async () => {
    const [a, b] = [await server("a"), await server("b")];
    const port = servicePort({ [a.key]: "n/server", [b.key]: "n/other" }, { trafficType: "udp" });
    const both = [RULE, rule("u", "n/other", ["n/friend"], { udp: {} })];
    const { fixture, entrypoint } = await open(mesh("on", { [ENTRY]: port }, both, CALLERS));
    const friends = [await caller(FRIEND), await caller(FRIEND)];
    for (const friend of friends) {
      friend.send("1", entrypoint.key);
      await until(() => friend.received.length === 1);
    }
    expect([a.received, b.received]).toEqual([["1"], ["1"]]);
    fixture.table.apply(mesh("on", { [ENTRY]: port }, [RULE], CALLERS));
    for (const friend of friends) {
      friend.send("2", entrypoint.key);
      await friend.untilReceived("a 2");
    }
    expect(b.received).toEqual(["1"]);
  });

  test("cuts a flow off that may no longer reach one of its split's backends, though not its own", async () => {
    const [one, two] = [await server("one"), await server("two")];
    const { servicePorts } = split(one.key, two.key, [99, 1]);
    const other = servicePort({ [two.key]: "n/other" }, { trafficType: "udp" });
    const both = [RULE, rule("u", "n/other", ["n/friend"], { udp: {} })];
    const config = mesh("on", { ...servicePorts, [V2]: other }, both, CALLERS);
    const { fixture, entrypoint } = await open(config);
    const friend = await caller(FRIEND);
    friend.send("1", entrypoint.key);
    await friend.untilReceived("one 1");
    fixture.table.apply(mesh("on", { ...servicePorts, [V2]: other }, [RULE], CALLERS));
    friend.send("2", entrypoint.key);
    await fixture.untilDropped(1);
    expect(one.received).toEqual(["1"]);
  });

  test("in audit mode lets through what it would deny, and says so", async () => {
    const far = await server("far");
    const { fixture, entrypoint } = await open(guarded("audit", far.key));
    const foe = await caller(FOE);
    foe.send("hello", entrypoint.key);
    await foe.untilReceived("far hello");
    expect(fixture.opened).toMatchObject([{ wouldDeny: true, failure: "" }]);
  });
});

describe("a configuration", () => {
  test("that does not touch a flow leaves it where it is, also where a split has other turns", async () => {
    const [one, two] = [await server("one"), await server("two")];
    const { fixture, entrypoint } = await open(split(one.key, two.key, [50, 50]));
    const clients = [await caller(), await caller(), await caller()];
    for (const client of clients) {
      client.send("0", entrypoint.key);
      await until(() => client.received.length === 1);
    }
    const names = clients.map(({ received }) => received[0]?.slice(0, 3));
    expect(new Set(names).size).toBe(2);
    for (let change = 1; change <= 5; change++) {
      fixture.table.apply(split(one.key, two.key, [50, 50]));
      for (const [index, client] of clients.entries()) {
        client.send(`${change}`, entrypoint.key);
        await client.untilReceived(`${names[index]} ${change}`);
      }
    }
    expect(fixture.opened).toHaveLength(3);
    expect(fixture.ended).toEqual([]);
  });

  test("that takes a split's backend its weight moves the flows of that backend", async () => {
    const [one, two] = [await server("one"), await server("two")];
    const { fixture, entrypoint } = await open(split(one.key, two.key, [100, 0]));
    const client = await caller();
    client.send("1", entrypoint.key);
    await client.untilReceived("one 1");
    fixture.table.apply(split(one.key, two.key, [0, 100]));
    client.send("2", entrypoint.key);
    await client.untilReceived("two 2");
    expect(fixture.ended).toMatchObject([{ failure: "", endpoint: { key: one.key } }]);
  });

  test("that gives the service a split moves its flows to the backends", async () => {
    const [one, two] = [await server("one"), await server("two")];
    const { fixture, entrypoint } = await open(plain(one.key));
    const client = await caller();
    client.send("1", entrypoint.key);
    await client.untilReceived("one 1");
    fixture.table.apply(split(one.key, two.key, [0, 100]));
    client.send("2", entrypoint.key);
    await client.untilReceived("two 2");
  });

  test("that takes an endpoint away moves its flows to another", async () => {
    const [one, two] = [await server("one"), await server("two")];
    const { fixture, entrypoint } = await open(plain(one.key));
    const client = await caller();
    client.send("1", entrypoint.key);
    await client.untilReceived("one 1");
    fixture.table.apply(plain(two.key));
    client.send("2", entrypoint.key);
    await client.untilReceived("two 2");
    expect(fixture.outstanding(ENTRY)).toEqual([1]);
  });

  test("that gives the entrypoint another service port moves its flows there", async () => {
    const [one, two] = [await server("one"), await server("two")];
    const { fixture } = await open(mesh("off", { [V1]: udp([one.key]), [V2]: udp([two.key]) }));
    let meant = V1;
    const { port } = await fixture.engine.listen("127.3.0.2", 0, () => fixture.table.servicePort(meant));
    const client = await caller();
    client.send("1", `127.3.0.2:${port}`);
    await client.untilReceived("one 1");
    meant = V2;
    client.send("2", `127.3.0.2:${port}`);
    await client.untilReceived("two 2");
    expect(fixture.engine.activeFlows).toBe(1);
  });

  test("without the service port, or with another traffic type, ends its flows in silence", async () => {
    const far = await server("far");
    for (const gone of [mesh("off", {}), mesh("off", { [ENTRY]: udp([far.key], { trafficType: "tcp" }) })]) {
      const { fixture, entrypoint } = await open(plain(far.key));
      const client = await caller();
      client.send("1", entrypoint.key);
      await client.untilReceived("far 1");
      fixture.table.apply(gone);
      client.send("2", entrypoint.key);
      await fixture.untilDropped(1);
      expect(fixture.engine.activeFlows).toBe(0);
    }
    expect(far.received).toEqual(["1", "1"]);
  });
});

describe("endpoints", () => {
  test("none: silence until there is one", async () => {
    const far = await server("far");
    const { fixture, entrypoint } = await open(plain());
    const client = await caller();
    client.send("1", entrypoint.key);
    client.send("2", entrypoint.key);
    await fixture.untilDropped(2);
    expect(fixture.ended).toMatchObject([{ failure: "NoEndpoint" }]);
    fixture.table.apply(plain(far.key));
    client.send("3", entrypoint.key);
    await client.untilReceived("far 3");
    expect(client.received).toEqual(["far 3"]);
  });

  test("that refuse end the flow, and the next datagram goes to another, however busy that is", async () => {
    const far = await server("far");
    const { fixture, entrypoint } = await open(plain(far.key, await closedPort()));
    // Busier than the one that refuses will ever be.
    for (const endpoint of fixture.table.servicePort(ENTRY)?.endpoints ?? [])
      if (endpoint.key === far.key) endpoint.outstanding += 100;
    const client = await caller();
    client.send("1", entrypoint.key);
    await until(() => fixture.ended.length === 1);
    expect(fixture.ended).toMatchObject([{ failure: "ConnectRefused", bytesUp: 1 }]);
    client.send("2", entrypoint.key);
    await client.untilReceived("far 2");
    expect(fixture.outstanding(ENTRY).toSorted((a, b) => a - b)).toEqual([0, 101]);
  });

  test("that all refuse are tried again", async () => {
    const { fixture, entrypoint } = await open(plain(await closedPort(), await closedPort()));
    const client = await caller();
    for (let sent = 1; sent <= 4; sent++) {
      client.send("hello", entrypoint.key);
      await until(() => fixture.ended.length === sent);
    }
    expect(new Set(fixture.ended.map(({ endpoint }) => endpoint?.key)).size).toBe(2);
    expect(fixture.outstanding(ENTRY)).toEqual([0, 0]);
  });

  test("that cannot be dialled at all do not end more than the flow", async () => {
    const { fixture, entrypoint } = await open(plain("255.255.255.255:9"));
    const client = await caller();
    client.send("hello", entrypoint.key);
    await until(() => fixture.ended.length === 1);
    // The second where this machine has no route at all.
    expect(["ConnectRefused", "ConnectTimeout"]).toContain(fixture.ended[0]?.failure);
    expect(fixture.outstanding(ENTRY)).toEqual([0]);
  });

  test("of a split get their exact shares of the flows", async () => {
    const [one, two] = [await server("one"), await server("two")];
    const { entrypoint } = await open(split(one.key, two.key, [80, 20]));
    for (let flow = 0; flow < 50; flow++) {
      const client = await caller();
      client.send("hello", entrypoint.key);
      await until(() => client.received.length === 1);
    }
    expect([one.received.length, two.received.length]).toEqual([40, 10]);
  });
});

describe("flows", () => {
  test("end 3 s after their last datagram, at most a tick later, and answers count", async () => {
    const clock = new ManualClock();
    const far = await server("far");
    const { fixture, entrypoint } = await open(plain(far.key), { clock });
    const client = await caller();
    client.send("1", entrypoint.key);
    await client.untilReceived("far 1");
    for (let answer = 2; answer <= 4; answer++) {
      clock.advance(2_900);
      far.send(`news ${answer}`, far.senders[0] as string);
      await client.untilReceived(`news ${answer}`);
    }
    clock.advance(2_900);
    expect(fixture.engine.activeFlows).toBe(1);
    clock.advance(1_000);
    expect(fixture.engine.activeFlows).toBe(0);
    expect(fixture.ended).toMatchObject([{ failure: "", bytesUp: 1, bytesDown: 23 }]);
    expect(fixture.outstanding(ENTRY)).toEqual([0]);
    client.send("5", entrypoint.key);
    await client.untilReceived("far 5");
    expect(far.senders.at(-1)).not.toBe(far.senders[0]);
  });

  test("beyond the limit end the one whose caller was silent longest", async () => {
    const far = await server("far");
    const { fixture, entrypoint } = await open(plain(far.key), { limits: { maxFlows: 2 } });
    const [one, two, three] = [await caller("127.1.0.11"), await caller("127.1.0.12"), await caller("127.1.0.13")];
    for (const [client, text] of [
      [one, "1"],
      [two, "2"],
      [one, "3"],
      [three, "4"],
    ] as const) {
      client.send(text, entrypoint.key);
      await client.untilReceived(`far ${text}`);
    }
    expect(fixture.engine.activeFlows).toBe(2);
    expect(fixture.ended).toMatchObject([{ failure: "TooManyConnections", caller: { address: "127.1.0.12" } }]);
    expect(fixture.outstanding(ENTRY)).toEqual([2]);
  });

  test("end with their entrypoint, whose port is free then; those of others go on", async () => {
    const far = await server("far");
    const { fixture, entrypoint } = await open(plain(far.key));
    const other = await fixture.listen(ENTRY, "127.3.0.2");
    const client = await caller();
    for (const { key } of [entrypoint, other]) {
      client.send(key, key);
      await client.untilReceived(`far ${key}`);
    }
    await entrypoint.close();
    expect(fixture.engine.activeFlows).toBe(1);
    const again = closed(await fixture.engine.listen("127.3.0.1", entrypoint.port, () => undefined));
    expect(again.port).toBe(entrypoint.port);
    client.send("still here", other.key);
    await client.untilReceived("far still here");
    await fixture.close();
    expect(fixture.engine.activeFlows).toBe(0);
  });
});

test("an address that is taken is told as bind tells it", async () => {
  const { fixture, entrypoint } = await open(plain());
  await expect(fixture.engine.listen("127.3.0.1", entrypoint.port, () => undefined)).rejects.toThrow("EADDRINUSE");
});

describe("draining", () => {
  test("lets flows go on until they fall silent, and opens no others", async () => {
    const clock = new ManualClock();
    const far = await server("far");
    const { fixture, entrypoint } = await open(plain(far.key), { clock });
    const [known, stranger] = [await caller(), await caller()];
    known.send("1", entrypoint.key);
    await known.untilReceived("far 1");
    const over = fixture.close(30_000);
    stranger.send("2", entrypoint.key);
    await fixture.untilDropped(1);
    known.send("3", entrypoint.key);
    await known.untilReceived("far 3");
    clock.advance(4_000);
    await over;
    expect(fixture.ended).toMatchObject([{ failure: "", bytesUp: 2 }]);
    expect(stranger.received).toEqual([]);
  });

  test("gets an answer that was under way to its caller", async () => {
    const clock = new ManualClock();
    let answerLate = () => {};
    const far = closed(
      await UdpPeer.bind("127.1.1.1", (_, answer) => {
        answerLate = () => answer("late");
      }),
    );
    const { fixture, entrypoint } = await open(plain(far.key), { clock });
    const client = await caller();
    client.send("1", entrypoint.key);
    await far.untilReceived("1");
    const over = fixture.close(10_000);
    answerLate();
    await client.untilReceived("late");
    clock.advance(4_000);
    await over;
  });

  test("ends what is not silent when its time is over", async () => {
    const clock = new ManualClock();
    const far = await server("far");
    const { fixture, entrypoint } = await open(plain(far.key), { clock });
    const client = await caller();
    client.send("1", entrypoint.key);
    await client.untilReceived("far 1");
    const over = fixture.close(2_000);
    await until(() => clock.pending > 1);
    clock.advance(2_000);
    await over;
    expect(fixture.engine.activeFlows).toBe(0);
  });
});
