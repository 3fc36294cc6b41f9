import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { ServicePortState } from "../router/types.ts";
import { FarEnd, type FixtureOptions, type HttpFixture, type RawCaller } from "./testkit/http-fixture.ts";
import { answering, farEnd, GET as GET_CLOSE, OK, openProxy, reasonOf, statusOf } from "./testkit/plain-peers.ts";

async function proxyTo(
  server: FarEnd | readonly string[],
  options: Partial<FixtureOptions> = {},
): Promise<HttpFixture> {
  const endpoints = server instanceof FarEnd ? [server.address] : server;
  return openProxy(endpoints, options);
}

const GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const bodyOf = (answer: string) => answer.slice(answer.indexOf("\r\n\r\n") + 4);

describe("a request that passes", () => {
  test("keeps target, fields, their order and case, byte for byte, and says where it came from", async () => {
    const server = await answering(OK);
    const proxy = await proxyTo(server);
    await proxy.exchange(
      "GET /a%2Fb/../c?x=%20;y HTTP/1.1\r\nhOsT: h.ns.traefik.mesh\r\nX-b:  two  words \r\nX-A: \xe9\r\nX-b: 2\r\nConnection: close\r\n\r\n",
    );
    expect(server.received).toBe(
      "GET /a%2Fb/../c?x=%20;y HTTP/1.1\r\nhOsT: h.ns.traefik.mesh\r\nX-b:  two  words \r\nX-A: \xe9\r\nX-b: 2\r\n" +
        "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: h.ns.traefik.mesh\r\nX-Forwarded-Port: 80\r\n" +
        "X-Forwarded-Proto: http\r\nX-Forwarded-Server: proxy\r\nX-Real-Ip: 127.0.0.1\r\n\r\n",
    );
  });

  test("loses its hop-by-hop fields and those that Connection names", async () => {
    const server = await answering(OK);
    const proxy = await proxyTo(server);
    await proxy.exchange(
      "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nTE: trailers, deflate\r\n" +
        "Proxy-Connection: close\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\nX-End: 1\r\n\r\n",
    );
    expect(server.received).toMatch(/^GET \/ HTTP\/1.1\r\nHost: h\r\nX-End: 1\r\nX-Forwarded-For/);
    expect(server.received).toMatch(/TE: trailers\r\nConnection: TE\r\n\r\n$/);
  });

  test("has the caller appended to an X-Forwarded-For that it brings, and keeps the other forwarding fields", async () => {
    const server = await answering(OK);
    const proxy = await proxyTo(server);
    await proxy.exchange(
      "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2, 3.3.3.3\r\n" +
        "X-Forwarded-Proto: https\r\nX-Forwarded-Server: forged\r\nX-Real-Ip: 9.9.9.9\r\nConnection: close\r\n\r\n",
    );
    expect(server.received).toContain("X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2, 3.3.3.3, 127.0.0.1\r\n");
    expect(server.received).toContain("X-Forwarded-Proto: https\r\nX-Real-Ip: 9.9.9.9\r\n");
    expect(server.received).not.toContain("forged");
  });

  test("in absolute form goes on in origin form, its authority as Host", async () => {
    const server = await answering(OK);
    const proxy = await proxyTo(server);
    await proxy.exchange("GET http://real:81/p?q HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n");
    expect(server.received).toMatch(/^GET \/p\?q HTTP\/1.1\r\nHost: real:81\r\n/);
    expect(server.received).not.toContain("other");
  });

  test("is followed by others on the same connections", async () => {
    const server = await answering(OK);
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    for (let request = 1; request <= 3; request++) {
      caller.send(GET);
      await caller.until(() => caller.received.split("200 OK").length - 1 === request);
    }
    expect(server.connections).toHaveLength(1);
  });

  test("may be pipelined, and the answers come in order", async () => {
    const server = await farEnd((socket, received) => {
      const last = /GET \/(\d) [\s\S]*\r\n\r\n$/.exec(received)?.[1];
      if (last !== undefined)
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${received
            .match(/GET \/(\d)/g)
            ?.at(-1)
            ?.at(-1)}`,
        );
    });
    const proxy = await proxyTo(server);
    const requests = [1, 2, 3].map(
      (n) => `GET /${n} HTTP/1.1\r\nHost: h\r\n${n === 3 ? "Connection: close\r\n" : ""}\r\n`,
    );
    const answer = await proxy.exchange(requests.join(""));
    expect(answer.split("HTTP/1.1").slice(1).map(bodyOf)).toEqual(["1", "2", "3"]);
  });

  test("may be pipelined by a caller that does not read, at a bounded number of answers", async () => {
    const body = "x".repeat(20_000);
    const server = await answering(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.socket.pause();
    const count = 5000;
    caller.send(GET.repeat(count - 1) + GET_CLOSE);
    // Another caller's answers give the proxy turn after turn, until it no longer moves on for the first.
    const other = await proxy.caller();
    const forwarded = () => server.received.split("GET / ").length - 1;
    let turns = 0;
    let before = -1;
    while (forwarded() - turns !== before) {
      before = forwarded() - turns;
      for (let turn = 0; turn < 20; turn++) {
        const answers = other.received.length;
        other.send(GET);
        await other.until(() => other.received.length >= answers + body.length && other.received.endsWith("x"));
        turns++;
      }
    }
    expect(before).toBeLessThan(count / 2);
    caller.socket.resume();
    expect((await caller.end()).split("200 OK").length - 1).toBe(count);
  }, 60_000);

  test("may come one by one from a caller that does not read, at a bounded number of answers", async () => {
    const body = "x".repeat(10_000);
    const server = await answering(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.socket.pause();
    const other = await proxy.caller();
    const forwarded = () => server.received.split("GET /own ").length - 1;
    const most = 2000;
    let sent = 0;
    while (sent < most && forwarded() === sent) {
      caller.send("GET /own HTTP/1.1\r\nHost: h\r\n\r\n");
      sent++;
      // Another caller's answers give the proxy turns.
      for (let turn = 0; turn < 20 && forwarded() < sent; turn++) {
        const answers = other.received.length;
        other.send(GET);
        await other.until(() => other.received.length >= answers + body.length && other.received.endsWith("x"));
      }
    }
    expect(sent).toBeLessThan(most);
    caller.socket.resume();
    await caller.until(() => caller.received.split("200 OK").length - 1 === sent);
  });

  test.each([
    ["of a length", "Content-Length: 5\r\n", "hello"],
    [
      "in chunks with extensions and trailers",
      "Transfer-Encoding: chunked\r\n",
      "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: 1\r\n\r\n",
    ],
  ])("carries a body %s, however it is cut", async (_name, field, body) => {
    const server = await farEnd((socket, received) => {
      if (received.endsWith(body)) socket.write(OK);
    });
    const proxy = await proxyTo(server);
    const text = `POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${field}\r\n${body}`;
    expect(bodyOf(await proxy.exchange(text))).toBe("ok");
    const slow = await proxy.caller();
    await slow.sendByteByByte(text);
    expect(bodyOf(await slow.end())).toBe("ok");
    const half = server.received.length / 2;
    const [first, second] = [server.received.slice(0, half), server.received.slice(half)];
    expect(bodyOf(first)).toBe(body);
    expect(second).toBe(first);
  });

  test("waits for 100 Continue with the endpoint, and gets it and the answer", async () => {
    const server = await farEnd((socket, received) => {
      if (received.endsWith("hello")) socket.write(OK);
      else if (received.includes("\r\n\r\n")) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
    });
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
    await caller.until(() => caller.received.includes("100 Continue\r\n\r\n"));
    caller.send("hello");
    expect(await caller.end()).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n/);
  });

  test.each([
    ["and an empty line", "\r\n", ["200"]],
    ["and part of another", "GET / HT", ["200", "400"]],
  ])("%s, from a caller that then ends its side, has its connection ended too", async (_name, rest, statuses) => {
    let answer: () => void = () => {};
    const server = await farEnd((socket) => {
      answer = () => socket.write(OK);
    });
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.socket.end(GET + rest, "latin1");
    await server.until(() => server.received.endsWith("\r\n\r\n"));
    // Another exchange tells that the proxy has read the end as well.
    const other = await proxy.caller();
    other.send("GET / HTTP/1.1\r\n\r\n");
    await other.end();
    answer();
    expect((await caller.end()).split(/(?=HTTP\/1\.1)/).map(statusOf)).toEqual(statuses);
  });

  test("with an empty line behind it leaves its connection idle, not with a head under way", async () => {
    const clock = new ManualClock();
    const proxy = await proxyTo(await answering(OK), { clock });
    const caller = await proxy.caller();
    caller.send(`${GET}\r\n`);
    await caller.until(() => caller.received.endsWith("ok"));
    clock.advance(20_000);
    caller.send(GET_CLOSE);
    expect((await caller.end()).split(/(?=HTTP\/1\.1)/).map(statusOf)).toEqual(["200", "200"]);
  });

  test("from a caller that has ended its side is answered", async () => {
    const proxy = await proxyTo(await answering(OK));
    const caller = await proxy.caller();
    caller.socket.end(GET, "latin1");
    expect(bodyOf(await caller.end())).toBe("ok");
  });

  test("may become a tunnel by Upgrade, with half-close both ways", async () => {
    const server = await farEnd((socket, received) => {
      if (received.endsWith("\r\n\r\n"))
        socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: ws\r\nConnection: Upgrade\r\n\r\nhi");
      else if (received.endsWith("ping")) socket.write("pong");
    });
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: ws\r\n\r\n");
    await caller.until(() => caller.received.endsWith("\r\n\r\nhi"));
    expect(caller.received).toMatch(
      /^HTTP\/1.1 101 Switching Protocols\r\nUpgrade: ws\r\nConnection: Upgrade\r\n\r\nhi$/,
    );
    caller.send("ping");
    await caller.until(() => caller.received.endsWith("pong"));
    caller.socket.end();
    await server.until(() => server.connections[0]?.ended === true);
    server.connections[0]?.socket.end("bye");
    expect(await caller.end()).toMatch(/pongbye$/);
  });

  test("for a tunnel, of a caller that ends before the switch, ends the endpoint's side too", async () => {
    let answer: () => void = () => {};
    const server = await farEnd((socket) => {
      answer = () => socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: ws\r\nConnection: Upgrade\r\n\r\n");
    });
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.socket.end("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: ws\r\n\r\n", "latin1");
    await server.until(() => server.received.endsWith("\r\n\r\n"));
    // Another exchange tells that the proxy has read the end as well.
    const other = await proxy.caller();
    other.send("GET / HTTP/1.1\r\n\r\n");
    await other.end();
    answer();
    await server.until(() => server.connections[0]?.ended === true);
  });

  test("of HTTP/1.0 goes on as HTTP/1.1 and is answered by close or keep-alive, as it asked", async () => {
    const server = await answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    const proxy = await proxyTo(server);
    const answer = await proxy.exchange("GET / HTTP/1.0\r\n\r\n");
    expect(answer).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
    expect(server.received).toMatch(/^GET \/ HTTP\/1.1\r\nHost: svc.ns\r\n/);
    const kept = await proxyTo(await answering(OK));
    const caller = await kept.caller();
    caller.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    await caller.until(() => caller.received.endsWith("ok"));
    expect(caller.received).toContain("Connection: keep-alive\r\n");
    expect(caller.ended).toBe(false);
  });
});

describe("an answer", () => {
  test.each([
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"],
  ])("to %s without body, %j, ends with its head", async (method, head) => {
    const proxy = await proxyTo(await answering(head));
    const caller = await proxy.caller();
    caller.send(`${method} / HTTP/1.1\r\nHost: h\r\n\r\n`);
    await caller.until(() => caller.received === head);
    caller.send(`${method} / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
    expect(await caller.end()).toContain(head);
    expect(proxy.records.map((record) => record.failure)).toEqual(["", ""]);
  });

  test("in chunks keeps its framing, extensions and trailers, wherever it is cut", async () => {
    const framed = "3;a\r\nabc\r\n4\r\ndefg\r\n0\r\nX-T: 1\r\n\r\n";
    const text = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${framed}`;
    const proxy = await proxyTo(await answering(text));
    expect(bodyOf(await proxy.exchange(GET_CLOSE))).toBe(framed);
    const bytewise = await farEnd(async (socket) => {
      for (const byte of text) await new Promise<void>((sent) => socket.write(byte, "latin1", () => sent()));
    });
    const slow = await proxyTo(bytewise);
    expect(bodyOf(await slow.exchange(GET_CLOSE))).toBe(framed);
  });

  test("that runs until close reaches an HTTP/1.1 caller in chunks, so that its end can be told", async () => {
    const server = await farEnd((socket) => socket.end("HTTP/1.0 200 OK\r\n\r\nhello", "latin1"));
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.send(GET);
    await caller.until(() => caller.received.endsWith("0\r\n\r\n"));
    expect(caller.received).toBe("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  });

  test.each([
    ["a length it does not reach", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"],
    ["chunks without the last", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
  ])("with %s breaks the caller's connection", async (_name, text) => {
    const server = await farEnd((socket) => socket.end(text, "latin1"));
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.send(GET);
    await caller.end();
    expect(caller.error).toBe("ECONNRESET");
    expect(proxy.records[0]?.failure).toMatch(/UpstreamReset|UpstreamMalformed/);
  });

  test("with a bad chunk later on breaks the caller's connection", async () => {
    const server = await farEnd((socket) =>
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "latin1"),
    );
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.send(GET);
    await caller.until(() => caller.received.endsWith("hello\r\n"));
    server.connections[0]?.socket.write("xyz\r\n0\r\n\r\n");
    await caller.end();
    expect([caller.error, proxy.records[0]?.failure]).toEqual(["ECONNRESET", "UpstreamMalformed"]);
  });

  test.each([
    ["no HTTP", "SSH-2.0-OpenSSH\r\n"],
    ["both framings", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok"],
    ["a folded field", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"],
    ["a switch that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\n\r\n"],
    ["a bad first chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n0\r\n\r\n"],
    ["a head beyond all bounds", `HTTP/1.1 200 OK\r\nA: ${"a".repeat(70_000)}`],
  ])("that is %s becomes 502", async (_name, text) => {
    const proxy = await proxyTo(await farEnd((socket) => socket.write(text, "latin1")));
    const answer = await proxy.exchange(GET_CLOSE);
    expect([statusOf(answer), reasonOf(answer)]).toEqual(["502", "UpstreamMalformed"]);
  });

  test("with more bytes than it announced is cut to them, and the connection is not used again", async () => {
    const server = await answering(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`);
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.send(GET);
    await caller.until(() => caller.received.endsWith("ok"));
    caller.send(GET_CLOSE);
    expect(await caller.end()).not.toContain("evil");
    expect(server.connections).toHaveLength(2);
  });

  test("before the whole request ends the connection to the caller", async () => {
    const server = await farEnd((socket) =>
      socket.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"),
    );
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhello");
    expect(await caller.end()).toMatch(/^HTTP\/1.1 413 [\s\S]*Connection: close\r\n\r\n$/);
  });

  test("that the caller does not read stops the endpoint, at a bounded number of bytes", async () => {
    const total = 64 * 1024 * 1024;
    let sent = 0;
    let stalled: () => void = () => {};
    const full = new Promise<void>((resolve) => {
      stalled = resolve;
    });
    const server = await farEnd((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
      const block = Buffer.alloc(65_536);
      const fill = () => {
        while (sent < total) {
          sent += block.length;
          if (!socket.write(block)) break;
        }
        if (sent < total) socket.once("drain", fill);
      };
      socket.on("drain", () => {});
      fill();
      const watch = setInterval(() => {
        if (socket.writableNeedDrain && socket.bytesWritten === last) {
          clearInterval(watch);
          stalled();
        }
        last = socket.bytesWritten;
      }, 50);
      let last = -1;
    });
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.socket.pause();
    caller.send(GET_CLOSE);
    await full;
    expect(sent).toBeLessThan(40 * 1024 * 1024);
    caller.socket.resume();
    const answer = await caller.end();
    expect(bodyOf(answer).length).toBe(total);
  });
});

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
      const proxy = await proxyTo(server);
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
    const proxy = await proxyTo(await answering(OK));
    const answer = await proxy.exchange(text);
    expect([statusOf(answer), reasonOf(answer)]).toEqual([status, reason]);
  });

  test("for a chunk that turns bad gets 400, and the endpoint's connection is reset, never ended as if whole", async () => {
    const server = await farEnd();
    const proxy = await proxyTo(server);
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
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.send(GET);
    await server.until(() => server.received.endsWith("\r\n\r\n"));
    caller.socket.resetAndDestroy();
    await server.until(() => server.connections[0]?.socket.destroyed || server.connections[0]?.ended === true);
    expect(proxy.records.map((record) => record.failure)).toEqual(["ClientGone"]);
  });

  test("without endpoint gets 503 and its reason, and the connection lives on", async () => {
    const proxy = await proxyTo([]);
    const caller = await proxy.caller();
    caller.send(GET);
    await caller.until(() => caller.received.endsWith("Service Unavailable"));
    caller.send(GET_CLOSE);
    const answer = await caller.end();
    expect(answer.match(/X-Tulle-Reason: NoEndpoint/g)).toHaveLength(2);
  });

  test("whose head does not arrive in time gets 408", async () => {
    const clock = new ManualClock();
    const proxy = await proxyTo(await answering(OK), { clock });
    const caller = await proxy.caller();
    caller.send(GET);
    await caller.until(() => caller.received.endsWith("ok"));
    caller.send("GET / HT");
    // The answer to a whole request tells that the bytes before it were read.
    const other = await proxy.caller();
    other.send(GET);
    await other.until(() => other.received.endsWith("ok"));
    clock.advance(12_000);
    expect(reasonOf(await caller.end())).toBe("HeadTimeout");
  });

  test("over the rate limit gets 429 and when to come back", async () => {
    const clock = new ManualClock();
    const servicePort = { middlewares: { rateLimit: { average: 1, burst: 2 } } };
    const proxy = await proxyTo(await answering(OK), { clock, servicePort });
    const answers: string[] = [];
    for (let call = 0; call < 3; call++) answers.push(await proxy.exchange(GET_CLOSE));
    expect(answers.map(statusOf)).toEqual(["200", "200", "429"]);
    expect(answers[2]).toMatch(/X-Tulle-Reason: RateLimited\r\nRetry-After: 1\r\n/);
    clock.advance(1000);
    expect(statusOf(await proxy.exchange(GET_CLOSE))).toBe("200");
  });
});

