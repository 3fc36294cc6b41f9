/** What a Service asks for by its time-outs, on both versions of HTTP. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { FarEnd, FixtureOptions } from "./testkit/http-fixture.ts";
import { Http2Caller } from "./testkit/http2-peers.ts";
import {
  answering,
  closing,
  farEnd,
  GET,
  http2FarEnd,
  OK,
  openProxy,
  POST,
  reasonOf,
  statusOf,
} from "./testkit/plain-peers.ts";

const open = (
  endpoints: readonly string[],
  servicePort: NonNullable<FixtureOptions["servicePort"]>,
  clock: ManualClock,
) => openProxy(endpoints, { servicePort, clock });

describe("request-timeout", () => {
  test("gives 504 when the answer has not come, and cuts the endpoint off", async () => {
    const clock = new ManualClock();
    const silent = await farEnd();
    const proxy = await open([silent.address], { timeouts: { requestMs: 300 } }, clock);
    const answered = proxy.exchange(GET);
    await silent.until(() => silent.received.endsWith("\r\n\r\n"));
    clock.advance(299);
    expect(proxy.records).toEqual([]);
    clock.advance(1);
    const answer = await answered;
    expect([statusOf(answer), reasonOf(answer)]).toEqual(["504", "ResponseTimeout"]);
    await silent.until(() => silent.connections[0]?.ended === true);
  });

  test("breaks off an answer that is not whole by then", async () => {
    const clock = new ManualClock();
    const slow = await farEnd((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"));
    const proxy = await open([slow.address], { timeouts: { requestMs: 300 } }, clock);
    const caller = await proxy.caller();
    caller.send(GET);
    await caller.until(() => caller.received.endsWith("part"));
    clock.advance(300);
    await caller.end();
    expect(caller.error).toBe("ECONNRESET");
    expect(proxy.records).toMatchObject([{ failure: "ResponseTimeout" }]);
  });

  test("is over with the answer: nothing waits for it any more", async () => {
    const clock = new ManualClock();
    const server = await answering();
    const proxy = await open([server.address], { timeouts: { requestMs: 300, tryMs: 100, connectMs: 50 } }, clock);
    const before = clock.pending;
    expect(statusOf(await proxy.exchange(GET))).toBe("200");
    expect(clock.pending).toBe(before);
  });

  test("does not end a tunnel", async () => {
    const clock = new ManualClock();
    const server = await farEnd((socket, received) => {
      if (received.endsWith("\r\n\r\n"))
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
      else socket.write("pong");
    });
    const proxy = await open([server.address], { timeouts: { requestMs: 300, tryMs: 300 } }, clock);
    const caller = await proxy.caller();
    caller.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    await caller.until(() => caller.received.includes(" 101 "));
    clock.advance(10_000);
    caller.send("ping");
    await caller.until(() => caller.received.endsWith("pong"));
    caller.socket.resetAndDestroy();
    await server.until(() => server.connections[0]?.ended === true);
  });

  test("holds along a split: the strictest of its Services", async () => {
    const clock = new ManualClock();
    const silent = await farEnd();
    const part = { namespace: "ns", port: 80, trafficType: "http", scheme: "http", middlewares: {} } as const;
    const origin = { kind: "TrafficSplit", namespace: "ns", name: "split" };
    const proxy = await openProxy([], {
      clock,
      config: {
        servicePorts: {
          "ns/svc:80": {
            ...part,
            service: "svc",
            timeouts: { requestMs: 5_000 },
            endpoints: {},
            routes: [{ origin, matches: [], backends: [{ servicePort: "ns/v1:80", weight: 1 }] }],
          },
          "ns/v1:80": { ...part, service: "v1", timeouts: { requestMs: 200 }, endpoints: { [silent.address]: {} } },
        },
      },
    });
    const answered = proxy.exchange(GET);
    await silent.until(() => silent.received.endsWith("\r\n\r\n"));
    clock.advance(200);
    expect(reasonOf(await answered)).toBe("ResponseTimeout");
  });
});

describe("try-timeout", () => {
  const settings = { timeouts: { tryMs: 100 }, middlewares: { retry: { attempts: 2 } } };

  test("moves a GET on to another endpoint", async () => {
    const clock = new ManualClock();
    const ends = [await farEnd(), await farEnd()];
    const proxy = await open(
      ends.map(({ address }) => address),
      settings,
      clock,
    );
    const answered = proxy.exchange(GET);
    const [first, second] = await firstAsked(ends);
    clock.advance(100);
    await second.until(() => second.received.endsWith("\r\n\r\n"));
    await first.until(() => first.connections[0]?.ended === true);
    second.connections[0]?.socket.write(OK);
    expect(await answered).toMatch(/ok$/);
    expect(proxy.records).toMatchObject([{ status: 200, attempts: 2 }]);
  });

  test("gives 504 to a POST that may have been acted on, and sends it nowhere else", async () => {
    const clock = new ManualClock();
    const ends = [await farEnd(), await farEnd()];
    const proxy = await open(
      ends.map(({ address }) => address),
      settings,
      clock,
    );
    const answered = proxy.exchange(POST);
    const [, second] = await firstAsked(ends);
    clock.advance(100);
    expect(reasonOf(await answered)).toBe("ResponseTimeout");
    expect(second.received).toBe("");
  });

  test("spends a try on a waiting connection too: time that ran out is no closed connection", async () => {
    const clock = new ManualClock();
    const server = await farEnd((socket, received) => {
      if (received.split("\r\n\r\n").length === 2) socket.write(OK);
    });
    const proxy = await open([server.address], { timeouts: { tryMs: 100 } }, clock);
    const caller = await proxy.caller();
    const request = GET.replace("Connection: close\r\n", "");
    caller.send(request);
    await caller.until(() => caller.received.endsWith("ok"));
    caller.send(request);
    await server.until(() => server.received.split("GET ").length === 3);
    clock.advance(100);
    await caller.until(() => caller.received.includes("504"));
    expect(server.connections).toHaveLength(1);
  });

  test("does not end an answer that has begun", async () => {
    const clock = new ManualClock();
    const server = await farEnd((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npart"));
    const proxy = await open([server.address], settings, clock);
    const caller = await proxy.caller();
    caller.send(GET);
    await caller.until(() => caller.received.endsWith("part"));
    clock.advance(10_000);
    server.connections[0]?.socket.write("rest");
    expect(await caller.end()).toMatch(/partrest$/);
  });

  test("resets the stream of an endpoint that speaks HTTP/2", async () => {
    const clock = new ManualClock();
    const end = await http2FarEnd(() => {});
    const proxy = await open([end.address], { scheme: "h2c", timeouts: { tryMs: 100 } }, clock);
    const caller = closing(new Http2Caller(proxy.port));
    const answered = caller.call({ ":path": "/" });
    const [stream] = await once(end.server, "stream");
    clock.advance(100);
    expect((await answered).headers["x-tulle-reason"]).toBe("ResponseTimeout");
    if (!stream.closed) await once(stream, "close");
    expect(end.sessions[0]?.closed).toBe(false);
  });

  async function firstAsked(ends: readonly FarEnd[]): Promise<[FarEnd, FarEnd]> {
    const [a, b] = ends as [FarEnd, FarEnd];
    await Promise.race(ends.map((end) => end.until(() => end.received !== "")));
    return a.received === "" ? [b, a] : [a, b];
  }
});

describe("connect-timeout", () => {
  test("is to the millisecond, and TLS is part of connecting", async () => {
    const clock = new ManualClock();
    const silent = await farEnd();
    const settings = {
      scheme: "https",
      tls: { verify: false, serverName: "svc" },
      timeouts: { connectMs: 150 },
    } as const;
    const proxy = await open([silent.address], settings, clock);
    const answered = proxy.exchange(POST);
    await silent.until(() => silent.received !== "");
    clock.advance(149);
    expect(proxy.records).toEqual([]);
    clock.advance(1);
    expect(reasonOf(await answered)).toBe("ConnectTimeout");
  });

  test("moves even a POST on: nothing was sent", async () => {
    const clock = new ManualClock();
    const silent = await farEnd();
    const settings = {
      scheme: "https",
      tls: { verify: false, serverName: "svc" },
      timeouts: { connectMs: 150 },
      middlewares: { retry: { attempts: 2 } },
    } as const;
    const proxy = await open([silent.address], settings, clock);
    const answered = proxy.exchange(POST);
    await silent.until(() => silent.connections.length === 1);
    clock.advance(150);
    await silent.until(() => silent.connections.length === 2 && silent.connections[1]?.received !== "");
    clock.advance(150);
    expect(reasonOf(await answered)).toBe("ConnectTimeout");
    expect(proxy.records).toMatchObject([{ attempts: 2 }]);
  });
});

describe("idle-timeout", () => {
  test("ends an exchange whose endpoint is silent, and not one that moves", async () => {
    const clock = new ManualClock();
    const server = await farEnd();
    const proxy = await open([server.address], { timeouts: { idleMs: 5_000 } }, clock);
    const caller = await proxy.caller();
    caller.send(GET);
    await server.until(() => server.received.endsWith("\r\n\r\n"));
    clock.advance(4_000);
    server.connections[0]?.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart");
    await caller.until(() => caller.received.endsWith("part"));
    clock.advance(4_000);
    expect(proxy.records).toEqual([]);
    clock.advance(2_000);
    await caller.end();
    expect(proxy.records).toMatchObject([{ status: 200, failure: "IdleTimeout" }]);
  });

  test("ends a silent tunnel", async () => {
    const clock = new ManualClock();
    const server = await farEnd((socket) =>
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"),
    );
    const proxy = await open([server.address], { timeouts: { idleMs: 5_000 } }, clock);
    const caller = await proxy.caller();
    caller.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    await caller.until(() => caller.received.includes(" 101 "));
    clock.advance(6_000);
    await caller.end();
    expect(proxy.records).toMatchObject([{ status: 101, failure: "IdleTimeout" }]);
  });

  test("blames the caller for content that it owes", async () => {
    const clock = new ManualClock();
    const server = await farEnd();
    const proxy = await open([server.address], { timeouts: { idleMs: 5_000 } }, clock);
    const caller = await proxy.caller();
    caller.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\npart");
    await server.until(() => server.received.endsWith("part"));
    clock.advance(6_000);
    expect(statusOf(await caller.end())).toBe("408");
    expect(proxy.records).toMatchObject([{ failure: "BodyTimeout" }]);
  });
});
