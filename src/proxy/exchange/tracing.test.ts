/** Traces through the proxy: spans of exchanges and tries, and the context that endpoints get. */
import { afterEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { PendingSpans, Span } from "../tracing/span.ts";
import { FarEnd, HttpFixture } from "./testkit/http-fixture.ts";
import { expectTrace, get, linesOf, openTraced, PARENT, SAMPLED, TRACE } from "./testkit/traced-proxy.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BUSY = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const open: typeof openTraced = async (...options) => {
  const traced = await openTraced(...options);
  closing.push(() => traced.proxy.close());
  return traced;
};

async function answering(answer = OK): Promise<FarEnd> {
  const end = await FarEnd.answering(answer);
  closing.push(() => end.close());
  return end;
}

describe("without tracing, a context", () => {
  test("passes byte for byte, whatever is in it", async () => {
    const end = await answering();
    const proxy = await HttpFixture.open({ endpoints: [end.address] });
    closing.push(() => proxy.close());
    const lines = [`TraceParent: ${SAMPLED}`, "traceparent: junk", "tracestate:a=b", "B3: 0", "X-B3-TraceId:  1 "];
    await proxy.exchange(get(...lines));
    for (const line of lines) expect(end.received).toContain(`\r\n${line}\r\n`);
  });
});

describe("a trace that begins at the proxy", () => {
  test("has a span of the exchange, and below it one of the try, which is what the endpoint's spans hang on", async () => {
    const end = await answering();
    const { proxy, spans, traceIds } = await open([end.address]);
    await proxy.exchange(get("User-Agent: curl/8"));
    const [server, client] = expectTrace(spans, 1) as [Span, Span];
    expect(linesOf(end.received, "traceparent")).toEqual([`00-${server.traceId}-${client.spanId}-01`]);
    expect(traceIds).toEqual([server.traceId]);
    const [address = "", port = ""] = end.address.split(":");
    expect(server).toMatchObject({ name: "GET ns/svc:80", failed: false });
    expect(server.attributes).toEqual({
      "http.request.method": "GET",
      "url.path": "/shop/cart",
      "url.scheme": "http",
      "server.address": "svc.ns",
      "server.port": 80,
      "client.address": "127.0.0.1",
      "network.protocol.version": "1.1",
      "user_agent.original": "curl/8",
      "http.response.status_code": 200,
      "http.request.body.size": 0,
      "http.response.body.size": 2,
      "tulle.service_port": "ns/svc:80",
      "tulle.attempts": 1,
    });
    expect(client.attributes).toEqual({
      "http.request.method": "GET",
      "url.path": "/shop/cart",
      "url.full": `http://${end.address}/shop/cart`,
      "server.address": address,
      "server.port": Number(port),
      "network.protocol.version": "1.1",
      "http.response.status_code": 200,
      "tulle.service_port": "ns/svc:80",
      "tulle.attempt": 1,
    });
  });

  test("is told to the endpoint when it is not recorded, so that nobody behind decides anew", async () => {
    const end = await answering();
    const { proxy, spans, traceIds } = await open([end.address], { ratio: 1e-12 });
    await proxy.exchange(get());
    expect(spans).toEqual([]);
    expect(traceIds).toEqual([""]);
    expect(linesOf(end.received, "traceparent")).toEqual([expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)]);
  });

  test("does not begin with a share of 0", async () => {
    const end = await answering();
    const { proxy, spans } = await open([end.address], { ratio: 0 });
    await proxy.exchange(get());
    expect([spans, linesOf(end.received, "traceparent")]).toEqual([[], []]);
  });

  test("takes the place of a context that cannot be read, and of the state that came with it", async () => {
    const end = await answering();
    const { proxy, spans } = await open([end.address]);
    await proxy.exchange(get("Traceparent: 00-xyz", "TraceState: a=b", "Accept: x"));
    const [server, client] = expectTrace(spans, 1) as [Span, Span];
    expect(linesOf(end.received, "traceparent")).toEqual([`00-${server.traceId}-${client.spanId}-01`]);
    expect(linesOf(end.received, "tracestate")).toEqual([]);
    expect(end.received).toContain("\r\nAccept: x\r\n");
  });

  test("begins beside a context in a form that is not read, which passes as it came", async () => {
    const end = await answering();
    const { proxy, spans } = await open([end.address]);
    const alien = `${TRACE}:${PARENT}:0:1`;
    await proxy.exchange(get(`uber-trace-id: ${alien}`));
    const [server, client] = expectTrace(spans, 1) as [Span, Span];
    expect(server.traceId).not.toBe(TRACE);
    expect(linesOf(end.received, "uber-trace-id")).toEqual([alien]);
    expect(linesOf(end.received, "traceparent")).toEqual([`00-${server.traceId}-${client.spanId}-01`]);
  });

  test("has the first form of the settings", async () => {
    const end = await answering();
    const { proxy, spans } = await open([end.address], { propagators: ["b3multi", "tracecontext"] });
    await proxy.exchange(get());
    const [server, client] = expectTrace(spans, 1) as [Span, Span];
    expect(linesOf(end.received, "x-b3-traceid")).toEqual([server.traceId]);
    expect(linesOf(end.received, "x-b3-spanid")).toEqual([client.spanId]);
    expect(linesOf(end.received, "x-b3-sampled")).toEqual(["1"]);
    expect(linesOf(end.received, "traceparent")).toEqual([]);
  });
});