describe("a try that fails", () => {
  const nobody = "127.0.0.1:1";
  const retry = (attempts: number) => ({ servicePort: { middlewares: { retry: { attempts } } } });

  test("at connecting is 502 without retries", async () => {
    const proxy = await proxyTo([nobody]);
    expect(reasonOf(await proxy.exchange(GET_CLOSE))).toBe("ConnectRefused");
  });

  test.each(["GET", "POST"])("at connecting is repeated elsewhere, for %s too", async (method) => {
    const server = await farEnd((socket, received) => {
      if (received.endsWith("hello")) socket.write(OK);
    });
    const proxy = await proxyTo([nobody, server.address], retry(2));
    const text = `${method} / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello`;
    for (let call = 0; call < 6; call++) expect(statusOf(await proxy.exchange(text))).toBe("200");
    expect(proxy.records.some((record) => record.attempts === 2)).toBe(true);
  });

  test("makes as many tries as the annotation says, then gives the last one's failure", async () => {
    const proxy = await proxyTo([nobody, "127.0.0.1:2", "127.0.0.1:3"], retry(2));
    expect(reasonOf(await proxy.exchange(GET_CLOSE))).toBe("ConnectRefused");
    expect(proxy.records[0]?.attempts).toBe(2);
  });

  test("after its first byte went out is never repeated for POST", async () => {
    const server = await farEnd((socket) => socket.resetAndDestroy());
    const proxy = await proxyTo(server, retry(3));
    const answer = await proxy.exchange(
      "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
    );
    expect(reasonOf(answer)).toBe("UpstreamReset");
    expect(server.connections).toHaveLength(1);
  });

  test("after its first byte went out is repeated for GET", async () => {
    const server = await farEnd((socket, _received, connection) => {
      if (connection === 1) socket.resetAndDestroy();
      else socket.write(OK);
    });
    const proxy = await proxyTo(server, retry(2));
    expect(statusOf(await proxy.exchange(GET_CLOSE))).toBe("200");
    expect(server.connections).toHaveLength(2);
  });

  test.each([
    ["is repeated with all of it", 5, 2],
    ["is not repeated where there was more than is kept", 70_000, 1],
  ])("after part of its content was passed on %s", async (_name, early, tries) => {
    const server = await farEnd((socket, received) => {
      if (received.endsWith("late")) socket.resetAndDestroy();
    });
    const proxy = await proxyTo([server.address], retry(2));
    const caller = await proxy.caller();
    caller.send(`PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: ${early + 4}\r\n\r\n`);
    caller.send("e".repeat(early));
    await server.until(() => server.received.endsWith("e".repeat(early)));
    caller.send("late");
    expect(reasonOf(await caller.end())).toBe("UpstreamReset");
    const contents = server.connections.map(({ received }) => received.split("\r\n\r\n")[1]);
    expect(contents).toEqual(Array.from({ length: tries }, () => `${"e".repeat(early)}late`));
  });

  test("on a waiting connection that the endpoint has given up is repeated without spending a try", async () => {
    const server = await farEnd((socket, received, connection) => {
      if (connection === 1 && received.split(GET.slice(0, 5)).length > 2) socket.resetAndDestroy();
      else socket.write(OK);
    });
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.send(GET);
    await caller.until(() => caller.received.endsWith("ok"));
    caller.send(GET_CLOSE);
    expect((await caller.end()).match(/200 OK/g)).toHaveLength(2);
    expect(proxy.records.map((record) => record.attempts)).toEqual([1, 1]);
  });
});

