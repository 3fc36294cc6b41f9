/** A Service's max-connections and max-pending, on both versions of HTTP. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { HttpFixture } from "./testkit/http-fixture.ts";
import { Http2Caller, type StreamHandler } from "./testkit/http2-peers.ts";
import { answering, closing, farEnd, GET, http2FarEnd, OK, openProxy, POST, reasonOf } from "./testkit/plain-peers.ts";

const limits = (maxConnections: number, maxPending?: number) => ({
  servicePort: { limits: { maxConnections, ...(maxPending === undefined ? {} : { maxPending }) } },
});

/** Callers whose calls have reached the proxy, so far as it can read them. */
async function waitingAt(proxy: HttpFixture, count: number): Promise<void> {
  const connections = proxy.table.servicePort("ns/svc:80")?.connections;
  while (connections?.waiting !== count) await new Promise(setImmediate);
}

describe("endpoints of HTTP/1.1", () => {
  test("get no more connections at once than the Service lets, and every call is served", async () => {
    let most = 0;
    let now = 0;
    const server = await farEnd((socket, received) => {
      if (!received.endsWith("\r\n\r\n")) return;
      now++;
      most = Math.max(most, now);
      setImmediate(() => {
        now--;
        socket.write(OK);
      });
    });
    const proxy = await openProxy(server, limits(2));
    const answers = await Promise.all(Array.from({ length: 20 }, () => proxy.exchange(GET)));
    expect(answers.every((answer) => answer.endsWith("ok"))).toBe(true);
    expect(most).toBeLessThanOrEqual(2);
    expect(server.connections).toHaveLength(2);
  });

  test("beyond max-pending give 503 at once, and a call that waits is served when one ends", async () => {
    const server = await farEnd();
    const proxy = await openProxy(server, limits(1, 1));
    const first = proxy.exchange(GET);
    await server.until(() => server.received.endsWith("\r\n\r\n"));
    const second = proxy.exchange(POST);
    await waitingAt(proxy, 1);
    const third = await proxy.exchange(GET);
    expect([third.slice(9, 12), reasonOf(third)]).toEqual(["503", "Overloaded"]);
    server.connections[0]?.socket.write(OK);
    expect(await first).toMatch(/ok$/);
    await server.until(() => server.received.endsWith("hi"));
    expect(server.connections).toHaveLength(1);
    server.connections[0]?.socket.write(OK);
    expect(await second).toMatch(/ok$/);
  });

  test("keep a call waiting no longer than connecting may take", async () => {
    const clock = new ManualClock();
    const server = await farEnd();
    const proxy = await openProxy(server, { ...limits(1), connectTimeoutMs: 2_000, clock });
    const first = proxy.exchange(GET);
    await server.until(() => server.received.endsWith("\r\n\r\n"));
    const second = proxy.exchange(GET);
    await waitingAt(proxy, 1);
    clock.advance(2_000);
    expect(reasonOf(await second)).toBe("Overloaded");
    server.connections[0]?.socket.write(OK);
    expect(await first).toMatch(/ok$/);
  });

  test("share the limit: a connection that stands is taken before another is opened", async () => {
    const servers = [await answering(), await answering(), await answering()];
    const proxy = await openProxy(
      servers.map(({ address }) => address),
      limits(1),
    );
    for (let call = 0; call < 6; call++) expect(await proxy.exchange(GET)).toMatch(/ok$/);
    expect(servers.map(({ connections }) => connections.length).sort()).toEqual([0, 0, 1]);
  });

  test("lose a waiting connection that a POST may not use, so that it gets one of its own", async () => {
    const clock = new ManualClock();
    const server = await answering();
    const proxy = await openProxy(server, { ...limits(1), clock });
    await proxy.exchange(GET);
    clock.advance(5_000);
    expect(await proxy.exchange(POST)).toMatch(/ok$/);
    expect(server.connections.map(({ ended }) => ended)).toEqual([true, false]);
    expect(proxy.engine.openUpstreamConnections).toBe(1);
  });

  test("are not asked for those who left the queue", async () => {
    const server = await farEnd();
    const proxy = await openProxy(server, limits(1));
    const first = proxy.exchange(GET);
    await server.until(() => server.received.endsWith("\r\n\r\n"));
    const gone = await proxy.caller();
    gone.send(POST);
    await waitingAt(proxy, 1);
    gone.socket.resetAndDestroy();
    await waitingAt(proxy, 0);
    server.connections[0]?.socket.write(OK);
    await first;
    expect(server.received).not.toContain("POST");
    expect(proxy.records.map(({ failure }) => failure)).toEqual(["ClientGone", ""]);
  });

  test("are tried again within the limit, by a call that waits for nobody", async () => {
    const server = await answering();
    const proxy = await openProxy(["127.0.0.1:1", server.address], {
      servicePort: { limits: { maxConnections: 1, maxPending: 0 }, middlewares: { retry: { attempts: 2 } } },
    });
    for (let call = 0; call < 4; call++) expect(await proxy.exchange(POST)).toMatch(/ok$/);
  });
});

