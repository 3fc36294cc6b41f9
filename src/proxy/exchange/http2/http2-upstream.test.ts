/** Endpoints of HTTP/2: connections that many exchanges share, and how they end. */
import { once } from "node:events";
import http2 from "node:http2";
import type net from "node:net";
import { describe, expect, test } from "vitest";
import { CERTIFICATE, KEY } from "../../../model/testkit/certificate.ts";
import { ManualClock } from "../../../model/testkit/manual-clock.ts";
import { PREFACE } from "../../http2/frames.ts";
import { frame, framesOf, headers, settings } from "../../http2/testkit/raw-frames.ts";
import { type FarEnd, type FixtureOptions, HttpFixture } from "../testkit/http-fixture.ts";
import { type Answer, answerOf, Http2Caller, type Http2FarEnd, type StreamHandler } from "../testkit/http2-peers.ts";
import { closing, farEnd, http2FarEnd } from "../testkit/plain-peers.ts";

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_REFUSED_STREAM } = http2.constants;

async function endpoint(handle: StreamHandler = ok, settings?: http2.Settings): Promise<Http2FarEnd> {
  return http2FarEnd(handle, settings);
}

async function rawEndpoint(onData?: (socket: net.Socket) => void): Promise<FarEnd> {
  return farEnd(onData);
}

function ok(stream: http2.ServerHttp2Stream): void {
  stream.respond({ ":status": 200, "content-length": 2 });
  stream.end("ok");
}

const reset = (code: number) => (stream: http2.ServerHttp2Stream) => stream.close(code);

async function open(endpoints: readonly string[], more: Partial<FixtureOptions> = {}): Promise<HttpFixture> {
  return closing(await HttpFixture.open({ endpoints, ...more, servicePort: { scheme: "h2c", ...more.servicePort } }));
}

function caller(fixture: HttpFixture): Http2Caller {
  return closing(new Http2Caller(fixture.port));
}

const GET = { ":path": "/" };
const POST = { ":path": "/", ":method": "POST" };
const reasonOf = (answer: Answer) => answer.headers["x-tulle-reason"];
const retry = (attempts: number) => ({ servicePort: { middlewares: { retry: { attempts } } } });
const CLOSE = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

