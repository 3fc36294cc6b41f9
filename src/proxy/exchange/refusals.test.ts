/** A request that is answered by the proxy itself, or by nobody. */
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { answering, farEnd, GET, KEPT_GET, OK, openProxy, reasonOf, statusOf } from "./testkit/plain-peers.ts";

describe("a request that is not served", () => {
  const malformed: readonly (readonly [string, string])[] = [
    ["a bare LF", "GET / HTTP/1.1\nHost: h\n\n"],
    ["both framings", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["a space before the colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n"],
    ["a folded field", "GET / HTTP/1.1\r\nHost: h\r\n x\r\n\r\n"],
    ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00"],
    ["no Host", "GET / HTTP/1.1\r\n\r\n"],
    ["half a head and the end", "GET / HTTP/1.1\r\nHo"],
  ];
  test.each(malformed)(
    "for %s gets 400, the connection is closed, and nothing reaches the endpoint",
    async (_n, text) => {
      const server = await answering(OK);
      const proxy = await openProxy(server);
      for (const bytewise of [false, true]) {
        const caller = await proxy.caller();
        if (bytewise) await caller.sendByteByByte(text);
        else caller.send(text);
        caller.socket.end();
        const answer = await caller.end();
        expect([statusOf(answer), reasonOf(answer)]).toEqual(["400", "BadRequest"]);
      }
      expect(server.connections).toHaveLength(0);
    },
  );

  test.each([
    [
      "more bytes than a head may have",
      `GET / HTTP/1.1\r\nHost: h\r\nA: ${"a".repeat(70_000)}\r\n\r\n`,
      "431",
      "HeadTooLarge",
    ],
    [
      "more fields than a head may have",
      `GET / HTTP/1.1\r\nHost: h\r\n${"A: b\r\n".repeat(300)}\r\n`,
      "431",
      "HeadTooLarge",
    ],
    [
      "an unknown coding",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "501",
      "TransferCoding",
    ],
    ["another version", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505", "HttpVersion"],
  ])("for %s gets %3$s", async (_name, text, status, reason) => {
    const proxy = await openProxy(await answering(OK));
    const answer = await proxy.exchange(text);
    expect([statusOf(answer), reasonOf(answer)]).toEqual([status, reason]);
  });

  test("for a chunk that turns bad gets 400, and the endpoint's connection is reset, never ended as if whole", async () => {
    const server = await farEnd();
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    caller.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    await server.until(() => server.received.endsWith("hello\r\n"));
    caller.send("5\nworld\r\n0\r\n\r\n");
    expect(reasonOf(await caller.end())).toBe("BadRequest");
    await server.until(() => server.connections[0]?.reset === true);
    expect(server.received).toMatch(/5\r\nhello\r\n$/);
  });

  test("because its caller is gone ends at the endpoint too", async () => {
    const server = await farEnd();
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    caller.send(KEPT_GET);
    await server.until(() => server.received.endsWith("\r\n\r\n"));
    caller.socket.resetAndDestroy();
    await server.until(() => server.connections[0]?.socket.destroyed || server.connections[0]?.ended === true);
    expect(proxy.records.map((record) => record.failure)).toEqual(["ClientGone"]);
  });

  test("without endpoint gets 503 and its reason, and the connection lives on", async () => {
    const proxy = await openProxy([]);
    const caller = await proxy.caller();
    caller.send(KEPT_GET);
    await caller.until(() => caller.received.endsWith("Service Unavailable"));
    caller.send(GET);
    const answer = await caller.end();
    expect(answer.match(/X-Tulle-Reason: NoEndpoint/g)).toHaveLength(2);
  });

  test("whose head does not arrive in time gets 408", async () => {
    const clock = new ManualClock();
    const proxy = await openProxy(await answering(OK), { clock });
    const caller = await proxy.caller();
    caller.send(KEPT_GET);
    await caller.until(() => caller.received.endsWith("ok"));
    caller.send("GET / HT");
    // The answer to a whole request tells that the bytes before it were read.
    const other = await proxy.caller();
    other.send(KEPT_GET);
    await other.until(() => other.received.endsWith("ok"));
    clock.advance(12_000);
    expect(reasonOf(await caller.end())).toBe("HeadTimeout");
  });

  test("over the rate limit gets 429 and when to come back", async () => {
    const clock = new ManualClock();
    const servicePort = { middlewares: { rateLimit: { average: 1, burst: 2 } } };
    const proxy = await openProxy(await answering(OK), { clock, servicePort });
    const answers: string[] = [];
    for (let call = 0; call < 3; call++) answers.push(await proxy.exchange(GET));
    expect(answers.map(statusOf)).toEqual(["200", "200", "429"]);
    expect(answers[2]).toMatch(/X-Tulle-Reason: RateLimited\r\nRetry-After: 1\r\n/);
    clock.advance(1000);
    expect(statusOf(await proxy.exchange(GET))).toBe("200");
  });
});
