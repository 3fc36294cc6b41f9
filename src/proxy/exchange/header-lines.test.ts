/** Rules about headers, and requests that have one in several lines. */
import { afterEach, describe, expect, test } from "vitest";
import type { ServicePort } from "../../config/mesh-config.ts";
import { FarEnd, HttpFixture } from "./testkit/http-fixture.ts";
import { Http2Caller } from "./testkit/http2-peers.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A service port whose only route takes requests with a header that fits. */
async function proxy(name: string, value: string): Promise<HttpFixture> {
  const end = await FarEnd.answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  closing.push(() => end.close());
  const routes: ServicePort["routes"] = [
    {
      origin: { kind: "TrafficSplit", namespace: "ns", name: "split" },
      matches: [{ headers: [{ name, type: "regex", value }] }],
      backends: [{ servicePort: "ns/svc:80", weight: 1 }],
    },
  ];
  const fixture = await HttpFixture.open({ endpoints: [end.address], servicePort: { routes } });
  closing.push(() => fixture.close());
  return fixture;
}

type Ask = (fixture: HttpFixture, name: string, values: readonly string[]) => Promise<number>;

const asHttp1: Ask = async (fixture, name, values) => {
  const lines = values.map((value) => `${name}: ${value}\r\n`).join("X-Between: 1\r\n");
  const answer = await fixture.exchange(`GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${lines}\r\n`);
  return Number(answer.split(" ")[1]);
};

const asHttp2: Ask = async (fixture, name, values) => {
  const caller = new Http2Caller(fixture.port);
  closing.push(() => caller.close());
  return (await caller.call({ ":path": "/", [name.toLowerCase()]: [...values] })).status;
};

const protocols: [string, Ask][] = [
  ["HTTP/1.1", asHttp1],
  ["HTTP/2", asHttp2],
];

describe.each(protocols)("%s", (protocol, ask) => {
  const cases: [pattern: string, lines: readonly string[], status: number][] = [
    ["^admin$", ["admin"], 200],
    ["^admin$", ["guest", "admin"], 200],
    ["^admin$", ["admin", "guest"], 200],
    ["^admin$", ["guest", "admins"], 404],
    ["^admin$", ["guest, admin"], 404],
    // No line has it, though the two together would.
    ["t, a", ["guest", "admin"], 404],
    ["^$", ["guest", ""], 200],
    ["admin", [], 404],
  ];
  test.each(cases)(`${protocol}: %s with lines %j is answered %i`, async (pattern, lines, status) => {
    expect(await ask(await proxy("x-role", pattern), "X-Role", lines)).toBe(status);
  });
});

test.each(protocols)("%s: of a header in several lines, one that fits by itself is enough", async (_, ask) => {
  const fixture = await proxy("x-role", "^admin$");
  expect(await ask(fixture, "X-Role", ["guest", "admin"])).toBe(200);
  expect(await ask(fixture, "X-Role", ["guest", "other"])).toBe(404);
});

test("a cookie that HTTP/2 has in pieces is one field to a rule, however it is cut", async () => {
  const fixture = await proxy("cookie", "^a=1; b=2$");
  expect(await asHttp2(fixture, "cookie", ["a=1", "b=2"])).toBe(200);
  expect(await asHttp2(fixture, "cookie", ["a=1; b=2"])).toBe(200);
  expect(await asHttp2(fixture, "cookie", ["b=2", "a=1"])).toBe(404);
});