test("a POST goes out on a connection that waits only if there was traffic on it a moment ago", async () => {
  const clock = new ManualClock();
  const server = await farEnd((socket, received) => {
    if (received.endsWith("\r\n\r\n")) socket.write(OK);
  });
  const proxy = await proxyTo(server, { clock });
  const post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  await proxy.exchange(GET_CLOSE);
  await proxy.exchange(post);
  expect(server.connections).toHaveLength(1);
  clock.advance(2000);
  await proxy.exchange(GET_CLOSE);
  expect(server.connections).toHaveLength(1);
  clock.advance(2000);
  await proxy.exchange(post);
  expect(server.connections).toHaveLength(2);
});

describe("draining", () => {
  test("ends quiet connections at once, tells busy ones, and waits for their answers", async () => {
    let release: () => void = () => {};
    const server = await farEnd((socket) => {
      release = () => socket.write(OK);
    });
    const clock = new ManualClock();
    const proxy = await proxyTo(server, { clock });
    const idle = await proxy.caller();
    const busy: RawCaller = await proxy.caller();
    busy.send(GET);
    await server.until(() => server.received.endsWith("\r\n\r\n"));
    clock.advance(2000);
    const closed = proxy.engine.close(10_000);
    expect(await idle.end()).toBe("");
    release();
    expect(await busy.end()).toContain("Connection: close\r\n");
    busy.socket.end();
    idle.socket.end();
    await closed;
    expect(proxy.engine.openConnections).toBe(0);
  });

  test("lets a connection that was opened a moment ago ask what it was opened for", async () => {
    const clock = new ManualClock();
    const server = await farEnd((socket) => socket.write(OK));
    const proxy = await proxyTo(server, { clock });
    const [fresh, silent] = [await proxy.caller(), await proxy.caller()];
    while (proxy.engine.openConnections < 2) await setImmediate();
    const closed = proxy.engine.close(10_000);
    fresh.send(GET);
    expect(await fresh.end()).toContain("Connection: close\r\n");
    expect(silent.ended).toBe(false);
    clock.advance(2000);
    expect(await silent.end()).toBe("");
    fresh.socket.end();
    silent.socket.end();
    await closed;
  });

  test("ends a connection whose answer had begun before it could say so", async () => {
    const clock = new ManualClock();
    const server = await farEnd((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"));
    const proxy = await proxyTo(server, { clock });
    const caller = await proxy.caller();
    caller.send(GET);
    await caller.until(() => caller.received.endsWith("ab"));
    const closed = proxy.engine.close(10_000);
    server.connections[0]?.socket.write("cd");
    await caller.until(() => caller.received.endsWith("abcd"));
    clock.advance(2000);
    expect(await caller.end()).not.toContain("close");
    caller.socket.end();
    await closed;
  });

  test("ends what has not ended when its time is over", async () => {
    const clock = new ManualClock();
    const server = await farEnd(() => {});
    const proxy = await proxyTo(server, { clock });
    const caller = await proxy.caller();
    caller.send(GET);
    await server.until(() => server.received.endsWith("\r\n\r\n"));
    const closed = proxy.engine.close(10_000);
    clock.advance(9_999);
    expect(caller.ended).toBe(false);
    clock.advance(1);
    await closed;
    expect(await caller.end()).toBe("");
  });

  test("lets a tunnel go on for as long as it may, then breaks it off", async () => {
    const clock = new ManualClock();
    const server = await farEnd((socket, received) => {
      if (received.endsWith("\r\n\r\n"))
        socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: ws\r\nConnection: Upgrade\r\n\r\n");
      else socket.write("pong");
    });
    const proxy = await proxyTo(server, { clock });
    const caller = await proxy.caller();
    caller.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: ws\r\n\r\n");
    await caller.until(() => caller.received.endsWith("\r\n\r\n"));
    const closed = proxy.engine.close(10_000);
    clock.advance(9_000);
    caller.send("ping");
    await caller.until(() => caller.received.endsWith("pong"));
    clock.advance(1_000);
    await closed;
    await caller.end();
    await server.until(() => server.connections[0]?.ended === true || server.connections[0]?.reset === true);
  });

  test("of a Service that is gone tells busy connections, ends quiet ones, and leaves others alone", async () => {
    const clock = new ManualClock();
    let release = () => {};
    const server = await farEnd((socket) => {
      release = () => socket.write(OK);
    });
    const proxy = await proxyTo(server, { clock });
    const [busy, quiet] = [await proxy.caller(), await proxy.caller()];
    busy.send(GET);
    await server.until(() => server.received.endsWith("\r\n\r\n"));
    const [gone] = proxy.table.servicePorts();
    clock.advance(2_000);
    proxy.applyNothing();
    proxy.engine.drainServicePort(gone as ServicePortState);
    expect(await quiet.end()).toBe("");
    release();
    expect(await busy.end()).toBe("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    expect(proxy.engine.openUpstreamConnections).toBe(0);
  });

  test("of a Service that is gone ends with the first answer of our own, as the Service may be back elsewhere", async () => {
    const server = await answering(OK);
    const proxy = await proxyTo(server);
    const caller = await proxy.caller();
    caller.send(GET);
    await caller.until(() => caller.received.endsWith("ok"));
    const [gone] = proxy.table.servicePorts();
    proxy.applyNothing();
    proxy.engine.drainServicePort(gone as ServicePortState);
    proxy.apply({ endpoints: [server.address] });
    caller.send(GET);
    const answer = (await caller.end()).slice(OK.length);
    expect(answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nx-tulle-reason: NoEndpoint\r\n/i);
    expect(answer).toMatch(/\r\nConnection: close\r\n/);
  });
});

describe("an endpoint that leaves the configuration", () => {
  test("finishes what it has, gets nothing new, and is left by connections that wait", async () => {
    let release = () => {};
    const leaving = await farEnd((socket, received) => {
      if (received.includes("/slow")) release = () => socket.write(OK);
      else socket.write(OK);
    });
    const staying = await answering(OK);
    const proxy = await proxyTo(leaving);
    const [slow, quick] = [await proxy.caller(), await proxy.caller()];
    quick.send(GET);
    await quick.until(() => quick.received.endsWith("ok"));
    const busy = leaving.connections[0];
    slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    quick.send(GET);
    await leaving.until(() => leaving.received.includes("/slow") && leaving.connections.length === 2);
    await quick.until(() => quick.received.split("ok").length === 3);
    proxy.apply({ endpoints: [staying.address] });
    const waiting = leaving.connections.find((each) => each !== busy);
    await leaving.until(() => waiting?.ended === true || waiting?.reset === true);
    for (let call = 0; call < 10; call++) await proxy.exchange(GET_CLOSE);
    expect(staying.received.match(/GET/g)).toHaveLength(10);
    release();
    await slow.until(() => slow.received.endsWith("ok"));
    await leaving.until(() => busy?.ended === true || busy?.reset === true);
    expect(leaving.received.match(/GET/g)).toHaveLength(3);
  });
});