describe("endpoints of HTTP/2", () => {
  const endpoint = (handle: StreamHandler, maxConcurrentStreams: number) =>
    http2FarEnd(handle, { maxConcurrentStreams });

  const h2c = (maxConnections: number, maxPending: number) => ({
    servicePort: { scheme: "h2c", limits: { maxConnections, maxPending } } as const,
  });

  test("get their calls over as many connections as may be, each as full as the endpoint lets", async () => {
    const end = await endpoint((stream) => {
      setImmediate(() => {
        stream.respond({ ":status": 200 });
        stream.end("ok");
      });
    }, 2);
    const proxy = await openProxy([end.address], h2c(1, 100));
    const caller = closing(new Http2Caller(proxy.port));
    const answers = await Promise.all(Array.from({ length: 50 }, () => caller.call({ ":path": "/" })));
    expect(answers.every(({ body }) => body === "ok")).toBe(true);
    expect(end.sessions).toHaveLength(1);
  });

  test("give 503 to who finds neither room nor a place to wait", async () => {
    const end = await endpoint(() => {}, 1);
    const proxy = await openProxy([end.address], h2c(1, 0));
    const caller = closing(new Http2Caller(proxy.port));
    const busy = caller.open({ ":path": "/" });
    busy.on("error", () => {});
    await once(end.server, "stream");
    // The endpoint's settings have come with the session that serves the first call.
    const answer = await caller.call({ ":path": "/", ":method": "POST" }, { body: "hi" });
    expect(answer.headers["x-tulle-reason"]).toBe("Overloaded");
  });
});

describe("whatever the endpoints do", () => {
  test.each(["http", "h2c"] as const)(
    "no limit is exceeded, nobody is forgotten, and nothing is left: %s",
    async (scheme) => {
      let calls = 0;
      const fine = await answering();
      const resets = await farEnd((socket) => {
        if (++calls % 2 === 0) socket.resetAndDestroy();
        else socket.write("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
      });
      const http2 = await http2FarEnd(
        (stream) => {
          if (++calls % 3 === 0) stream.close(2);
          else if (calls % 7 === 0) stream.session?.destroy();
          else {
            stream.respond({ ":status": calls % 5 === 0 ? 503 : 200 });
            stream.end("ok");
          }
        },
        { maxConcurrentStreams: 3 },
      );
      const endpoints = scheme === "http" ? [fine.address, resets.address] : [http2.address];
      const proxy = await openProxy([...endpoints, "127.0.0.1:1"], {
        servicePort: {
          scheme,
          limits: { maxConnections: 3, maxPending: 1_000 },
          timeouts: { tryMs: 10_000, requestMs: 60_000 },
          middlewares: { retry: { attempts: 3, statuses: [[503, 504]] } },
          balancing: { algorithm: "ewma", ejection: { failures: 3 }, slowStartMs: 1_000 },
        },
      });
      const state = proxy.table.servicePort("ns/svc:80");
      let most = 0;
      const texts = Array.from({ length: 300 }, async (_, index) => {
        const caller = await proxy.caller();
        caller.send(index % 4 === 0 ? POST : GET);
        most = Math.max(most, state?.connections.open ?? 0);
        if (index % 9 === 0) caller.socket.resetAndDestroy();
        await caller.end();
        caller.socket.end();
        most = Math.max(most, state?.connections.open ?? 0);
        return caller.received;
      });
      const statuses = new Set((await Promise.all(texts)).map((text) => text.slice(9, 12)));
      expect([...statuses].filter((status) => !["", "200", "502", "503"].includes(status))).toEqual([]);
      expect(statuses).toContain("200");
      expect(most).toBeLessThanOrEqual(3);
      while (proxy.engine.openConnections > 0) await new Promise(setImmediate);
      expect(state?.connections.waiting).toBe(0);
      expect(state?.endpoints.map(({ outstanding }) => outstanding)).toEqual(state?.endpoints.map(() => 0));
      expect(proxy.engine.openUpstreamConnections).toBe(state?.connections.open);
    },
  );
});
