/** What a caller of HTTP/2 may not do, and what it may make the proxy do. RFC 9113; h2spec asks for more of it. */
import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../../model/testkit/manual-clock.ts";
import {
  frame,
  framesOf,
  get,
  goawayCodes,
  HELLO,
  headers,
  resetCode,
  settings,
  uint32,
} from "../../http2/testkit/raw-frames.ts";
import type { ServicePortState } from "../../router/types.ts";
import { type FarEnd, type FixtureOptions, HttpFixture, type RawCaller } from "../testkit/http-fixture.ts";
import { answering, closing, farEnd } from "../testkit/plain-peers.ts";

const ENHANCE_YOUR_CALM = 11;
const REQUEST = [":method", "POST", ":scheme", "http", ":authority", "svc.ns", ":path", "/"] as const;

async function endpoint(answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"): Promise<FarEnd> {
  return answering(answer);
}

async function proxy(options: FixtureOptions): Promise<{ fixture: HttpFixture; caller: RawCaller }> {
  const fixture = closing(await HttpFixture.open(options));
  return { fixture, caller: await fixture.caller() };
}

const isAnswered = (caller: RawCaller, id: number) =>
  framesOf(caller.received).some((each) => each.id === id && (each.flags & 1) === 1 && each.type < 2);

describe("a request is reset and reaches no endpoint", () => {
  test.each<[string, readonly string[]]>([
    ["with an upper-case name", [...REQUEST, "X-Upper", "1"]],
    ["with Connection", [...REQUEST, "connection", "close"]],
    ["with Transfer-Encoding", [...REQUEST, "transfer-encoding", "chunked"]],
    ["with Upgrade", [...REQUEST, "upgrade", "websocket"]],
    ["with another TE than trailers", [...REQUEST, "te", "gzip"]],
    ["with a line feed in a value", [...REQUEST, "x-a", "b\nc"]],
    ["with a carriage return in a value", [...REQUEST, "x-a", "b\r"]],
    ["with a NUL in a value", [...REQUEST, "x-a", "\0"]],
    ["with a value that begins with a space", [...REQUEST, "x-a", " b"]],
    ["with a value that ends with a tab", [...REQUEST, "x-a", "b\t"]],
    ["with a name that is no token", [...REQUEST, "x a", "b"]],
    ["with a colon in a name", [...REQUEST, "x:a", "b"]],
    ["with an empty name", [...REQUEST, "", "b"]],
    ["with a pseudo field after others", [...REQUEST.slice(0, 6), "x-a", "b", ":path", "/"]],
    ["with an unknown pseudo field", [...REQUEST, ":protocol", "websocket"]],
    ["with a response's pseudo field", [...REQUEST, ":status", "200"]],
    ["with a pseudo field twice", [...REQUEST, ":path", "/"]],
    ["without a method", REQUEST.slice(2)],
    ["without a scheme", [...REQUEST.slice(0, 2), ...REQUEST.slice(4)]],
    ["without a path", REQUEST.slice(0, 6)],
    ["with an empty path", [...REQUEST.slice(0, 6), ":path", ""]],
    ["with a space in its path", [...REQUEST.slice(0, 6), ":path", "/a HTTP/1.1"]],
    ["with a fragment in its path", [...REQUEST.slice(0, 6), ":path", "/a#b"]],
    ["with a path that is a URL", [...REQUEST.slice(0, 6), ":path", "http://a/"]],
    ["with * for POST", [...REQUEST.slice(0, 6), ":path", "*"]],
    ["with a method that is no token", [":method", "GET /x", ...REQUEST.slice(2)]],
    ["with a user in its authority", [...REQUEST.slice(0, 4), ":authority", "a@b", ":path", "/"]],
    ["with two ports in its authority", [...REQUEST.slice(0, 4), ":authority", "a:80:81", ":path", "/"]],
    ["with a Host that is not its authority", [...REQUEST, "host", "other.ns"]],
    ["with two Hosts", [...REQUEST.slice(0, 4), ":path", "/", "host", "a", "host", "a"]],
    ["with CONNECT", [":method", "CONNECT", ":authority", "a:80"]],
    ["with two lengths", [...REQUEST, "content-length", "2", "content-length", "2"]],
    ["with a signed length", [...REQUEST, "content-length", "+2"]],
    ["with a length and no content", [...REQUEST, "content-length", "2"]],
  ])("%s", async (_name, fields) => {
    const end = await endpoint();
    const { caller } = await proxy({ endpoints: [end.address] });
    caller.send(HELLO + headers(1, 5, ...fields) + get(3));
    await caller.until(() => isAnswered(caller, 3));
    expect(resetCode(caller.received, 1)).toBe(1);
    expect(end.received).toMatch(/^GET \/ /);
  });
});

