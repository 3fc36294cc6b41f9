import { once } from "node:events";
import http2 from "node:http2";
import { describe, expect, test } from "vitest";
import { type FixtureOptions, HttpFixture } from "../testkit/http-fixture.ts";
import { answerOf, contentOf, Http2Caller } from "../testkit/http2-peers.ts";
import { answering, closing, farEnd, http2FarEnd, OK } from "../testkit/plain-peers.ts";

async function proxy(options: FixtureOptions): Promise<HttpFixture> {
  return closing(await HttpFixture.open(options));
}

function caller(fixture: HttpFixture, options?: http2.ClientSessionOptions): Http2Caller {
  return closing(new Http2Caller(fixture.port, options));
}

const H2C = { scheme: "h2c" } as const;

describe("a caller of HTTP/2 before an endpoint of HTTP/1.1", () => {
  test("is served, with the forwarding fields that HTTP/1.1 callers get", async () => {
    const end = await answering("HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-Answer: Yes\r\n\r\nok");
    const fixture = await proxy({ endpoints: [end.address] });
    const answer = await caller(fixture).call({ ":path": "/a/b?c=%20d", "x-mixed": "Case" });
    expect(answer).toMatchObject({ status: 200, body: "ok", headers: { "x-answer": "Yes", "content-length": "2" } });
    expect(end.received).toBe(
      "GET /a/b?c=%20d HTTP/1.1\r\nHost: svc.ns\r\nx-mixed: Case\r\nx-forwarded-for: 127.0.0.1\r\n" +
        "x-forwarded-host: svc.ns\r\nx-forwarded-port: 80\r\nx-forwarded-proto: http\r\n" +
        "x-forwarded-server: proxy\r\nx-real-ip: 127.0.0.1\r\n\r\n",
    );
    expect(fixture.records).toEqual([{ status: 200, failure: "", attempts: 1, endpoint: end.address }]);
  });

  test("has its cookies joined, and itself appended to X-Forwarded-For", async () => {
    const end = await answering();
    const fixture = await proxy({ endpoints: [end.address] });
    await caller(fixture).call({ ":path": "/", cookie: ["a=1", "b=2"], "x-forwarded-for": "10.9.8.7" });
    expect(end.received).toContain("\r\ncookie: a=1; b=2\r\n");
    expect(end.received).toContain("\r\nx-forwarded-for: 10.9.8.7, 127.0.0.1\r\n");
  });

  test("sends content of a length that it says as it is", async () => {
    const end = await farEnd((socket, received) => received.endsWith("hello") && socket.write(OK));
    const fixture = await proxy({ endpoints: [end.address] });
    const headers = { ":method": "POST", ":path": "/", "content-length": "5" };
    expect((await caller(fixture).call(headers, { body: "hello" })).body).toBe("ok");
    expect(end.received).toMatch(/\r\ncontent-length: 5\r\n.*\r\n\r\nhello$/s);
    expect(end.received).not.toContain("Transfer-Encoding");
  });

  test("sends content of a length that shows in chunks, and its trailers after them", async () => {
    const end = await farEnd((socket, received) => received.endsWith("\r\n\r\n") && socket.write(OK));
    const fixture = await proxy({ endpoints: [end.address] });
    const stream = caller(fixture).open({ ":method": "POST", ":path": "/" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42" }));
    stream.write("one");
    await end.until(() => end.received.endsWith("3\r\none\r\n"));
    stream.end("three");
    expect((await answerOf(stream)).body).toBe("ok");
    expect(end.received).toContain("\r\nTransfer-Encoding: chunked\r\n");
    expect(end.received).toMatch(/\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\nx-sum: 42\r\n\r\n$/);
  });

  test("whose POST has no content says so to the endpoint", async () => {
    const end = await answering();
    const fixture = await proxy({ endpoints: [end.address] });
    await caller(fixture).call({ ":method": "POST", ":path": "/" });
    expect(end.received).toContain("\r\nContent-Length: 0\r\n");
  });

  test.each([
    ["in chunks", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", undefined],
    [
      "in chunks with trailers",
      "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX-Sum: 9\r\n\r\n",
      { "x-sum": "9" },
    ],
    ["until close", "Connection: close\r\n\r\nabcde", undefined],
  ])("gets content that comes %s without that framing", async (_name, rest, trailers) => {
    const end = await farEnd((socket, received) => {
      if (!received.endsWith("\r\n\r\n")) return;
      socket.write(`HTTP/1.1 200 OK\r\n${rest}`);
      if (rest.startsWith("Connection")) socket.end();
    });
    const fixture = await proxy({ endpoints: [end.address] });
    const answer = await caller(fixture).call({ ":path": "/" });
    expect(answer).toMatchObject({ status: 200, body: "abcde" });
    expect(answer.trailers).toEqual(trailers === undefined ? undefined : expect.objectContaining(trailers));
    expect(answer.headers).not.toHaveProperty("transfer-encoding");
    expect(answer.headers).not.toHaveProperty("connection");
  });

  test.each([
    ["HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 200],
    ["204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204],
    ["304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304],
    ["an empty 200", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200],
  ])("gets an answer without content: %s", async (_name, method, text, status) => {
    const end = await answering(text);
    const fixture = await proxy({ endpoints: [end.address] });
    const answer = await caller(fixture).call({ ":method": method, ":path": "/" });
    expect(answer).toMatchObject({ status, body: "" });
  });

  test("gets interim answers, and waits with its content for 100", async () => {
    const end = await farEnd((socket, received) => {
      if (received.endsWith("\r\n\r\n"))
        socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
      else if (received.endsWith("hi")) socket.write(OK);
    });
    const fixture = await proxy({ endpoints: [end.address] });
    const headers = { ":method": "PUT", ":path": "/", "content-length": "2", expect: "100-continue" };
    const stream = caller(fixture).open(headers);
    const answered = answerOf(stream);
    await once(stream, "continue");
    stream.end("hi");
    expect(await answered).toMatchObject({ status: 200, interim: [103, 100] });
    expect(end.received).toContain("\r\nexpect: 100-continue\r\n");
  });

  test("has 200 calls under way at once on one connection", async () => {
    const end = await farEnd((socket, received) => {
      const path = /GET (\S+) (?!.*GET )/s.exec(received)?.[1] as string;
      if (received.endsWith("\r\n\r\n"))
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
    });
    const fixture = await proxy({ endpoints: [end.address] });
    const mine = caller(fixture);
    const paths = Array.from({ length: 200 }, (_, index) => `/${index}`);
    const answers = await Promise.all(paths.map((path) => mine.call({ ":path": path })));
    expect(answers.map(({ body }) => body)).toEqual(paths);
  });

  test("is told by a reset where an answer was cut short", async () => {
    const end = await farEnd((socket, received) => {
      if (received.endsWith("\r\n\r\n")) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    const fixture = await proxy({ endpoints: [end.address] });
    await expect(caller(fixture).call({ ":path": "/" })).rejects.toThrow("NGHTTP2_INTERNAL_ERROR");
    expect(fixture.records).toMatchObject([{ status: 200, failure: "UpstreamReset" }]);
  });

  test("gets 502 with its reason where there is no answer", async () => {
    const end = await farEnd((socket) => socket.destroy());
    const fixture = await proxy({ endpoints: [end.address] });
    const answer = await caller(fixture).call({ ":path": "/" });
    expect(answer).toMatchObject({ status: 502, headers: { "x-tulle-reason": "UpstreamReset" }, body: "Bad Gateway" });
  });

  test("that has sent part of a request when it is refused is told to send no more", async () => {
    const fixture = await proxy({ endpoints: [] });
    const mine = caller(fixture);
    const stream = mine.open({ ":method": "POST", ":path": "/" });
    stream.write("part");
    expect(await answerOf(stream)).toMatchObject({ status: 503, headers: { "x-tulle-reason": "NoEndpoint" } });
    expect(await mine.call({ ":path": "/" })).toMatchObject({ status: 503 });
  });

  test("gets 10 MiB whole, read in its own time, and the endpoint is held back meanwhile", async () => {
    const size = 10 * 1024 * 1024;
    const end = await farEnd((socket, received) => {
      if (!received.endsWith("\r\n\r\n")) return;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      socket.write(Buffer.alloc(size, "x"));
    });
    const fixture = await proxy({ endpoints: [end.address] });
    const mine = caller(fixture);
    await once(mine.session, "connect");
    mine.session.setLocalWindowSize(1024 * 1024);
    const stalled = mine.open({ ":path": "/" });
    stalled.pause();
    await once(stalled, "response");
    // One that does not read takes nothing from one that does.
    const other = await mine.call({ ":path": "/" });
    expect(other.body).toHaveLength(size);
    expect(end.connections[0]?.socket.writableLength).toBeGreaterThan(size / 2);
    const answered = answerOf(stalled);
    stalled.resume();
    expect((await answered).body).toHaveLength(size);
  });

  test("sends 10 MiB whole to an endpoint that reads in its own time", async () => {
    const size = 10 * 1024 * 1024;
    const end = await farEnd((socket, received) => received.length > size && socket.write(OK));
    const fixture = await proxy({ endpoints: [end.address] });
    const headers = { ":method": "POST", ":path": "/", "content-length": String(size) };
    const answered = caller(fixture).call(headers, { body: Buffer.alloc(size, "y") });
    await end.until(() => end.connections.length === 1);
    end.connections[0]?.socket.pause();
    setImmediate(() => end.connections[0]?.socket.resume());
    expect((await answered).status).toBe(200);
  });
});

describe("a caller of HTTP/1.1 before an endpoint of HTTP/2", () => {
  test("is served, with Host as authority and the fields of its connection left out", async () => {
    let seen: readonly string[] = [];
    const end = await http2FarEnd((stream, _headers, raw) => {
      seen = raw;
      stream.respond({ ":status": 200, "content-length": 2, "x-answer": "Yes" });
      stream.end("ok");
    });
    const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
    const answer = await fixture.exchange(
      "GET http://a.example/p?q HTTP/1.1\r\nHost: b.example\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nTE: trailers, gzip\r\n" +
        "Keep-Alive: 1\r\nUpgrade: websocket\r\nX-Mixed: Case\r\n\r\n",
    );
    expect(answer).toMatch(
      /^HTTP\/1\.1 200 OK\r\ncontent-length: 2\r\nx-answer: Yes\r\ndate: [^\r]*\r\nConnection: close\r\n\r\nok$/,
    );
    expect(seen).toEqual([
      ...[":method", "GET", ":scheme", "http", ":authority", "a.example", ":path", "/p?q", "x-mixed", "Case"],
      ...["te", "trailers", "x-forwarded-for", "127.0.0.1", "x-forwarded-host", "a.example", "x-forwarded-port", "80"],
      ...["x-forwarded-proto", "http", "x-forwarded-server", "proxy", "x-real-ip", "127.0.0.1"],
    ]);
  });

  test("sends chunks as content, and the trailers after them", async () => {
    let trailers: http2.IncomingHttpHeaders = {};
    const end = await http2FarEnd(async (stream) => {
      stream.on("trailers", (each) => {
        trailers = each;
      });
      const content = await contentOf(stream);
      stream.respond({ ":status": 200 });
      stream.end(content);
    });
    const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
    const request =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" +
      "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 9\r\n\r\n";
    expect(await fixture.exchange(request)).toMatch(
      /\r\nTransfer-Encoding: chunked\r\n.*\r\n\r\n5\r\nabcde\r\n0\r\n\r\n$/s,
    );
    expect(trailers).toMatchObject({ "x-sum": "9" });
  });

  test("reads the same one byte at a time", async () => {
    const end = await http2FarEnd(async (stream) => {
      const content = await contentOf(stream);
      stream.respond({ ":status": 200, "content-length": content.length });
      stream.end(content);
    });
    const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
    const mine = await fixture.caller();
    await mine.sendByteByByte(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    await mine.until(() => mine.received.endsWith("abcde"));
  });

  test("gets trailers in chunks", async () => {
    const end = await http2FarEnd((stream) => {
      stream.respond({ ":status": 200 }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "9" }));
      stream.end("abc");
    });
    const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
    const answer = await fixture.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(answer).toMatch(/\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 9\r\n\r\n$/);
  });

  test("of HTTP/1.0 gets content that ends with the connection", async () => {
    const end = await http2FarEnd((stream) => {
      stream.respond({ ":status": 200 });
      stream.end("abc");
    });
    const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
    const answer = await fixture.exchange("GET / HTTP/1.0\r\n\r\n");
    expect(answer).toMatch(/Connection: close\r\n\r\nabc$/);
    expect(answer).not.toContain("Transfer-Encoding");
  });

  test("gets an answer without content with its length, and keeps its connection", async () => {
    const end = await http2FarEnd((stream, headers) => {
      stream.respond({ ":status": headers[":path"] === "/none" ? 204 : 200 }, { endStream: true });
    });
    const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
    const mine = await fixture.caller();
    mine.send(
      "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    const [first, second, third] = (await mine.end()).split(/(?=HTTP\/1\.1)/);
    expect(first).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Content-Length: 0\r\n\r\n$/s);
    expect(second).toMatch(/^HTTP\/1\.1 204 No Content\r\n/);
    expect(second).not.toContain("Content-Length");
    expect(third).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test("gets interim answers, and waits with its content for 100", async () => {
    const end = await http2FarEnd(async (stream, headers) => {
      stream.additionalHeaders({ ":status": 103, link: "</a>" });
      if (headers.expect === "100-continue") stream.additionalHeaders({ ":status": 100 });
      const content = await contentOf(stream);
      stream.respond({ ":status": 200, "content-length": content.length });
      stream.end(content);
    });
    // Node.js answers an Expect itself where nobody listens for it.
    end.server.on("checkContinue", () => {});
    const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
    const mine = await fixture.caller();
    mine.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    await mine.until(() => mine.received.includes(" 100 Continue\r\n\r\n"));
    mine.send("hi");
    await mine.until(() => mine.received.endsWith("hi"));
    const [early, interim, final] = mine.received.split(/(?=HTTP\/1\.1)/);
    expect(early).toBe("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    expect(interim).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    expect(final).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nhi$/s);
  });

  test.each([
    ["to HEAD", "HEAD", 200],
    ["of 304", "GET", 304],
  ])(
    "gets the length in an answer without content, %s, and goes on on its connection",
    async (_name, method, status) => {
      const end = await http2FarEnd((stream, headers) => {
        const bare = headers[":path"] === "/bare";
        stream.respond({ ":status": bare ? status : 200, "content-length": bare ? 10 : 2 }, { endStream: bare });
        if (!bare) stream.end("ok");
      });
      const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
      const answers = await fixture.exchange(
        `${method} /bare HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      );
      const [bare, next] = answers.split(/(?=HTTP\/1\.1)/);
      expect(bare).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*content-length: 10\r\n.*\r\n\r\n$`, "s"));
      expect(next).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nok$/s);
    },
  );

  test("cannot have another protocol on the connection", async () => {
    const end = await http2FarEnd((stream) => {
      stream.respond({ ":status": 200, "content-length": 0 }, { endStream: true });
    });
    const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
    const mine = await fixture.caller();
    mine.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await mine.until(() => mine.received.endsWith("\r\n\r\n"));
    expect(mine.received).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test("sees its connection broken where the endpoint resets an answer", async () => {
    const end = await http2FarEnd((stream) => {
      stream.respond({ ":status": 200 });
      stream.write("part");
      setImmediate(() => stream.destroy(new Error("broken")));
    });
    const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
    const mine = await fixture.caller();
    mine.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await mine.end();
    expect(mine.error).toBe("ECONNRESET");
    expect(mine.received).not.toContain("0\r\n\r\n");
  });

  test("that goes has its request at the endpoint cancelled", async () => {
    let stream: http2.ServerHttp2Stream | undefined;
    const end = await http2FarEnd((each) => {
      stream = each;
    });
    const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
    const mine = await fixture.caller();
    mine.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(end.server, "stream");
    mine.socket.resetAndDestroy();
    await once(stream as http2.ServerHttp2Stream, "close");
    expect(stream?.rstCode).toBe(http2.constants.NGHTTP2_CANCEL);
  });

  test("gets 502 where the endpoint speaks HTTP/1.1 only, before anything was sent to it", async () => {
    const end = await farEnd((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const fixture = await proxy({ endpoints: [end.address], servicePort: H2C });
    const answer = await fixture.exchange(
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 502 .*X-Tulle-Reason: UpstreamMalformed/s);
    expect(end.received).not.toContain("POST");
  });
});
