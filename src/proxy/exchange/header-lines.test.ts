/** Rules about headers, and requests that have one in several lines. */
import { describe, expect, test } from "vitest";
import type { AccessRule, MeshConfig, ServicePort } from "../../config/mesh-config.ts";
import type { HttpFixture } from "./testkit/http-fixture.ts";
import { Http2Caller } from "./testkit/http2-peers.ts";
import { answering, closing, openProxy, statusOf } from "./testkit/plain-peers.ts";

type Open = (name: string, value: string) => Promise<HttpFixture>;

const matches = (name: string, value: string) => [{ headers: [{ name, type: "regex" as const, value }] }];

/** A service port whose only route takes requests with a header that fits. */
const ofRoute: Open = async (name, value) => {
  const routes: ServicePort["routes"] = [
    {
      origin: { kind: "TrafficSplit", namespace: "ns", name: "split" },
      matches: matches(name, value),
      backends: [{ servicePort: "ns/svc:80", weight: 1 }],
    },
  ];
  return openProxy([(await answering()).address], { servicePort: { routes } });
};

/** One with access control on, that is open to requests with a header that fits. */
const ofTarget: Open = async (name, value) => {
  const { address } = await answering();
  const target: AccessRule = {
    origin: { kind: "TrafficTarget", namespace: "ns", name: "target" },
    destination: "ns/server",
    sources: ["ns/client"],
    http: { matches: matches(name, value) },
  };
  const config: Partial<MeshConfig> = {
    accessControl: "on",
    accessRules: { "ns/target": target },
    workloads: { "127.0.0.1": { namespace: "ns", pod: "client-1", serviceAccount: "client" } },
  };
  return openProxy([], { servicePort: { endpoints: { [address]: { identity: "ns/server" } } }, config });
};

type Ask = (fixture: HttpFixture, name: string, values: readonly string[]) => Promise<number>;

const asHttp1: Ask = async (fixture, name, values) => {
  const lines = values.map((value) => `${name}: ${value}\r\n`).join("X-Between: 1\r\n");
  return Number(statusOf(await fixture.exchange(`GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${lines}\r\n`)));
};

const asHttp2: Ask = async (fixture, name, values) => {
  const caller = closing(new Http2Caller(fixture.port));
  return (await caller.call({ ":path": "/", [name.toLowerCase()]: [...values] })).status;
};

const protocols: [string, Ask][] = [
  ["HTTP/1.1", asHttp1],
  ["HTTP/2", asHttp2],
];

describe.each(protocols)("%s", (protocol, ask) => {
  const cases: [pattern: string, lines: readonly string[], route: number, target: number][] = [
    ["^admin$", ["admin"], 200, 200],
    ["^admin$", ["admin", "admin"], 200, 200],
    ["^admin$", ["guest", "admin"], 200, 403],
    ["^admin$", ["admin", "guest"], 200, 403],
    ["^admin$", ["guest", "admins"], 404, 403],
    ["^admin$", ["guest, admin"], 404, 403],
    // No line has it, though the two together would.
    ["t, a", ["guest", "admin"], 404, 403],
    ["^$", ["guest", ""], 200, 403],
    [".*", ["guest", ""], 200, 200],
    ["admin", [], 404, 403],
  ];
  test.each(cases)(`${protocol}: %s with lines %j is answered %i by a route, %i by a target`, async (...each) => {
    const [pattern, lines, route, target] = each;
    const answered = async (open: Open) => ask(await open("x-role", pattern), "X-Role", lines);
    expect([await answered(ofRoute), await answered(ofTarget)]).toEqual([route, target]);
  });
});

test.each(protocols)("%s: a split takes a request of which one line of a header fits", async (_, ask) => {
  const fixture = await ofRoute("x-role", "^admin$");
  expect(await ask(fixture, "X-Role", ["guest", "admin"])).toBe(200);
  expect(await ask(fixture, "X-Role", ["guest", "other"])).toBe(404);
});

test.each(protocols)("%s: a target opens to a request of which every line of a header fits", async (_, ask) => {
  const fixture = await ofTarget("x-role", "^admin");
  expect(await ask(fixture, "X-Role", ["admin", "admins"])).toBe(200);
  expect(await ask(fixture, "X-Role", ["guest", "admin"])).toBe(403);
  expect(await ask(fixture, "X-Role", ["admin", "guest"])).toBe(403);
});

describe.each(protocols)("%s", (_protocol, ask) => {
  test.each<[string, Open, number]>([
    ["route", ofRoute, 404],
    ["target", ofTarget, 403],
  ])("to a %s the lines of a Cookie are one, however it is cut", async (_, open, unfit) => {
    const fixture = await open("cookie", "^a=1; b=2$");
    expect(await ask(fixture, "Cookie", ["a=1", "b=2"])).toBe(200);
    expect(await ask(fixture, "Cookie", ["a=1; b=2"])).toBe(200);
    expect(await ask(fixture, "Cookie", ["b=2", "a=1"])).toBe(unfit);
  });
});
