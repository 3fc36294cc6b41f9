/** What is known of an exchange at its end. */
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { ExchangeRecord, RecordWants } from "./exchange-record.ts";
import { type FarEnd, type FixtureOptions, HttpFixture } from "./testkit/http-fixture.ts";
import { Http2Caller, type StreamHandler } from "./testkit/http2-peers.ts";
import { closing, farEnd, http2FarEnd } from "./testkit/plain-peers.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKS = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";
const UNTIL_CLOSE = "HTTP/1.1 200 OK\r\n\r\nhello";
const get = (more = "") => `GET /a?b HTTP/1.1\r\nHost: Example.test:80\r\nConnection: close\r\n${more}\r\n`;

/** All of a record, which is reused after it was given. */
function copyOf(record: ExchangeRecord) {
  const { protocol, method, target, host, status, grpcStatus, failure, origin, attempts } = record;
  const { bytesUp, bytesDown, durationMs, firstByteMs } = record;
  const sizes = { bytesUp, bytesDown, durationMs, firstByteMs };
  const agent = record.requestField("user-agent");
  return { protocol, method, target, host, status, grpcStatus, failure, origin, attempts, ...sizes, agent };
}

async function open(options: FixtureOptions) {
  const records: ReturnType<typeof copyOf>[] = [];
  let wake = () => {};
  const onRecord = (record: ExchangeRecord) => {
    records.push(copyOf(record));
    wake();
  };
  const proxy = closing(await HttpFixture.open({ ...options, onRecord }));
  const record = async () => {
    while (records.length === 0)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return records[0] as ReturnType<typeof copyOf>;
  };
  return { proxy, record, records };
}

async function endpoint(onData: Parameters<typeof FarEnd.listen>[0]): Promise<string> {
  return (await farEnd(onData)).address;
}

async function http2Endpoint(handle: StreamHandler): Promise<string> {
  return (await http2FarEnd(handle)).address;
}

async function http2Caller(port: number): Promise<Http2Caller> {
  return closing(new Http2Caller(port));
}

const answering = (answer: string, whole: (received: string) => boolean = () => true) =>
  endpoint((socket, received) => {
    if (whole(received)) socket.end(answer, "latin1");
  });