describe("content that is not what was announced breaks the endpoint's request", () => {
  test.each([
    ["too short", frame(0, 1, 1)],
    ["too long", frame(0, 0, 1, "def")],
    ["too long at its end", frame(0, 1, 1, "def")],
    ["ended by pseudo fields", headers(1, 5, ":path", "/")],
    ["ended by a forbidden trailer", headers(1, 5, "content-length", "5")],
    ["followed by fields that do not end it", headers(1, 4, "x-a", "b")],
  ])("%s", async (_name, rest) => {
    const end = await farEnd();
    const { fixture, caller } = await proxy({ endpoints: [end.address] });
    caller.send(HELLO + headers(1, 4, ...REQUEST, "content-length", "5") + frame(0, 0, 1, "abc"));
    await end.until(() => end.received.endsWith("abc"));
    caller.send(rest);
    await end.until(() => end.connections[0]?.reset === true);
    await caller.until(() => resetCode(caller.received, 1) === 1);
    expect(fixture.records).toMatchObject([{ failure: "BadRequest", status: 0 }]);
  });
});

test("a stream that its caller resets breaks the endpoint's request, and no other stream", async () => {
  const end = await farEnd();
  const { fixture, caller } = await proxy({ endpoints: [end.address] });
  caller.send(HELLO + headers(1, 4, ...REQUEST) + frame(0, 0, 1, "part"));
  await end.until(() => end.received.includes("part"));
  caller.send(get(3) + frame(3, 0, 1, uint32(8)));
  await end.until(() => end.connections[0]?.reset === true && end.connections.length === 2);
  end.connections[1]?.socket.write("HTTP/1.1 204 No Content\r\n\r\n");
  await caller.until(() => isAnswered(caller, 3));
  expect(fixture.records).toMatchObject([{ failure: "ClientGone" }, { status: 204 }]);
});