describe("a caller's trace", () => {
  test("goes on below the caller's span, with its state, in the form in which it came", async () => {
    const end = await answering();
    const { proxy, spans } = await open([end.address], { ratio: 0 });
    await proxy.exchange(get(`traceparent: ${SAMPLED}`, "tracestate: vendor=1", "tracestate: other=2"));
    const [server, client] = expectTrace(spans, 1, PARENT) as [Span, Span];
    expect(server.traceId).toBe(TRACE);
    expect(linesOf(end.received, "traceparent")).toEqual([`00-${TRACE}-${client.spanId}-01`]);
    expect(linesOf(end.received, "tracestate")).toEqual(["vendor=1", "other=2"]);
  });

  test("goes on in every form in which it came", async () => {
    const end = await answering();
    const { proxy, spans } = await open([end.address]);
    await proxy.exchange(
      get(`b3: ${TRACE}-${PARENT}-1-${PARENT}`, `X-B3-TraceId: ${TRACE}`, `X-B3-ParentSpanId: ${PARENT}`),
    );
    const [, client] = expectTrace(spans, 1, PARENT) as [Span, Span];
    expect(linesOf(end.received, "b3")).toEqual([`${TRACE}-${client.spanId}-1`]);
    expect(linesOf(end.received, "x-b3-traceid")).toEqual([TRACE]);
    expect(linesOf(end.received, "x-b3-spanid")).toEqual([client.spanId]);
    expect(linesOf(end.received, "x-b3-parentspanid")).toEqual([]);
    expect(linesOf(end.received, "traceparent")).toEqual([]);
  });

  test.each([
    ["that is not recorded", [`Traceparent: 00-${TRACE}-${PARENT}-00`, "tracestate: a=b"]],
    ["of which B3 says no more than no", ["b3: 0"]],
  ])("%s passes byte for byte", async (_, lines) => {
    const end = await answering();
    const { proxy, spans } = await open([end.address]);
    await proxy.exchange(get(...lines));
    expect(spans).toEqual([]);
    expect(end.received).toContain(`\r\n${lines.join("\r\n")}\r\n`);
    expect(end.received.match(/^(traceparent|b3):/gim)).toHaveLength(1);
  });

  test("passes byte for byte beyond the rate, and its spans at the endpoint still have their parent", async () => {
    const end = await answering();
    const { proxy, spans } = await open([end.address], { perSecond: 1 }, { clock: new ManualClock() });
    await proxy.exchange(get(`traceparent: ${SAMPLED}`));
    await proxy.exchange(get(`traceparent: ${SAMPLED}`));
    expect(spans).toHaveLength(2);
    expect(linesOf(end.received, "traceparent")[1]).toBe(SAMPLED);
  });

  test("is recorded when B3 orders it without an id", async () => {
    const end = await answering();
    const { proxy, spans } = await open([end.address], { ratio: 0 });
    await proxy.exchange(get("b3: d"));
    const [server, client] = expectTrace(spans, 1) as [Span, Span];
    expect(linesOf(end.received, "b3")).toEqual([`${server.traceId}-${client.spanId}-d`]);
  });

  test("that is a connection's own is none", async () => {
    const end = await answering();
    const { proxy, spans } = await open([end.address]);
    await proxy.exchange(
      `GET / HTTP/1.1\r\nHost: h\r\nConnection: close, traceparent\r\ntraceparent: ${SAMPLED}\r\n\r\n`,
    );
    expectTrace(spans, 1);
    expect(linesOf(end.received, "traceparent")).toHaveLength(1);
  });
});

