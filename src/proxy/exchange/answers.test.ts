/** The answer of an endpoint, as its caller sees it, however it is framed, cut or broken. */
import { describe, expect, test } from "vitest";
import { answering, bodyOf, farEnd, GET, KEPT_GET, OK, openProxy, reasonOf, statusOf } from "./testkit/plain-peers.ts";

describe("an answer", () => {
  test.each([
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"],
  ])("to %s without body, %j, ends with its head", async (method, head) => {
    const proxy = await openProxy(await answering(head));
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
    const proxy = await openProxy(await answering(text));
    expect(bodyOf(await proxy.exchange(GET))).toBe(framed);
    const bytewise = await farEnd(async (socket) => {
      for (const byte of text) await new Promise<void>((sent) => socket.write(byte, "latin1", () => sent()));
    });
    const slow = await openProxy(bytewise);
    expect(bodyOf(await slow.exchange(GET))).toBe(framed);
  });

  test("that runs until close reaches an HTTP/1.1 caller in chunks, so that its end can be told", async () => {
    const server = await farEnd((socket) => socket.end("HTTP/1.0 200 OK\r\n\r\nhello", "latin1"));
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    caller.send(KEPT_GET);
    await caller.until(() => caller.received.endsWith("0\r\n\r\n"));
    expect(caller.received).toBe("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  });

  test.each([
    ["a length it does not reach", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"],
    ["chunks without the last", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
  ])("with %s breaks the caller's connection", async (_name, text) => {
    const server = await farEnd((socket) => socket.end(text, "latin1"));
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    caller.send(KEPT_GET);
    await caller.end();
    expect(caller.error).toBe("ECONNRESET");
    expect(proxy.records[0]?.failure).toMatch(/UpstreamReset|UpstreamMalformed/);
  });

  test("with a bad chunk later on breaks the caller's connection", async () => {
    const server = await farEnd((socket) =>
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "latin1"),
    );
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    caller.send(KEPT_GET);
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
    const proxy = await openProxy(await farEnd((socket) => socket.write(text, "latin1")));
    const answer = await proxy.exchange(GET);
    expect([statusOf(answer), reasonOf(answer)]).toEqual(["502", "UpstreamMalformed"]);
  });

  test("with more bytes than it announced is cut to them, and the connection is not used again", async () => {
    const server = await answering(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`);
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    caller.send(KEPT_GET);
    await caller.until(() => caller.received.endsWith("ok"));
    caller.send(GET);
    expect(await caller.end()).not.toContain("evil");
    expect(server.connections).toHaveLength(2);
  });

  test("before the whole request ends the connection to the caller", async () => {
    const server = await farEnd((socket) =>
      socket.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"),
    );
    const proxy = await openProxy(server);
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
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    caller.socket.pause();
    caller.send(GET);
    await full;
    expect(sent).toBeLessThan(40 * 1024 * 1024);
    caller.socket.resume();
    const answer = await caller.end();
    expect(bodyOf(answer).length).toBe(total);
  });
});
