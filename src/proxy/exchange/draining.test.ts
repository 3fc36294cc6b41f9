/** How connections end whose proxy, Service or endpoint goes. */
import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { ServicePortState } from "../router/types.ts";
import { answering, farEnd, GET, KEPT_GET, OK, openProxy } from "./testkit/plain-peers.ts";

describe("draining", () => {
  test("ends quiet connections at once, tells busy ones, and waits for their answers", async () => {
    let release: () => void = () => {};
    const server = await farEnd((socket) => {
      release = () => socket.write(OK);
    });
    const clock = new ManualClock();
    const proxy = await openProxy(server, { clock });
    const idle = await proxy.caller();
    const busy = await proxy.caller();
    busy.send(KEPT_GET);
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
    const proxy = await openProxy(server, { clock });
    const [fresh, silent] = [await proxy.caller(), await proxy.caller()];
    while (proxy.engine.openConnections < 2) await setImmediate();
    const closed = proxy.engine.close(10_000);
    fresh.send(KEPT_GET);
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
    const proxy = await openProxy(server, { clock });
    const caller = await proxy.caller();
    caller.send(KEPT_GET);
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
    const proxy = await openProxy(server, { clock });
    const caller = await proxy.caller();
    caller.send(KEPT_GET);
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
    const proxy = await openProxy(server, { clock });
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
    const proxy = await openProxy(server, { clock });
    const [busy, quiet] = [await proxy.caller(), await proxy.caller()];
    busy.send(KEPT_GET);
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
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    caller.send(KEPT_GET);
    await caller.until(() => caller.received.endsWith("ok"));
    const [gone] = proxy.table.servicePorts();
    proxy.applyNothing();
    proxy.engine.drainServicePort(gone as ServicePortState);
    proxy.apply({ endpoints: [server.address] });
    caller.send(KEPT_GET);
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
    const proxy = await openProxy(leaving);
    const [slow, quick] = [await proxy.caller(), await proxy.caller()];
    quick.send(KEPT_GET);
    await quick.until(() => quick.received.endsWith("ok"));
    const busy = leaving.connections[0];
    slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    quick.send(KEPT_GET);
    await leaving.until(() => leaving.received.includes("/slow") && leaving.connections.length === 2);
    await quick.until(() => quick.received.split("ok").length === 3);
    proxy.apply({ endpoints: [staying.address] });
    const waiting = leaving.connections.find((each) => each !== busy);
    await leaving.until(() => waiting?.ended === true || waiting?.reset === true);
    for (let call = 0; call < 10; call++) await proxy.exchange(GET);
    expect(staying.received.match(/GET/g)).toHaveLength(10);
    release();
    await slow.until(() => slow.received.endsWith("ok"));
    await leaving.until(() => busy?.ended === true || busy?.reset === true);
    expect(leaving.received.match(/GET/g)).toHaveLength(3);
  });
});