describe("tries", () => {
  test("have a span each, and each carries its own", async () => {
    let answers = 0;
    const end = await FarEnd.listen((socket) => socket.write(++answers < 3 ? BUSY : OK));
    closing.push(() => end.close());
    const retry = { attempts: 3, statuses: [[503, 504]] as [number, number][] };
    const { proxy, spans } = await open([end.address], {}, { servicePort: { middlewares: { retry } } });
    await proxy.exchange(get());
    const [server, ...clients] = expectTrace(spans, 3);
    expect(server.attributes).toMatchObject({ "http.response.status_code": 200, "tulle.attempts": 3 });
    expect(clients.map(({ attributes }) => attributes["http.response.status_code"])).toEqual([503, 503, 200]);
    expect(clients.map(({ failed }) => failed)).toEqual([true, true, false]);
    expect(clients.map(({ attributes }) => attributes["http.request.resend_count"])).toEqual([undefined, 1, 2]);
    const carried = clients.map(({ spanId }) => `00-${server.traceId}-${spanId}-01`);
    expect(linesOf(end.received, "traceparent")).toEqual(carried);
  });

  test.each([
    ["removes", { remove: ["traceparent"] }],
    ["sets", { set: { traceparent: "x" } }],
    ["adds", { add: { traceparent: "x" } }],
  ])("carry each its own, and nothing else, where the route %s that field", async (_, change) => {
    let answers = 0;
    const end = await FarEnd.listen((socket) => socket.write(++answers % 2 === 1 ? BUSY : OK));
    closing.push(() => end.close());
    const origin = { kind: "HTTPRoute", namespace: "ns", name: "route" } as const;
    const filters = [{ type: "requestHeaders" as const, ...change }];
    const routes = [{ origin, matches: [], filters, backends: [{ servicePort: "ns/svc:80", weight: 1 }] }];
    const retry = { attempts: 2, statuses: [[503, 504]] as [number, number][] };
    const { proxy, spans } = await open([end.address], {}, { servicePort: { routes, middlewares: { retry } } });
    await proxy.exchange(get());
    await proxy.exchange(get(`traceparent: ${SAMPLED}`));
    const clients = [expectTrace(spans.slice(0, 3), 2), expectTrace(spans.slice(3), 2, PARENT)].map((each) =>
      each.slice(1),
    );
    const carried = clients.flat().map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`);
    expect(linesOf(end.received, "traceparent")).toEqual(carried);
  });

  test("that met a closed connection are told too", async () => {
    let connections = 0;
    const end = await FarEnd.listen((socket, _, connection) => {
      connections = connection;
      if (connection === 1 && end.connections[0]?.received.split("\r\n\r\n").length === 3) socket.resetAndDestroy();
      else socket.write(OK);
    });
    closing.push(() => end.close());
    const { proxy, spans } = await open([end.address]);
    await proxy.exchange(get());
    spans.length = 0;
    await proxy.exchange(get());
    expect(connections).toBe(2);
    const [server, first, second] = expectTrace(spans, 2) as [Span, Span, Span];
    expect(first).toMatchObject({ failed: true, attributes: { "tulle.failure": "UpstreamReset" } });
    expect(second).toMatchObject({ failed: false, attributes: { "tulle.attempt": 2 } });
    expect(server.attributes["tulle.attempts"]).toBe(1);
  });

  test("that reached nobody say so, and the exchange with them", async () => {
    const { proxy, spans } = await open(["127.0.0.1:1"]);
    await proxy.exchange(get());
    const [server, client] = expectTrace(spans, 1) as [Span, Span];
    expect(server).toMatchObject({ failed: true, attributes: { "error.type": "ConnectRefused" } });
    expect(client).toMatchObject({ failed: true, attributes: { "tulle.failure": "ConnectRefused" } });
    expect(client.attributes).not.toHaveProperty("http.response.status_code");
  });

  test("that took too long say so", async () => {
    const clock = new ManualClock();
    const end = await FarEnd.listen();
    closing.push(() => end.close());
    const timeouts = { requestMs: 500 };
    const { proxy, spans } = await open([end.address], {}, { clock, servicePort: { timeouts } });
    const answered = proxy.exchange(get());
    await end.until(() => end.received !== "");
    clock.advance(500);
    expect(await answered).toMatch(/^HTTP\/1\.1 504/);
    const [server, client] = expectTrace(spans, 1) as [Span, Span];
    for (const span of [server, client]) {
      expect(span).toMatchObject({ failed: true, attributes: { "error.type": "ResponseTimeout" } });
      expect(span.endMs - span.startMs).toBe(500);
    }
  });
});

test("a split's span names the split and the backend it chose", async () => {
  const end = await answering();
  const origin = { kind: "TrafficSplit", namespace: "ns", name: "canary" };
  const common = { namespace: "ns", port: 80, trafficType: "http", scheme: "http", middlewares: {} } as const;
  const backend = { ...common, service: "v2", endpoints: { [end.address]: { pod: "ns/v2-0" } } };
  const routes = [{ origin, matches: [], backends: [{ servicePort: "ns/v2:80", weight: 1 }] }];
  const servicePorts = { "ns/svc:80": { ...common, service: "svc", endpoints: {}, routes }, "ns/v2:80": backend };
  const { proxy, spans } = await open([], {}, { config: { servicePorts } });
  await proxy.exchange(get());
  const [server, client] = expectTrace(spans, 1) as [Span, Span];
  expect(server.attributes).toMatchObject({
    "tulle.service_port": "ns/svc:80",
    "tulle.backend": "ns/v2:80",
    "tulle.decided_by": "TrafficSplit ns/canary",
  });
  expect(client).toMatchObject({
    name: "GET ns/v2:80",
    attributes: { "tulle.service_port": "ns/v2:80", "tulle.endpoint.pod": "ns/v2-0" },
  });
});

describe("access control", () => {
  const workloads = { "127.0.0.1": { namespace: "ns", pod: "caller-0", serviceAccount: "caller" } };

  test("that denies is told, with no try", async () => {
    const end = await answering();
    const { proxy, spans } = await open([end.address], {}, { config: { accessControl: "on", workloads } });
    await proxy.exchange(get());
    const [server] = expectTrace(spans, 0);
    expect(server).toMatchObject({
      // The caller is at fault: the service did as it should.
      failed: false,
      attributes: {
        "http.response.status_code": 403,
        "tulle.failure": "AccessDenied",
        "tulle.caller.pod": "ns/caller-0",
        "tulle.caller.identity": "ns/caller",
      },
    });
  });

  test("that would deny is told", async () => {
    const end = await answering();
    const { proxy, spans } = await open([end.address], {}, { config: { accessControl: "audit", workloads } });
    await proxy.exchange(get());
    expect(spans[0]?.attributes).toMatchObject({ "tulle.would_deny": true, "http.response.status_code": 200 });
  });
});

test("spans tell what was, though they are written when other requests have passed and the endpoint has gone", async () => {
  const end = await answering();
  const pending: PendingSpans[] = [];
  const { proxy } = await open([end.address], { onRecorded: (each) => pending.push(each) });
  await proxy.exchange(get("User-Agent: first"));
  const early = pending[0]?.write();
  proxy.apply({ endpoints: ["127.0.0.1:1"], servicePort: { scheme: "https" } });
  await proxy.exchange("POST /other HTTP/1.1\r\nHost: o\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  expect(pending[0]?.write()).toEqual(early);
  expect(early?.[1]?.attributes["url.full"]).toBe(`http://${end.address}/shop/cart`);
});

test("a tunnel's span lasts as long as the tunnel", async () => {
  const clock = new ManualClock();
  const end = await FarEnd.listen((socket, received) => {
    if (received.endsWith("\r\n\r\n"))
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: ws\r\nConnection: Upgrade\r\n\r\n");
    else socket.end("bye");
  });
  closing.push(() => end.close());
  const { proxy, spans } = await open([end.address], {}, { clock });
  const caller = await proxy.caller();
  caller.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: ws\r\n\r\n");
  await caller.until(() => caller.received.endsWith("\r\n\r\n"));
  expect(linesOf(end.received, "traceparent")).toHaveLength(1);
  expect(spans).toEqual([]);
  clock.advance(60_000);
  caller.socket.end("hello");
  expect(await caller.end()).toMatch(/bye$/);
  const [server, client] = expectTrace(spans, 1) as [Span, Span];
  expect(server.attributes).toMatchObject({ "http.response.status_code": 101, "http.request.body.size": 5 });
  expect([server.endMs - server.startMs, client.endMs - client.startMs]).toEqual([60_000, 60_000]);
});

test("what a caller may make long is cut, and its methods are names of ours", async () => {
  const end = await answering();
  const { proxy, spans } = await open([end.address]);
  const long = "x".repeat(5000);
  await proxy.exchange(
    `${"M".repeat(400)} /${long} HTTP/1.1\r\nHost: h\r\nUser-Agent: ${long}\r\nConnection: close\r\n\r\n`,
  );
  const [server, client] = expectTrace(spans, 1) as [Span, Span];
  expect([server.name, client.name]).toEqual(["HTTP ns/svc:80", "HTTP ns/svc:80"]);
  for (const { attributes } of [server, client])
    for (const value of Object.values(attributes)) expect(String(value).length).toBeLessThan(1100);
});
