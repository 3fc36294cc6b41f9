/** Which try is made again, and on which connection one may be made. */
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { farEnd, GET, KEPT_GET, OK, openProxy, reasonOf, statusOf } from "./testkit/plain-peers.ts";

describe("a try that fails", () => {
  const nobody = "127.0.0.1:1";
  const retry = (attempts: number) => ({ servicePort: { middlewares: { retry: { attempts } } } });

  test("at connecting is 502 without retries", async () => {
    const proxy = await openProxy([nobody]);
    expect(reasonOf(await proxy.exchange(GET))).toBe("ConnectRefused");
  });

  test.each(["GET", "POST"])("at connecting is repeated elsewhere, for %s too", async (method) => {
    const server = await farEnd((socket, received) => {
      if (received.endsWith("hello")) socket.write(OK);
    });
    const proxy = await openProxy([nobody, server.address], retry(2));
    const text = `${method} / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello`;
    for (let call = 0; call < 6; call++) expect(statusOf(await proxy.exchange(text))).toBe("200");
    expect(proxy.records.some((record) => record.attempts === 2)).toBe(true);
  });

  test("makes as many tries as the annotation says, then gives the last one's failure", async () => {
    const proxy = await openProxy([nobody, "127.0.0.1:2", "127.0.0.1:3"], retry(2));
    expect(reasonOf(await proxy.exchange(GET))).toBe("ConnectRefused");
    expect(proxy.records[0]?.attempts).toBe(2);
  });

  test("after its first byte went out is never repeated for POST", async () => {
    const server = await farEnd((socket) => socket.resetAndDestroy());
    const proxy = await openProxy(server, retry(3));
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
    const proxy = await openProxy(server, retry(2));
    expect(statusOf(await proxy.exchange(GET))).toBe("200");
    expect(server.connections).toHaveLength(2);
  });

  test.each([
    ["is repeated with all of it", 5, 2],
    ["is not repeated where there was more than is kept", 70_000, 1],
  ])("after part of its content was passed on %s", async (_name, early, tries) => {
    const server = await farEnd((socket, received) => {
      if (received.endsWith("late")) socket.resetAndDestroy();
    });
    const proxy = await openProxy(server, retry(2));
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
      if (connection === 1 && received.split(KEPT_GET.slice(0, 5)).length > 2) socket.resetAndDestroy();
      else socket.write(OK);
    });
    const proxy = await openProxy(server);
    const caller = await proxy.caller();
    caller.send(KEPT_GET);
    await caller.until(() => caller.received.endsWith("ok"));
    caller.send(GET);
    expect((await caller.end()).match(/200 OK/g)).toHaveLength(2);
    expect(proxy.records.map((record) => record.attempts)).toEqual([1, 1]);
  });
});

test("a POST goes out on a connection that waits only if there was traffic on it a moment ago", async () => {
  const clock = new ManualClock();
  const server = await farEnd((socket, received) => {
    if (received.endsWith("\r\n\r\n")) socket.write(OK);
  });
  const proxy = await openProxy(server, { clock });
  const post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  await proxy.exchange(GET);
  await proxy.exchange(post);
  expect(server.connections).toHaveLength(1);
  clock.advance(2000);
  await proxy.exchange(GET);
  expect(server.connections).toHaveLength(1);
  clock.advance(2000);
  await proxy.exchange(post);
  expect(server.connections).toHaveLength(2);
});
