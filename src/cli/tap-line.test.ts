import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CallRecord } from "../proxy/access-log/call-fields.ts";
import { JsonLine } from "../proxy/access-log/json-line.ts";
import { exchangeRecord, flowRecord, lineOf as jsonOf } from "../proxy/access-log/testkit/records.ts";
import { readTapLine, TapTable } from "./tap-line.ts";

const json = new JsonLine({ headers: [] });

const tableOf = (columns: number, colour = false) => new TapTable({ columns: () => columns, colour });

function lineOf(record: CallRecord, colour = false, table = tableOf(200, colour)): string {
  const read = readTapLine(jsonOf(json, record));
  if (read === undefined || !("call" in read)) throw new Error("no call was read");
  return table.line(read.call);
}

describe("a call as a line", () => {
  test("says when, from where to where, what, and what came of it", () => {
    expect(lineOf(exchangeRecord()).split(/ {2,}/)).toEqual([
      "20:33:07.237",
      "shop/client-1 → shop/web:80 (web-canary:80 web-1)",
      "GET /cart?id=7",
      "200",
      "12 ms",
    ]);
    const failed = { failure: "ResponseTimeout", status: 504, attempts: 3, durationMs: 30_000, target: "/" } as const;
    expect(
      lineOf(exchangeRecord({ ...failed, wouldDeny: true, grpcStatus: 4 }))
        .split(/ {2,}/)
        .slice(2),
    ).toEqual(["GET /", "504/4", "30.0 s", "ResponseTimeout, 3 tries, would be denied"]);
  });

  test("of a flow says its bytes", () => {
    const line = lineOf(flowRecord({ durationMs: 1.25 }));
    expect(line.split(/ {2,}/).slice(1)).toEqual([
      "shop/client-1 → shop/db:5432 (web-1)",
      "tcp ↑100 ↓2000 bytes",
      "-",
      "1.3 ms",
    ]);
  });

  test("has colours only where they are wanted", () => {
    const red = "\u001b[31m";
    expect(lineOf(exchangeRecord({ status: 503, failure: "NoEndpoint" }), true)).toContain(`${red}NoEndpoint`);
    expect(lineOf(exchangeRecord({ status: 503, failure: "NoEndpoint" }))).not.toContain("\u001b");
  });

  test("stands below the others, also after a long one", () => {
    const table = tableOf(200);
    lineOf(exchangeRecord({ target: `/${"long/".repeat(6)}` }), false, table);
    const lines = [table.heading(), lineOf(exchangeRecord({ target: "/" }), false, table)];
    const at = (line: string | undefined, word: string) => line?.indexOf(word);
    expect(at(lines[0], "STATUS")).toBe(at(lines[1], "200"));
    expect(at(lines[0], "REQUEST")).toBe(at(lines[1], "GET /"));
  });

  test.each([Number.POSITIVE_INFINITY, 165])(
    "of the example stands below others from the first on, in %d columns",
    (columns) => {
      const table = tableOf(columns);
      const call = (source: string, service: string, ...by: string[]) => {
        const [backend, endpointPod] = by.length === 2 ? by : [undefined, by[0]];
        const call = { kind: "http", sourceAddress: "127.1.0.1", source, service, backend, endpointPod };
        const came = { time: "2026-01-01T20:33:07.237Z", method: "GET", path: "/", status: 200 };
        const read = readTapLine(JSON.stringify({ ...call, ...came, bytesUp: 1, bytesDown: 1, durationMs: 1 }));
        if (read === undefined || !("call" in read)) throw new Error("no call was read");
        return table.line(read.call);
      };
      const short = call("a/b", "a/c:80");
      const lines = [
        table.heading(),
        call("whoami/whoami-client", "whoami/whoami:80", "whoami-5c9dc5b8fb-4m6xk"),
        call("whoami/whoami-stranger", "whoami/whoami-split:80", "whoami-v1:80", "whoami-v1-7c9dc5b8fb-4m6xk"),
        short,
      ];
      expect(new Set(lines.map((line) => line.search(/STATUS|200/))).size).toBe(1);
    },
  );

  test("takes two lines in a narrow terminal", () => {
    const table = tableOf(80);
    expect([table.heading(), lineOf(exchangeRecord(), false, table)].join("\n").split("\n")).toEqual([
      "TIME          STATUS  TIME TAKEN  REQUEST  REASON",
      "              FROM → TO (BACKEND)",
      "20:33:07.237  200          12 ms  GET /cart?id=7",
      "              shop/client-1 → shop/web:80 (web-canary:80 web-1)",
    ]);
  });

  test("says nothing to the terminal that a caller sent", () => {
    const anyText = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
    fc.assert(
      fc.property(anyText, anyText, (method, target) => {
        expect(lineOf(exchangeRecord({ method, target }))).toMatch(/^[ -~→]+$/);
      }),
    );
  });
});

test("what is no call is passed over, and how many are missing is read", () => {
  expect(readTapLine('{"kind":"lost","calls":12}')).toEqual({ lost: 12 });
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      const read = readTapLine(line);
      expect(read === undefined || "call" in read || "lost" in read).toBe(true);
    }),
  );
});
