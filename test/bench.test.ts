/** What the benches make of what programs print: a wrong reading would be a wrong figure. */
import { expect, test } from "vitest";
import { parseH2load, parseWrk } from "../bench/loads.mjs";
import { markdown, mean, median, quantile, Results, standardError } from "../bench/report.mjs";
import { selfTimes } from "../bench/self-times.mjs";
import { growth, Ledger } from "../bench/soak-ledger.mjs";
import { judgements } from "../bench/targets.mjs";

const WRK = `Running 5s test @ http://127.3.0.1:18080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.71ms    1.02ms  32.11ms   91.25%
  119263 requests in 5.02s, 55.50MB read
Requests/sec:  23757.57
Transfer/sec:     11.06MB
`;

test("requests and rate are read off wrk, and nothing wrong is nothing wrong", () => {
  expect(parseWrk(WRK)).toEqual({ requests: 119_263, perSecond: 119_263 / 5.02, errors: 0 });
});

test("wrk says its time in minutes from one minute on", () => {
  expect(parseWrk("  600 requests in 1.50m, 1MB read").perSecond).toBeCloseTo(600 / 90);
});

test("the error of a mean is that of a sample", () => {
  expect(mean([1, 2, 3, 6])).toBe(3);
  expect(standardError([1, 2, 3, 6])).toBeCloseTo(Math.sqrt(14 / 3 / 4));
});

test("errors of every kind that wrk counts are errors", () => {
  const errors = "  Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 50000\n";
  expect(parseWrk(WRK + errors).errors).toBe(54_321);
});

test("a load that says something else fails with what it said", () => {
  expect(() => parseWrk("unable to connect to 127.0.0.1:1")).toThrow("unable to connect to 127.0.0.1:1");
  expect(() => parseH2load("the connection was refused")).toThrow("the connection was refused");
});

test("h2load's requests that failed or were cut are errors, also where it speaks of milliseconds", () => {
  const text = `finished in 998.12ms, 63025.50 req/s, 4.09MB/s
requests: 126058 total, 126179 started, 126058 done, 126051 succeeded, 3 failed, 4 errored, 0 timeout
`;
  expect(parseH2load(text)).toEqual({ requests: 126_051, perSecond: 63_025.5, errors: 7 });
});

test("a quantile is a value that was seen", () => {
  const values = Array.from({ length: 1000 }, (_, index) => index + 1);
  expect([0.5, 0.99, 0.999, 1].map((part) => quantile(values, part))).toEqual([500, 990, 999, 1000]);
  expect(quantile([7], 0.5)).toBe(7);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test("a table in Markdown has its numbers flush right", () => {
  expect(markdown(["", "a", "b"], [["x", "1", "2"]])).toBe("|  | a | b |\n| --- | ---: | ---: |\n| x | 1 | 2 |");
});

const COLUMNS = [{ name: "tulle, Node 20", ours: true }, { name: "tulle, Node 24", ours: true }, { name: "haproxy" }];

function resultsOf(measures: Readonly<Record<string, readonly (readonly [string, number])[]>>): Results {
  const results = new Results(
    COLUMNS.map(({ name }) => name),
    () => {},
  );
  const all = Object.entries(measures).map(([key, values]) => ({
    key,
    title: key,
    digits: 1,
    values: new Map(values),
  }));
  results.add(all);
  return results;
}

test("a target is judged on the Node that it names, and one without figures not at all", () => {
  const small = [
    ["tulle, Node 20", 30],
    ["tulle, Node 24", 25],
    ["haproxy", 20],
  ] as const;
  expect(judgements(resultsOf({ small }), COLUMNS)).toEqual([
    ["CPU a request, × haproxy, the fastest Node", "≤ 1.25", "1.25", "met"],
    ["CPU a request, × haproxy, Node 20", "≤ 1.5", "1.50", "met"],
  ]);
});

test("of what grows, the worse Node must meet the target", () => {
  const idle = [
    ["tulle, Node 20", 8],
    ["tulle, Node 24", 16],
  ] as const;
  expect(judgements(resultsOf({ idle }), COLUMNS)).toEqual([
    ["KiB an idle connection, the worse Node", "≤ 12", "16.0", "missed"],
  ]);
});

test("what a column has no figure for is a dash", () => {
  expect(resultsOf({ tcp: [["haproxy", 12]] }).markdown()).toContain("| tcp | – | – | 12.0 |");
});

test("a profile's time is that of the functions themselves, and neither idle time nor the profiler's is theirs", () => {
  const frame = (functionName: string, url = "") => ({ functionName, url, lineNumber: 6 });
  const nodes = [
    { id: 1, callFrame: frame("(root)") },
    { id: 2, callFrame: frame("(idle)") },
    { id: 3, callFrame: frame("parse", "file:///x/dist/a.js") },
    { id: 4, callFrame: frame("", "node:net") },
    { id: 5, callFrame: frame("parse", "file:///x/dist/a.js") },
    { id: 6, callFrame: frame("start", "file:///x/hook.mjs"), children: [7] },
    { id: 7, callFrame: frame("dispatch") },
  ];
  const profile = { nodes, samples: [2, 3, 4, 5, 6, 7], timeDeltas: [1000, 500, 100, 400, 300, 300] };
  expect(selfTimes(profile, { root: "file:///x", profiler: "file:///x/hook.mjs" })).toEqual({
    idlePart: 0.5,
    functions: [
      { name: "parse", place: "dist/a.js:7", part: 0.9 },
      { name: "(anonymous)", place: "node:net:7", part: 0.1 },
    ],
  });
});

test("what becomes of calls is told by kind, with the reasons of those that failed", () => {
  const ledger = new Ledger();
  ledger.served("TCP");
  ledger.failed("TCP", "ECONNRESET");
  ledger.failed("TCP", "ECONNRESET");
  ledger.cut("UDP");
  expect(ledger.rows()).toEqual([
    ["TCP", 1, 2, 0, "ECONNRESET ×2"],
    ["UDP", 0, 0, 1, ""],
  ]);
  expect(ledger.totals).toEqual({ served: 1, failed: 2, cut: 1 });
});

test("what rises at the start and stays is level; what rises to the end has grown", () => {
  const warmedUp = Array.from({ length: 100 }, (_, index) => Math.min(index, 25));
  expect(growth(warmedUp).grown).toBe(0);
  const leaking = Array.from({ length: 100 }, (_, index) => index);
  expect(growth(leaking)).toEqual({ before: 37, after: 87, grown: 50 });
});

test("a single high reading is no growth", () => {
  const spike = Array.from({ length: 100 }, (_, index) => (index === 90 ? 1000 : 5));
  expect(growth(spike).grown).toBe(0);
});
