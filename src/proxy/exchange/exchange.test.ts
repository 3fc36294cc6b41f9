/** A request that reaches its endpoint, as the endpoint sees it, and its caller the answer. */
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { answering, bodyOf, farEnd, GET, KEPT_GET, OK, openProxy, statusOf } from "./testkit/plain-peers.ts";

describe("a request that passes", () => {
  test("keeps target, fields, their order and case, byte for byte, and says where it came from", async () => {
    const server = await answering(OK);
    const proxy = await openProxy(server);
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
    const proxy = await openProxy(server);
    await proxy.exchange(
      "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nTE: trailers, deflate\r\n" +
        "Proxy-Connection: close\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\nX-End: 1\r\n\r\n",
    );
    expect(server.received).toMatch(/^GET \/ HTTP\/1.1\r\nHost: h\r\nX-End: 1\r\nX-Forwarded-For/);
    expect(server.received).toMatch(/TE: trailers\r\nConnection: TE\r\n\r\n$/);
  });

  test("has the caller appended to an X-Forwarded-For that it brings, and keeps the other forwarding fields", async () => {
    const server = await answering(OK);
    const proxy = await openProxy(server);
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
    const proxy = await openProxy(server);
    await proxy.exchange("GET http://real:81/p?q HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n");
    expect(server.received).toMatch(/^GET \/p\?q HTTP\/1.1\r\nHost: real:81\r\n/);
    expect(server.received).not.toContain("other");
  });

  test("is followed by others on the same connections", async () => {
    const server = await answering(OK);
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    for (let request = 1; request <= 3; request++) {
      caller.send(KEPT_GET);
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
    const proxy = await openProxy(server);
    const requests = [1, 2, 3].map(
      (n) => `GET /${n} HTTP/1.1\r\nHost: h\r\n${n === 3 ? "Connection: close\r\n" : ""}\r\n`,
    );
    const answer = await proxy.exchange(requests.join(""));
    expect(answer.split("HTTP/1.1").slice(1).map(bodyOf)).toEqual(["1", "2", "3"]);
  });

  test("may be pipelined by a caller that does not read, at a bounded number of answers", async () => {
    const body = "x".repeat(20_000);
    const server = await answering(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    caller.socket.pause();
    const count = 5000;
    caller.send(KEPT_GET.repeat(count - 1) + GET);
    // Another caller's answers give the proxy turn after turn, until it no longer moves on for the first.
    const other = await proxy.caller();
    const forwarded = () => server.received.split("GET / ").length - 1;
    let turns = 0;
    let before = -1;
    while (forwarded() - turns !== before) {
      before = forwarded() - turns;
      for (let turn = 0; turn < 20; turn++) {
        const answers = other.received.length;
        other.send(KEPT_GET);
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
    const proxy = await openProxy(server);
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
        other.send(KEPT_GET);
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
    const proxy = await openProxy(server);
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
    const proxy = await openProxy(server);
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
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    caller.socket.end(KEPT_GET + rest, "latin1");
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
    const proxy = await openProxy(await answering(OK), { clock });
    const caller = await proxy.caller();
    caller.send(`${KEPT_GET}\r\n`);
    await caller.until(() => caller.received.endsWith("ok"));
    clock.advance(20_000);
    caller.send(GET);
    expect((await caller.end()).split(/(?=HTTP\/1\.1)/).map(statusOf)).toEqual(["200", "200"]);
  });

  test("from a caller that has ended its side is answered", async () => {
    const proxy = await openProxy(await answering(OK));
    const caller = await proxy.caller();
    caller.socket.end(KEPT_GET, "latin1");
    expect(bodyOf(await caller.end())).toBe("ok");
  });

  test("may become a tunnel by Upgrade, with half-close both ways", async () => {
    const server = await farEnd((socket, received) => {
      if (received.endsWith("\r\n\r\n"))
        socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: ws\r\nConnection: Upgrade\r\n\r\nhi");
      else if (received.endsWith("ping")) socket.write("pong");
    });
    const proxy = await openProxy(server);
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
    const proxy = await openProxy(server);
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
    const proxy = await openProxy(server);
    const answer = await proxy.exchange("GET / HTTP/1.0\r\n\r\n");
    expect(answer).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
    expect(server.received).toMatch(/^GET \/ HTTP\/1.1\r\nHost: svc.ns\r\n/);
    const kept = await openProxy(await answering(OK));
    const caller = await kept.caller();
    caller.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    await caller.until(() => caller.received.endsWith("ok"));
    expect(caller.received).toContain("Connection: keep-alive\r\n");
    expect(caller.ended).toBe(false);
  });
});
