/** retry-on and the retry budget: answers that are replaced, and tries that are not made. */
import type http2 from "node:http2";
import { describe, expect, test } from "vitest";
import type { Retry } from "../../config/mesh-config.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { FREE_RETRIES } from "../middleware/retry/retry-budget.ts";
import type { FixtureOptions } from "./testkit/http-fixture.ts";
import { Http2Caller } from "./testkit/http2-peers.ts";
import { answering, closing, farEnd, GET, http2FarEnd, OK, openProxy } from "./testkit/plain-peers.ts";

const BUSY = "HTTP/1.1 503 Busy\r\nX-Busy: yes\r\nContent-Length: 4\r\n\r\nbusy";
const POST = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const on503: Retry = { attempts: 2, statuses: [[503, 504]] };

async function open(endpoints: readonly string[], retry: Retry, more: Partial<FixtureOptions> = {}) {
  const servicePort = { ...more.servicePort, middlewares: { retry } };
  return openProxy(endpoints, { ...more, servicePort });
}

describe("an answer whose status is in retry-on", () => {
  test("is replaced by another one, and nothing of it reaches the caller", async () => {
    const server = await answering([BUSY, OK]);
    const proxy = await open([server.address], on503);
    const answer = await proxy.exchange(GET);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).not.toMatch(/busy/i);
    expect(proxy.records).toMatchObject([{ status: 200, attempts: 2 }]);
  });

  test("leaves its connection to others where all of it came at once", async () => {
    const server = await answering([BUSY, OK]);
    await (await open([server.address], on503)).exchange(GET);
    expect(server.connections).toHaveLength(1);
  });

  test.each([
    ["is still coming", "HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\npart"],
    ["ends with its connection", "HTTP/1.1 503 Busy\r\n\r\npart"],
    ["brings more than it said", `${BUSY}more`],
  ])("loses its connection where it %s", async (_name, busy) => {
    const server = await answering([busy, OK]);
    expect(await (await open([server.address], on503)).exchange(GET)).toMatch(/\r\n\r\nok$/);
    expect(server.connections).toHaveLength(2);
    await server.until(() => server.connections[0]?.ended === true);
  });

  test("goes to another endpoint where there is one", async () => {
    const busy = await answering(BUSY);
    const fine = await answering();
    const proxy = await open([busy.address, fine.address], on503);
    for (let call = 0; call < 6; call++) expect(await proxy.exchange(GET)).toMatch(/ok$/);
    expect(busy.received).not.toBe("");
  });

  test("is passed on whole when it is the last try's", async () => {
    const server = await answering(BUSY);
    const proxy = await open([server.address], on503);
    expect(await proxy.exchange(GET)).toMatch(/^HTTP\/1\.1 503 Busy\r\nX-Busy: yes\r\n[\s\S]*busy$/);
    expect(proxy.records).toMatchObject([{ status: 503, failure: "", attempts: 2 }]);
  });

  test("is final for a POST, which may have been acted on", async () => {
    const server = await answering([BUSY, OK]);
    const proxy = await open([server.address], on503);
    expect(await proxy.exchange(POST)).toMatch(/busy$/);
    expect(server.received.match(/POST/g)).toHaveLength(1);
  });

  test("is final for content that was not kept", async () => {
    const content = "x".repeat(70_000);
    const server = await farEnd((socket, received) => {
      if (received.endsWith("xend")) socket.write(BUSY);
    });
    const proxy = await open([server.address], on503);
    const length = content.length + 3;
    const put = `PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n${content}end`;
    expect(await proxy.exchange(put)).toMatch(/busy$/);
    expect(server.connections).toHaveLength(1);
  });

  test.each([
    ["with content", false],
    ["without any", true],
  ])("of HTTP/2 %s is replaced too, on the connection that all share", async (_name, endStream) => {
    let streams = 0;
    const end = await http2FarEnd((stream: http2.ServerHttp2Stream) => {
      const status = ++streams === 1 ? 503 : 200;
      stream.respond({ ":status": status }, { endStream: endStream && status === 503 });
      if (!endStream || status === 200) stream.end(String(status));
    });
    const proxy = await open([end.address], on503, { servicePort: { scheme: "h2c" } });
    const caller = closing(new Http2Caller(proxy.port));
    expect(await caller.call({ ":path": "/" })).toMatchObject({ status: 200, body: "200" });
    expect(end.sessions).toHaveLength(1);
    expect(await caller.call({ ":path": "/" })).toMatchObject({ status: 200 });
  });
});

test("what retry-on does not name is not tried again", async () => {
  const server = await answering();
  const proxy = await open(["127.0.0.1:1", server.address], { attempts: 2, on: ["reset"] });
  const answers = [];
  for (let call = 0; call < 6; call++) answers.push((await proxy.exchange(GET)).slice(9, 12));
  expect(answers).toContain("502");
  expect(proxy.records.every(({ attempts }) => attempts === 1)).toBe(true);
});

describe("the retry budget", () => {
  test("bounds what endpoints get when all of them fail", async () => {
    const clock = new ManualClock();
    const server = await answering(BUSY);
    const proxy = await open([server.address], { ...on503, attempts: 10 }, { clock });
    const calls = 50;
    for (let call = 0; call < calls; call++) expect(await proxy.exchange(GET)).toMatch(/busy$/);
    const got = server.received.split("GET / ").length - 1;
    // Without it they would have got 500.
    expect(got).toBe(calls + FREE_RETRIES + (calls * 20) / 100);
  });

  test("does not count connections that could not be made: the endpoint got nothing", async () => {
    const proxy = await open(["127.0.0.1:1"], { attempts: 2, budgetPercent: 1 });
    for (let call = 0; call < FREE_RETRIES + 5; call++) await proxy.exchange(GET);
    expect(proxy.records.every(({ attempts }) => attempts === 2)).toBe(true);
  });
});
