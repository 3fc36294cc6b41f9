/** What a call's line says, in each format. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CALL_FIELDS } from "./call-fields.ts";
import { CommonLine } from "./common-line.ts";
import { JsonLine } from "./json-line.ts";
import { exchangeRecord, flowRecord, lineOf } from "./testkit/records.ts";

const json = new JsonLine({ headers: [] });
const read = (line: string): Record<string, unknown> => JSON.parse(line) as Record<string, unknown>;
/** Any bytes, one character each, as parsers hand them on. */
const anyText = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
const VISIBLE_LINE = /^[ -~]*\n$/;

describe("a line of JSON", () => {
  test("says all that is known of an exchange", () => {
    expect(read(lineOf(json, exchangeRecord()))).toEqual({
      time: "2026-11-25T20:33:07.237Z",
      kind: "http",
      sourceAddress: "10.1.0.7",
      source: "shop/client-1",
      sourceServiceAccount: "shop/client",
      service: "shop/web:80",
      backend: "shop/web-canary:80",
      endpoint: "10.1.0.9:8080",
      endpointPod: "shop/web-1",
      protocol: "HTTP/1.1",
      method: "GET",
      host: "web.shop.traefik.mesh",
      path: "/cart",
      query: "id=7",
      status: 200,
      attempts: 1,
      decidedBy: "TrafficSplit shop/canary",
      bytesUp: 0,
      bytesDown: 512,
      durationMs: 12.346,
      firstByteMs: 11.5,
    });
  });

  test("says of a flow what a flow has", () => {
    expect(read(lineOf(json, flowRecord({ transport: "udp", failure: "AccessDenied" })))).toEqual({
      time: "2026-11-25T20:33:03.250Z",
      kind: "udp",
      sourceAddress: "10.1.0.7",
      source: "shop/client-1",
      sourceServiceAccount: "shop/client",
      service: "shop/db:5432",
      endpoint: "10.1.0.9:5432",
      endpointPod: "shop/web-1",
      reason: "AccessDenied",
      bytesUp: 100,
      bytesDown: 2000,
      durationMs: 4000,
    });
  });

  test("leaves out what there is not, and says what there is seldom", () => {
    const stranger = { address: "192.0.2.1", workload: undefined, identity: undefined };
    const refused = { caller: stranger, path: [], endpoint: undefined, origin: undefined, target: "/", host: "" };
    const line = read(
      lineOf(
        json,
        exchangeRecord({
          ...refused,
          status: 0,
          grpcStatus: 0,
          failure: "ClientGone",
          firstByteMs: -1,
          wouldDeny: true,
        }),
      ),
    );
    expect(line).toMatchObject({ grpcStatus: 0, reason: "ClientGone", wouldDeny: true, path: "/" });
    const absent = ["source", "sourceServiceAccount", "backend", "endpoint", "endpointPod", "decidedBy", "host"];
    for (const name of [...absent, "status", "query", "firstByteMs"]) expect(line).not.toHaveProperty(name);
  });

  test("has the chosen fields only, in their order", () => {
    const line = lineOf(new JsonLine({ fields: ["status", "time"], headers: [] }), exchangeRecord());
    expect(line).toBe('{"time":"2026-11-25T20:33:07.237Z","status":200}\n');
  });

  test("is an object even where the call has none of the chosen fields", () => {
    expect(lineOf(new JsonLine({ fields: ["wouldDeny"], headers: [] }), exchangeRecord())).toBe("{}\n");
  });

  test("says of each call whose it is, though the callers of an endpoint take turns", () => {
    const { endpoint } = exchangeRecord();
    const line = new JsonLine({ headers: [] });
    const callers = ["10.0.0.1", "10.0.0.2"].map((address) => ({ address, workload: undefined, identity: undefined }));
    const said = [0, 1, 1, 0].map((index) => {
      const record = exchangeRecord({ endpoint, caller: callers[index] as (typeof callers)[number] });
      return read(lineOf(line, record))["sourceAddress"];
    });
    expect(said).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.1"]);
  });

  test("says the same of a call whatever calls came before it", () => {
    const { caller, endpoint, entry, path } = exchangeRecord();
    const stranger: typeof caller = { address: "192.0.2.1", workload: undefined, identity: undefined };
    const origin = { kind: "TrafficSplit", namespace: "shop", name: "other" } as const;
    const anyExchange = fc.record({
      caller: fc.constantFrom(caller, stranger),
      endpoint: fc.constantFrom(endpoint, undefined),
      protocol: fc.constantFrom("HTTP/1.1" as const, "HTTP/2" as const),
      method: fc.constantFrom("GET", "POST"),
      host: fc.constantFrom("web", "web.shop", "", "w".repeat(600)),
      target: fc.constantFrom("/", "/a?b"),
      status: fc.constantFrom(200, 0),
      grpcStatus: fc.constantFrom(-1, 0),
      failure: fc.constantFrom("" as const, "NoEndpoint" as const),
      attempts: fc.constantFrom(1, 2),
      origin: fc.constantFrom(undefined, origin),
      wouldDeny: fc.boolean(),
      traceId: fc.constantFrom("", "0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319d"),
      bytesUp: fc.constantFrom(0, 7),
    });
    const anyRecord = fc.oneof(
      { weight: 5, arbitrary: anyExchange.map((changes) => exchangeRecord({ ...changes, entry, path })) },
      fc
        .constantFrom("tcp" as const, "udp" as const)
        .map((transport) => flowRecord({ transport, endpoint, entry, path })),
    );
    const anyFields = fc.option(fc.subarray(CALL_FIELDS.map(({ name }) => name)), { nil: undefined });
    fc.assert(
      fc.property(anyFields, fc.array(anyRecord, { maxLength: 30 }), (fields, records) => {
        const settings = { headers: [], ...(fields === undefined ? {} : { fields }) };
        const form = new JsonLine(settings);
        for (const record of records) expect(lineOf(form, record)).toBe(lineOf(new JsonLine(settings), record));
      }),
    );
  });

  test("tells the time of each call, though most are of the same second", () => {
    const line = new JsonLine({ fields: ["time"], headers: [] });
    const record = exchangeRecord({ durationMs: 0 });
    for (const at of [1_000, 1_001, 1_999.9, 2_000, 1_050, 86_399_007])
      expect(lineOf(line, record, at)).toBe(`{"time":"${new Date(at).toISOString()}"}\n`);
  });

  test("has chosen headers that there were, and of redacted ones that there were", () => {
    const headers = [
      { name: "user-agent", redact: false },
      { name: "authorization", redact: true },
      { name: "x-other", redact: false },
    ];
    const sent = { "user-agent": "curl/8", authorization: "Bearer secret", cookie: "secret" };
    const line = lineOf(new JsonLine({ headers }), exchangeRecord({}, sent));
    expect(read(line)).toMatchObject({ headers: { "user-agent": "curl/8", authorization: "REDACTED" } });
    expect(line).not.toMatch(/secret|x-other/);
    expect(read(lineOf(new JsonLine({ headers }), exchangeRecord()))).not.toHaveProperty("headers");
    expect(read(lineOf(new JsonLine({ headers }), flowRecord()))).not.toHaveProperty("headers");
    expect(lineOf(new JsonLine({ headers, fields: ["headers"] }), exchangeRecord({}, { "user-agent": "a" }))).toBe(
      '{"headers":{"user-agent":"a"}}\n',
    );
    expect(lineOf(new JsonLine({ headers, fields: ["kind"] }), exchangeRecord({}, sent))).toBe('{"kind":"http"}\n');
  });

  test("is one line of visible ASCII that reads back as what was sent, whatever a caller sends", () => {
    const line = new JsonLine({ headers: [{ name: "x-any", redact: false }] });
    fc.assert(
      fc.property(anyText, anyText, anyText, anyText, (method, target, host, value) => {
        const text = lineOf(line, exchangeRecord({ method, target, host }, { "x-any": value }));
        expect(text).toMatch(VISIBLE_LINE);
        const { path, query, ...rest } = read(text);
        expect(query === undefined ? path : `${path}?${query}`).toBe(target);
        expect(rest).toMatchObject({ method, headers: { "x-any": value } });
        expect(rest["host"]).toBe(host === "" ? undefined : host);
      }),
    );
  });
});