describe("calls to an endpoint share a connection", () => {
  test("one after the other, and at once", async () => {
    const end = await endpoint();
    const mine = caller(await open([end.address]));
    await mine.call(GET);
    const answers = await Promise.all(Array.from({ length: 90 }, () => mine.call(GET)));
    expect(answers.every(({ body }) => body === "ok")).toBe(true);
    expect(end.sessions).toHaveLength(1);
  });

  test("of callers of HTTP/1.1 too", async () => {
    const end = await endpoint();
    const fixture = await open([end.address]);
    for (let index = 0; index < 3; index++) expect(await fixture.exchange(CLOSE)).toMatch(/\r\n\r\nok$/);
    expect(end.sessions).toHaveLength(1);
  });

  test("so far as the endpoint lets them: others get more connections", async () => {
    let open1 = 0;
    let most = 0;
    const end = await endpoint(
      (stream) => {
        open1++;
        most = Math.max(most, open1);
        stream.on("close", () => open1--);
        setImmediate(() => ok(stream));
      },
      { maxConcurrentStreams: 2 },
    );
    const mine = caller(await open([end.address]));
    const answers = await Promise.all(Array.from({ length: 20 }, () => mine.call(GET)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(end.sessions.length).toBeGreaterThan(1);
    expect(most).toBeGreaterThan(2);
  });
});

describe("a stream that the endpoint resets", () => {
  test.each([
    ["before an answer gives 502", NGHTTP2_ENHANCE_YOUR_CALM],
    ["with CANCEL too", NGHTTP2_CANCEL],
  ])("%s", async (_name, code) => {
    const end = await endpoint(reset(code));
    expect(reasonOf(await caller(await open([end.address])).call(POST))).toBe("UpstreamReset");
  });

  test("within its answer is reset for the caller, with the same code", async () => {
    const end = await endpoint((stream) => {
      stream.respond({ ":status": 200 });
      stream.write("part");
      // The reset must not overtake the content, nor follow an end of it.
      setImmediate(() => (stream.session as http2.ServerHttp2Session).destroy(undefined, NGHTTP2_CANCEL));
    });
    const stream = caller(await open([end.address])).open(GET);
    await expect(answerOf(stream)).rejects.toThrow();
    expect(stream.rstCode).not.toBe(0);
  });

  test("as refused is tried elsewhere, whatever the method, as nothing was acted on", async () => {
    const refusing = await endpoint(reset(NGHTTP2_REFUSED_STREAM));
    const serving = await endpoint();
    const fixture = await open([refusing.address, serving.address], retry(2));
    const mine = caller(fixture);
    for (let index = 0; index < 6; index++) expect(await mine.call(POST, { body: "hi" })).toMatchObject({ body: "ok" });
    expect(fixture.records.some(({ attempts }) => attempts === 2)).toBe(true);
  });

  test("on a connection that has served is not sent again unasked, as the connection stands", async () => {
    let streams = 0;
    const end = await endpoint((stream) => {
      if (++streams === 1) ok(stream);
      else stream.close(NGHTTP2_CANCEL);
    });
    const mine = caller(await open([end.address]));
    await mine.call(GET);
    expect(reasonOf(await mine.call(GET))).toBe("UpstreamReset");
    expect(streams).toBe(2);
  });

  test("otherwise is not sent again where it may have been acted on", async () => {
    let streams = 0;
    const end = await endpoint((stream) => {
      streams++;
      stream.close(NGHTTP2_CANCEL);
    });
    const mine = caller(await open([end.address], retry(3)));
    expect(reasonOf(await mine.call(POST))).toBe("UpstreamReset");
    expect(streams).toBe(1);
  });
});

describe("a connection that the endpoint ends", () => {
  test("in good order serves what is under way, and new calls get another", async () => {
    let first: http2.ServerHttp2Stream | undefined;
    const end = await endpoint((stream) => {
      if (first === undefined) first = stream;
      else ok(stream);
    });
    const mine = caller(await open([end.address]));
    const early = mine.call(GET);
    await once(end.server, "stream");
    const [ending] = end.sessions as [http2.ServerHttp2Session];
    ending.close();
    while (end.sessions.length < 2) await mine.call(GET);
    ok(first as unknown as http2.ServerHttp2Stream);
    expect(await early).toMatchObject({ status: 200, body: "ok" });
    if (!ending.destroyed) await once(ending, "close");
  });

  test("without a word gives 502 to a POST, and another connection to what can be repeated", async () => {
    let streams = 0;
    const end = await endpoint((stream) => {
      // The second and third requests meet a connection that breaks; the first made it one that had served.
      if (++streams === 2 || streams === 3) stream.session?.destroy();
      else ok(stream);
    });
    const fixture = await open([end.address]);
    const mine = caller(fixture);
    await mine.call(GET);
    expect(reasonOf(await mine.call(POST, { body: "hi" }))).toBe("UpstreamReset");
    expect(reasonOf(await mine.call(GET))).toBe("UpstreamReset");
    expect(await mine.call(GET)).toMatchObject({ body: "ok" });
  });

  test("because the endpoint left the configuration goes once its last stream ended", async () => {
    let first: http2.ServerHttp2Stream | undefined;
    const end = await endpoint((stream) => {
      if (first === undefined) first = stream;
      else ok(stream);
    });
    const other = await endpoint();
    const fixture = await open([end.address]);
    const mine = caller(fixture);
    const early = mine.call(GET);
    await once(end.server, "stream");
    fixture.apply({ endpoints: [other.address], servicePort: { scheme: "h2c" } });
    expect(await mine.call(GET)).toMatchObject({ body: "ok" });
    expect(other.sessions).toHaveLength(1);
    expect(end.sessions[0]?.closed).toBe(false);
    ok(first as unknown as http2.ServerHttp2Stream);
    await early;
    await once(end.sessions[0] as http2.ServerHttp2Session, "close");
  });

  test("because nothing used it for long is closed by the proxy", async () => {
    const clock = new ManualClock();
    const end = await endpoint();
    const fixture = await open([end.address], { clock });
    await caller(fixture).call(GET);
    clock.advance(95_000);
    await once(end.sessions[0] as http2.ServerHttp2Session, "close");
    expect(fixture.engine.openUpstreamConnections).toBe(0);
  });
});

describe("an endpoint that cannot be spoken to", () => {
  test("because nothing listens gives 502, after as many tries as there may be", async () => {
    const fixture = await open(["127.0.0.1:1", "127.0.0.1:2"], retry(2));
    expect(reasonOf(await caller(fixture).call(POST))).toBe("ConnectRefused");
    expect(fixture.records).toMatchObject([{ attempts: 2 }]);
  });

  test("because it never says that it speaks HTTP/2 gives 504 at the connect time-out", async () => {
    const clock = new ManualClock();
    const end = await rawEndpoint();
    const fixture = await open([end.address], { clock, connectTimeoutMs: 2_000 });
    const answered = caller(fixture).call(GET);
    await end.until(() => end.received.startsWith("PRI * HTTP/2.0"));
    clock.advance(3_000);
    expect(reasonOf(await answered)).toBe("ConnectTimeout");
    expect(end.received).not.toContain("svc.ns");
  });

  test("gives up its place in the queue with its caller", async () => {
    const end = await rawEndpoint();
    const fixture = await open([end.address]);
    const mine = await fixture.caller();
    mine.send(CLOSE);
    await end.until(() => end.received.startsWith("PRI * HTTP/2.0"));
    mine.socket.resetAndDestroy();
    await once(mine.socket, "close");
    while (fixture.records.length === 0) await new Promise(setImmediate);
    expect(fixture.records).toMatchObject([{ failure: "ClientGone" }]);
  });

  test("because it takes no streams at all gives 502, once", async () => {
    const end = await endpoint(ok, { maxConcurrentStreams: 0 });
    expect(reasonOf(await caller(await open([end.address])).call(POST))).toBe("UpstreamReset");
    expect(end.sessions).toHaveLength(1);
  });

  test("because it fell silent is asked for a sign of life, and given up where none comes", async () => {
    const clock = new ManualClock();
    const end = await rawEndpoint();
    const fixture = await open([end.address], { clock });
    const answered = caller(fixture).call(POST);
    await end.until(() => end.received.startsWith("PRI * HTTP/2.0"));
    const socket = end.connections[0]?.socket as net.Socket;
    socket.write(settings(), "latin1");
    await end.until(() => end.received.includes("svc.ns"));
    const pings = () => framesOf(end.received.slice(PREFACE.length)).filter(({ type }) => type === 6);
    clock.advance(16_000);
    await end.until(() => pings().length === 1);
    // A sign of life, and after that it may be silent for minutes.
    socket.write(frame(6, 1, 0, pings()[0]?.payload) + frame(6, 0, 0, "are you?"), "latin1");
    await end.until(() => pings().length === 2);
    clock.advance(300_000);
    expect(pings()).toHaveLength(2);
    clock.advance(15_000);
    await end.until(() => pings().length === 3);
    clock.advance(11_000);
    expect(reasonOf(await answered)).toBe("UpstreamReset");
  });

  test.each([
    ["DATA before an answer's head", `${"\0\0\x02\0\0\0\0\0\x01"}hi`],
    ["a head without a status", "\0\0\x01\x01\x05\0\0\0\x01\x82"],
    ["a field block that cannot be decoded", "\0\0\x01\x01\x05\0\0\0\x01\x80"],
    ["an answer of 101", "\0\0\x05\x01\x04\0\0\0\x01\x08\x03101"],
    ["a push", "\0\0\x04\x05\x04\0\0\0\x01\0\0\0\x02"],
  ])("sends %s, and gets 502 for it", async (_name, bytes) => {
    const end = await rawEndpoint();
    const fixture = await open([end.address]);
    const answered = caller(fixture).call(GET);
    await end.until(() => end.received.startsWith("PRI * HTTP/2.0"));
    end.connections[0]?.socket.write("\0\0\0\x04\0\0\0\0\0", "latin1");
    await end.until(() => end.received.includes("svc.ns"));
    end.connections[0]?.socket.write(bytes, "latin1");
    expect(reasonOf(await answered)).toBe("UpstreamMalformed");
  });
});

describe("an endpoint with TLS that offers HTTP/2", () => {
  const NAME = "tulle-controller.test";
  const secured = {
    trustedCa: CERTIFICATE,
    servicePort: { scheme: "https", tls: { verify: true, serverName: NAME } },
  } as const;

  async function secureEndpoint(allowHTTP1: boolean) {
    const protocols: string[] = [];
    const server = http2.createSecureServer({ cert: CERTIFICATE, key: KEY, allowHTTP1 }, (request, response) => {
      response.setHeader("x-version", request.httpVersion);
      response.end("ok");
    });
    server.on("secureConnection", (socket) => protocols.push(String(socket.alpnProtocol)));
    server.on("upgrade", (_request, socket: net.Socket) =>
      socket.end("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello"),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    closing(server);
    return { address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`, protocols };
  }

  test("is spoken to in it, and calls share the connection", async () => {
    const { address, protocols } = await secureEndpoint(false);
    const fixture = await open([address], secured);
    for (let index = 0; index < 3; index++) expect(await fixture.exchange(CLOSE)).toContain("x-version: 2.0\r\n");
    expect(await caller(fixture).call(POST, { body: "hi" })).toMatchObject({ status: 200, body: "ok" });
    expect(protocols).toEqual(["h2"]);
  });

  test("is asked for HTTP/1.1 where a caller wants to switch protocols", async () => {
    const { address, protocols } = await secureEndpoint(true);
    const fixture = await open([address], secured);
    expect(await fixture.exchange(CLOSE)).toContain("x-version: 2.0\r\n");
    const mine = await fixture.caller();
    mine.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    await mine.until(() => mine.received.endsWith("hello"));
    expect(mine.received).toMatch(/^HTTP\/1\.1 101 /);
    expect(protocols).toEqual(["h2", "http/1.1"]);
  });
});

describe("an endpoint that sends what nobody asked for", () => {
  const answer = headers(1, 4, ":status", "200", "content-length", "2") + frame(0, 1, 1, "ok");
  const GET_ON = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

  /** An endpoint that answers the first stream of each connection, and a caller that has had one answer. */
  async function served() {
    const greeted = new Set<net.Socket>();
    const end = await rawEndpoint((socket) => {
      if (!greeted.has(socket)) socket.write(settings());
      greeted.add(socket);
    });
    const fixture = await open([end.address]);
    const mine = await fixture.caller();
    mine.send(GET_ON);
    await end.until(() =>
      framesOf((end.connections[0]?.received ?? "").slice(PREFACE.length)).some(({ type }) => type === 1),
    );
    end.connections[0]?.socket.write(answer, "latin1");
    await mine.until(() => mine.received.endsWith("ok"));
    return { end, mine };
  }

  test.each([
    ["an answer on a stream that never began", headers(3, 5, ":status", "200")],
    ["content on a stream that never began", frame(0, 1, 3, "evil")],
    ["a promise", frame(5, 4, 1, `\0\0\0\x02${headers(1, 4, ":method", "GET").slice(9)}`)],
    ["a field block in endless pieces", `${frame(1, 1, 1)}${frame(9, 0, 1).repeat(100)}`],
    ["a field block that is too long", `${frame(1, 1, 1)}${frame(9, 0, 1, "x".repeat(16_384)).repeat(5)}`],
    ["thousands of settings", settings(4, 65_535).repeat(5_000)],
  ])("loses its connection by %s, and the next call is served on another", async (_name, frames) => {
    const { end, mine } = await served();
    const [first] = end.connections;
    first?.socket.write(frames, "latin1");
    await end.until(() => first?.ended === true || first?.reset === true);
    mine.send(GET_ON);
    await end.until(() =>
      framesOf((end.connections[1]?.received ?? "").slice(PREFACE.length)).some(({ type }) => type === 1),
    );
    end.connections[1]?.socket.write(answer, "latin1");
    await mine.until(() => mine.received.split("ok").length === 3);
    expect(mine.received).not.toContain("evil");
  });
});