describe("the sizes of an exchange are those of its content, without framing", () => {
  test.each([
    ["by length", "Content-Length: 6\r\n", "abcdef", OK],
    ["in chunks", "Transfer-Encoding: chunked\r\n", "4;e=1\r\nabcd\r\n2\r\nef\r\n0\r\nX-Last: 1\r\n\r\n", CHUNKS],
    ["until the connection ends", "Content-Length: 6\r\n", "abcdef", UNTIL_CLOSE],
  ])("of HTTP/1.1, %s", async (_, field, body, answer) => {
    const end = body.slice(-4);
    const { proxy, record } = await open({ endpoints: [await answering(answer, (got) => got.endsWith(end))] });
    const caller = await proxy.caller();
    await caller.sendByteByByte(`POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${field}\r\n${body}`);
    await caller.end();
    expect(await record()).toMatchObject({ protocol: "HTTP/1.1", bytesUp: 6, bytesDown: 5, status: 200 });
  });

  test("of HTTP/1.0, which gets no chunks", async () => {
    const { proxy, record } = await open({ endpoints: [await answering(CHUNKS)] });
    expect(await proxy.exchange("GET / HTTP/1.0\r\n\r\n")).toMatch(/\r\n\r\nhello$/);
    expect(await record()).toMatchObject({ protocol: "HTTP/1.0", bytesUp: 0, bytesDown: 5 });
  });

  test("of HTTP/2 to an endpoint of HTTP/1.1", async () => {
    const { proxy, record } = await open({ endpoints: [await answering(CHUNKS, (got) => got.includes("0\r\n\r\n"))] });
    const caller = await http2Caller(proxy.port);
    await caller.call({ ":path": "/", ":method": "POST" }, { body: "abcdef" });
    expect(await record()).toMatchObject({ protocol: "HTTP/2", bytesUp: 6, bytesDown: 5, grpcStatus: -1 });
  });

  test("of HTTP/2 to an endpoint of HTTP/2", async () => {
    const address = await http2Endpoint((stream) => {
      stream.resume();
      stream.on("end", () => stream.end("hello"));
      stream.respond({ ":status": 200 });
    });
    const { proxy, record } = await open({ endpoints: [address], servicePort: { scheme: "h2c" } });
    const caller = await http2Caller(proxy.port);
    await caller.call({ ":path": "/", ":method": "POST" }, { body: "abcdef" });
    expect(await record()).toMatchObject({ protocol: "HTTP/2", bytesUp: 6, bytesDown: 5, status: 200 });
  });

  test("of a tunnel are all of its bytes, both ways", async () => {
    const address = await endpoint((socket, received) => {
      if (!received.endsWith("\r\n\r\nping"))
        socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: ws\r\nConnection: Upgrade\r\n\r\nhi");
      else socket.end(" there");
    });
    const { proxy, record } = await open({ endpoints: [address] });
    const caller = await proxy.caller();
    caller.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: ws\r\n\r\n");
    await caller.until(() => caller.received.endsWith("hi"));
    caller.send("ping");
    await caller.until(() => caller.received.endsWith("hi there"));
    caller.socket.end();
    expect(await record()).toMatchObject({ status: 101, bytesUp: 4, bytesDown: 8 });
  });

  test("of an answer of HEAD are none", async () => {
    const { proxy, record } = await open({ endpoints: [await answering(OK.slice(0, -5))] });
    await proxy.exchange(get().replace("GET", "HEAD"));
    expect(await record()).toMatchObject({ method: "HEAD", bytesDown: 0, status: 200 });
  });

  test("of an answer that broke are what the caller got of it", async () => {
    let breakOff = () => {};
    const address = await endpoint((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel");
      breakOff = () => socket.resetAndDestroy();
    });
    const { proxy, record } = await open({ endpoints: [address] });
    const caller = await proxy.caller();
    caller.send(get());
    await caller.until(() => caller.received.endsWith("hel"));
    breakOff();
    await caller.end();
    expect(await record()).toMatchObject({ status: 200, bytesDown: 3, failure: "UpstreamReset" });
  });

  test("of another try count the content once, and only the answer that was passed on", async () => {
    let tries = 0;
    const address = await endpoint((socket, received) => {
      if (received.endsWith("abcdef"))
        socket.end(++tries === 1 ? "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy" : OK);
    });
    const middlewares = { retry: { attempts: 2, statuses: [[503, 504]] as [number, number][] } };
    const { proxy, record } = await open({ endpoints: [address], servicePort: { middlewares } });
    await proxy.exchange(`PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabcdef`);
    expect(await record()).toMatchObject({ attempts: 2, bytesUp: 6, bytesDown: 5, status: 200 });
  });

  test("of an answer of ours are its content", async () => {
    const { proxy, record } = await open({ endpoints: [] });
    const answer = await proxy.exchange(get());
    const content = answer.slice(answer.indexOf("\r\n\r\n") + 4);
    expect(content.length).toBeGreaterThan(0);
    expect(await record()).toMatchObject({ failure: "NoEndpoint", bytesDown: content.length, firstByteMs: -1 });
  });
});

test("an endpoint's answer that broke before any of it left counts for nothing", async () => {
  const bad = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz";
  const { proxy, record } = await open({ endpoints: [await answering(bad)] });
  const answer = await proxy.exchange(get());
  const content = answer.slice(answer.indexOf("\r\n\r\n") + 4);
  expect(await record()).toMatchObject({ failure: "UpstreamMalformed", bytesDown: content.length, firstByteMs: -1 });
});

test("the time to the first byte ends with the answer's head, the duration with its last byte", async () => {
  const clock = new ManualClock();
  const head = OK.slice(0, -3);
  let rest = () => {};
  const address = await endpoint((socket) => {
    clock.advance(30);
    socket.write(head);
    rest = () => socket.end("llo");
  });
  const { proxy, record } = await open({ endpoints: [address], clock });
  const caller = await proxy.caller();
  caller.send(get());
  await caller.until(() => caller.received.endsWith("he"));
  clock.advance(70);
  rest();
  await caller.end();
  expect(await record()).toMatchObject({ firstByteMs: 30, durationMs: 100 });
});