describe("a line of the common format", () => {
  const fields = { referer: "http://shop/", "user-agent": 'curl/8 "x"' };

  test("is Traefik's: call, referrer, user agent, number, what routed it, endpoint, duration", () => {
    const lines = new CommonLine();
    expect(lineOf(lines, exchangeRecord({}, fields))).toBe(
      '10.1.0.7 - shop/client [25/Nov/2026:20:33:07 +0000] "GET /cart?id=7 HTTP/1.1" 200 512 ' +
        '"http://shop/" "curl/8 \\"x\\"" 1 "shop/web-canary:80" "http://10.1.0.9:8080" 12ms\n',
    );
    const stranger = { address: "::1", workload: undefined, identity: undefined };
    const failed = { caller: stranger, path: [], endpoint: undefined, status: 0, bytesDown: 0 };
    expect(lineOf(lines, exchangeRecord({ ...failed, protocol: "HTTP/2" }))).toBe(
      '::1 - - [25/Nov/2026:20:33:07 +0000] "GET /cart?id=7 HTTP/2.0" - 0 "-" "-" 2 "shop/web:80" "-" 12ms\n',
    );
  });

  test("of a flow has its Service in the target's place", () => {
    expect(lineOf(new CommonLine(), flowRecord())).toBe(
      '10.1.0.7 - shop/client [25/Nov/2026:20:33:03 +0000] "TCP shop/db:5432 TCP" - 2000 ' +
        '"-" "-" 1 "shop/db:5432" "tcp://10.1.0.9:5432" 4000ms\n',
    );
  });

  test("has the same parts whatever a caller sends, and no bytes but visible ASCII", () => {
    const parts =
      /^\S+ - \S+ \[[^\]]+\] "((?:[^"\\]|\\.)*)" (?:\d{3}|-) \d+ "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)" \d+ "\S+" "\S+" \d+ms\n$/;
    const plainOf = (text = "") =>
      text.replace(/\\(?:x(..)|(.))/g, (_, hex?: string, plain = "") =>
        hex === undefined ? plain : String.fromCharCode(Number.parseInt(hex, 16)),
      );
    fc.assert(
      fc.property(anyText, anyText, anyText, (target, referer, agent) => {
        const line = lineOf(new CommonLine(), exchangeRecord({ target }, { referer, "user-agent": agent }));
        expect(line).toMatch(VISIBLE_LINE);
        const [, request, ...rest] = parts.exec(line) ?? [];
        expect(plainOf(request)).toBe(`GET ${target} HTTP/1.1`);
        expect(rest.map(plainOf)).toEqual([referer, agent]);
      }),
    );
  });
});