test("the same frames come of the same bytes, one at a time or all at once", async () => {
  const end = await farEnd((socket, received, connection) => {
    const bodies = received.split("abcde").length - 1;
    if (bodies === 1 && received.endsWith("0\r\nx-sum: 9\r\n\r\n") && connection < 3)
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  const { fixture, caller } = await proxy({ endpoints: [end.address] });
  const padded = frame(0, 8, 1, `\x04abcde${"\0".repeat(4)}`);
  const request =
    HELLO +
    frame(1, 0x20, 1, `${uint32(0)}\x10`) +
    frame(9, 4, 1, headers(1, 4, ...REQUEST).slice(9)) +
    padded +
    headers(1, 5, "x-sum", "9") +
    frame(6, 0, 0, "12345678");
  const slow = await fixture.caller();
  caller.send(request);
  await slow.sendByteByByte(request);
  const all = (each: RawCaller) =>
    isAnswered(each, 1) && framesOf(each.received).some(({ payload }) => payload === "12345678");
  await caller.until(() => all(caller));
  await slow.until(() => all(slow));
  const sorted = (each: RawCaller) =>
    framesOf(each.received)
      .map(({ type, flags, id, payload }) => `${type} ${flags} ${id} ${payload}`)
      .sort();
  expect(sorted(slow)).toEqual(sorted(caller));
});

describe("a connection ends with ENHANCE_YOUR_CALM", () => {
  test("for thousands of requests that are taken back at once", async () => {
    const end = await farEnd();
    const { caller } = await proxy({ endpoints: [end.address] });
    caller.send(HELLO);
    for (let id = 1; id < 10_000; id += 2) caller.send(get(id) + frame(3, 0, id, uint32(8)));
    await caller.end();
    expect(goawayCodes(caller.received)).toEqual([ENHANCE_YOUR_CALM]);
  });

  test.each([
    ["for a field block in endless pieces", `${get(1).slice(0, 4)}\x01${get(1).slice(5)}${frame(9, 0, 1).repeat(100)}`],
    ["for a field block that is too long", `${frame(1, 1, 1)}${frame(9, 0, 1, "x".repeat(16_384)).repeat(5)}`],
    ["for thousands of empty frames", headers(1, 4, ...REQUEST) + frame(0, 0, 1).repeat(5_000)],
    ["for thousands of settings", settings(4, 65_535).repeat(5_000)],
    ["for tens of thousands of priorities", frame(2, 0, 1, `${uint32(0)}\x10`).repeat(50_000)],
  ])("%s", async (_name, frames) => {
    const { caller } = await proxy({ endpoints: [] });
    caller.send(HELLO + frames);
    await caller.end();
    expect(goawayCodes(caller.received).at(-1)).toBe(ENHANCE_YOUR_CALM);
  });

  test("for pings whose answers are not read", async () => {
    const { fixture, caller } = await proxy({ endpoints: [] });
    caller.socket.pause();
    caller.send(HELLO);
    const pings = frame(6, 0, 0, "12345678").repeat(4096);
    const before = fixture.engine.refused.get("BadRequest") ?? 0;
    for (let round = 0; round < 2000 && (fixture.engine.refused.get("BadRequest") ?? 0) === before; round++)
      await new Promise<void>((resolve) => caller.socket.write(pings, "latin1", () => resolve()));
    expect(fixture.engine.refused.get("BadRequest")).toBe(before + 1);
  });
});

test("1,500 requests taken back one after the other are what clients do, and are served", async () => {
  const end = await farEnd();
  const { caller } = await proxy({ endpoints: [end.address] });
  caller.send(HELLO);
  for (let id = 1; id < 3000; id += 2) caller.send(get(id) + frame(3, 0, id, uint32(8)));
  caller.send(frame(6, 0, 0, "12345678"));
  await caller.until(() => framesOf(caller.received).some(({ payload }) => payload === "12345678"));
  expect(goawayCodes(caller.received)).toEqual([]);
});

test("a request with too many fields gets 431, and the next one is served", async () => {
  const end = await endpoint();
  const { caller } = await proxy({ endpoints: [end.address] });
  // One field of 4,000 bytes enters the table, and is named 20 times.
  const big = frame(1, 5, 1, `\x40\x01a\x7f\xa1\x1e${"x".repeat(4000)}${"\xbe".repeat(20)}`);
  caller.send(HELLO + big + get(3));
  await caller.until(() => isAnswered(caller, 1) && isAnswered(caller, 3));
  expect(caller.received).toContain("HeadTooLarge");
});

test("the 251st request at once is refused, so that it may be sent again", async () => {
  const end = await farEnd();
  const { caller } = await proxy({ endpoints: [end.address] });
  caller.send(HELLO);
  for (let index = 0; index <= 250; index++) caller.send(get(index * 2 + 1));
  await caller.until(() => resetCode(caller.received, 501) !== undefined);
  expect(resetCode(caller.received, 501)).toBe(7);
  expect(resetCode(caller.received, 499)).toBeUndefined();
});

test("an answer keeps to the window that its caller gives, byte for byte", async () => {
  const end = await endpoint("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde");
  const { caller } = await proxy({ endpoints: [end.address] });
  const data = () => framesOf(caller.received).filter(({ type }) => type === 0);
  caller.send(HELLO + settings(4, 0) + get(1));
  await caller.until(() => framesOf(caller.received).some(({ type, id }) => type === 1 && id === 1));
  expect(data()).toEqual([]);
  caller.send(frame(8, 0, 1, uint32(2)));
  await caller.until(() => data().length === 1);
  caller.send(settings(4, 1));
  await caller.until(() => data().length === 2);
  caller.send(frame(8, 0, 1, uint32(100)));
  await caller.until(() => isAnswered(caller, 1));
  expect(data().map(({ payload }) => payload)).toEqual(["ab", "c", "de"]);
});

test("a caller that stops within a field block is disconnected", async () => {
  const clock = new ManualClock();
  const { caller } = await proxy({ endpoints: [], clock });
  caller.send(HELLO + frame(1, 1, 1, "\x82") + frame(6, 0, 0, "12345678").slice(0, 4));
  await caller.until(() => framesOf(caller.received).some(({ type, flags }) => type === 4 && flags === 1));
  clock.advance(11_000);
  await caller.end();
  expect(goawayCodes(caller.received)).toEqual([1]);
});

test("a caller without requests is told and disconnected after the idle time", async () => {
  const clock = new ManualClock();
  const { caller } = await proxy({ endpoints: [], clock, limits: { idleTimeoutMs: 5_000 } });
  caller.send(HELLO + get(1));
  await caller.until(() => isAnswered(caller, 1));
  clock.advance(7_000);
  await caller.end();
  expect(goawayCodes(caller.received)).toEqual([0]);
});

test.each([
  ["a stream of gRPC may rest within its content", "application/grpc", undefined],
  ["content of another kind may not rest for ever", "text/plain", "BodyTimeout"],
])("%s", async (_name, type, failure) => {
  const clock = new ManualClock();
  const end = await farEnd();
  const { fixture, caller } = await proxy({ endpoints: [end.address], clock });
  caller.send(HELLO + headers(1, 4, ...REQUEST, "content-type", type) + frame(0, 0, 1, "part"));
  await end.until(() => end.received.includes("part"));
  clock.advance(600_000);
  expect(fixture.records.map((record) => record.failure)).toEqual(failure === undefined ? [] : [failure]);
});

test("a draining proxy says so at once, serves what is under way and what was begun before, and then ends", async () => {
  const end = await farEnd((socket, received) => {
    if (received.includes("/late")) socket.write("HTTP/1.1 204 No Content\r\n\r\n");
  });
  const { fixture, caller } = await proxy({ endpoints: [end.address] });
  caller.send(HELLO + get(1, "/early"));
  await end.until(() => end.received.includes("/early"));
  fixture.engine.startDraining();
  await caller.until(() => goawayCodes(caller.received).length === 1);
  const ping = framesOf(caller.received).find(({ type, flags }) => type === 6 && flags === 0);
  caller.send(get(3, "/late") + frame(6, 1, 0, ping?.payload));
  await caller.until(() => isAnswered(caller, 3) && goawayCodes(caller.received).length === 2);
  expect(caller.ended).toBe(false);
  end.connections[0]?.socket.write("HTTP/1.1 204 No Content\r\n\r\n");
  await caller.end();
  expect(isAnswered(caller, 1)).toBe(true);
  expect(new Set(goawayCodes(caller.received))).toEqual(new Set([0]));
  // RFC 9113 §6.8: first all streams that could be, then the last one that was taken.
  const last = framesOf(caller.received)
    .filter(({ type }) => type === 7)
    .map(({ payload }) => payload.slice(0, 4));
  expect(last.slice(0, 2)).toEqual([uint32(2 ** 31 - 1), uint32(3)]);
});

test("a connection to a Service that is gone says so at once, and with the answer where it began just then", async () => {
  const { fixture, caller } = await proxy({ endpoints: [] });
  caller.send(HELLO + get(1));
  await caller.until(() => isAnswered(caller, 1));
  const late = await fixture.caller();
  while (fixture.engine.openConnections < 2) await setImmediate();
  const gone = fixture.table.servicePort("ns/svc:80") as ServicePortState;
  fixture.applyNothing();
  fixture.engine.drainServicePort(gone);
  await caller.until(() => goawayCodes(caller.received).length === 1);
  late.send(HELLO + get(1));
  await late.until(() => isAnswered(late, 1) && goawayCodes(late.received).length === 1);
  expect(new Set([...goawayCodes(caller.received), ...goawayCodes(late.received)])).toEqual(new Set([0]));
});

test("what begins like the preface and is not is HTTP/1.1, or nothing", async () => {
  const { fixture, caller } = await proxy({ endpoints: [] });
  expect(await fixture.exchange("PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n")).toMatch(/^HTTP\/1\.1 505 /);
  expect(await fixture.exchange("PRINT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toMatch(
    /^HTTP\/1\.1 503 /,
  );
  expect(await fixture.exchange("INVALID CONNECTION PREFACE\r\n\r\n")).toBe("");
  await caller.sendByteByByte(HELLO);
  await caller.until(() => framesOf(caller.received).length >= 2);
});