describe("the status of gRPC", () => {
  const CALL = { ":path": "/a.B/C", ":method": "POST", "content-type": "application/grpc", te: "trailers" };

  test.each([
    ["of trailers", "0", 0],
    ["of trailers that say a failure", "14", 14],
    ["of one that cannot be read", "x", 2],
    ["of one that is empty", "", 2],
    ["of one that is too long", "00000000000000000000", 2],
  ])("is that %s", async (_, said, status) => {
    const address = await http2Endpoint((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": said }));
      stream.end("reply");
    });
    const { proxy, record } = await open({ endpoints: [address], servicePort: { scheme: "h2c" } });
    const caller = await http2Caller(proxy.port);
    await caller.call(CALL, { body: "ask" });
    expect(await record()).toMatchObject({ grpcStatus: status, status: 200, bytesUp: 3, bytesDown: 5 });
  });

  test("is that of the head, where it is all of the answer", async () => {
    const address = await http2Endpoint((stream) => {
      stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true });
    });
    const { proxy, record } = await open({ endpoints: [address], servicePort: { scheme: "h2c" } });
    const caller = await http2Caller(proxy.port);
    await caller.call(CALL, { body: "ask" });
    expect(await record()).toMatchObject({ grpcStatus: 5, bytesDown: 0 });
  });

  test("is ours where the answer is ours, which has no content", async () => {
    const { proxy, record } = await open({ endpoints: [], servicePort: { scheme: "h2c" } });
    const caller = await http2Caller(proxy.port);
    const { headers } = await caller.call(CALL, { body: "ask" });
    expect(headers["grpc-status"]).toBe("14");
    expect(await record()).toMatchObject({ failure: "NoEndpoint", grpcStatus: 14, bytesDown: 0 });
  });

  test("is none of a call without trailers", async () => {
    const { proxy, record } = await open({ endpoints: [await answering(OK)] });
    await proxy.exchange(get());
    expect(await record()).toMatchObject({ grpcStatus: -1 });
  });
});

test("of a call that is cut at the end of a drain there is a record when the engine has closed", async () => {
  const clock = new ManualClock();
  let asked = () => {};
  const called = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const { proxy, records } = await open({ endpoints: [await endpoint(() => asked())], clock });
  const caller = await proxy.caller();
  caller.send(get());
  await called;
  const closed = proxy.engine.close(1_000);
  clock.advance(1_000);
  await closed;
  expect(records).toHaveLength(1);
});

describe("what is only of the request's head", () => {
  const wants: RecordWants = { host: true, requestFields: ["user-agent"] };

  test("is in the record where it is wanted", async () => {
    const { proxy, record } = await open({ endpoints: [await answering(OK)], recordWants: wants });
    await proxy.exchange(get("User-Agent: curl/8\r\n"));
    expect(await record()).toMatchObject({ host: "Example.test:80", agent: "curl/8", target: "/a?b" });
  });

  test("is what the target says in absolute form", async () => {
    const { proxy, record } = await open({ endpoints: [await answering(OK)], recordWants: wants });
    await proxy.exchange(get().replace("/a?b", "http://Other.test/a"));
    expect(await record()).toMatchObject({ host: "Other.test", agent: undefined, target: "http://Other.test/a" });
  });

  test("is the authority of HTTP/2", async () => {
    const { proxy, record } = await open({ endpoints: [await answering(OK)], recordWants: wants });
    const caller = await http2Caller(proxy.port);
    await caller.call({ ":path": "/", "user-agent": "grpc-node" });
    expect(await record()).toMatchObject({ host: "svc.ns", agent: "grpc-node" });
  });

  test("is not taken where nobody wants it", async () => {
    const { proxy, record } = await open({ endpoints: [await answering(OK)] });
    await proxy.exchange(get("User-Agent: curl/8\r\n"));
    expect(await record()).toMatchObject({ host: "", agent: undefined });
  });

  test("may be wanted while the proxy runs, by requests that begin from then on", async () => {
    const later: RecordWants = { host: false, requestFields: [] };
    const address = await answering(OK, () => {
      later.requestFields = ["user-agent"];
      return true;
    });
    const { proxy, record } = await open({ endpoints: [address], recordWants: later });
    await proxy.exchange(get("User-Agent: curl/8\r\n"));
    expect(await record()).toMatchObject({ agent: undefined });
  });
});

test("the object that decided is a split's, where a split chose the endpoint", async () => {
  const origin = { kind: "TrafficSplit", namespace: "ns", name: "canary" };
  const address = await answering(OK);
  const routes = [{ origin, matches: [], backends: [{ servicePort: "ns/svc:80", weight: 1 }] }];
  const { proxy, record } = await open({ endpoints: [address], servicePort: { routes } });
  await proxy.exchange(get());
  expect(await record()).toMatchObject({ origin });
});
