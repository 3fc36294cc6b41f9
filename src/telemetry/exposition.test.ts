import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../model/testkit/any-text.ts";
import { DurationHistogram } from "./duration-histogram.ts";
import { expose, exposeInSlices, labelText, type Metric } from "./exposition.ts";
import { parseExposition, sumOfSeries } from "./testkit/parse-exposition.ts";

const OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
const METRICS: readonly Metric[] = [
  { type: "counter", name: "a_total", help: "Of a.", samples: [{ labels: { x: "1", y: "" }, value: 3 }] },
  { type: "gauge", name: "b", help: "Of b.", samples: [{ labels: {}, value: 0.5 }] },
  { type: "info", name: "c_info", help: "Of c.", samples: [{ labels: { version: "v" }, value: 1 }] },
  { type: "gauge", name: "empty", help: "Of nothing.", samples: [] },
  {
    type: "histogram",
    name: "d_seconds",
    help: "Of d.",
    bounds: [0.5, 1],
    samples: [
      {
        labels: { x: "1" },
        counts: [1, 0, 2],
        sum: 9,
        exemplars: [undefined, undefined, { labels: { trace_id: "f00" }, value: 4, timestamp: 1.5 }],
      },
    ],
  },
];

test("the text format 0.0.4 is what is told without being asked", () => {
  const { type, body } = expose(METRICS, undefined);
  expect(type).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(body).toBe(`# HELP a_total Of a.
# TYPE a_total counter
a_total{x="1"} 3
# HELP b Of b.
# TYPE b gauge
b 0.5
# HELP c_info Of c.
# TYPE c_info gauge
c_info{version="v"} 1
# HELP d_seconds Of d.
# TYPE d_seconds histogram
d_seconds_bucket{x="1",le="0.5"} 1
d_seconds_bucket{x="1",le="1"} 1
d_seconds_bucket{x="1",le="+Inf"} 3
d_seconds_sum{x="1"} 9
d_seconds_count{x="1"} 3
`);
});

test("OpenMetrics is told to those who ask for it, with exemplars", () => {
  const { type, body } = expose(METRICS, OPEN);
  expect(type).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
  expect(body).toBe(`# HELP a Of a.
# TYPE a counter
a_total{x="1"} 3
# HELP b Of b.
# TYPE b gauge
b 0.5
# HELP c Of c.
# TYPE c info
c_info{version="v"} 1
# HELP d_seconds Of d.
# TYPE d_seconds histogram
d_seconds_bucket{x="1",le="0.5"} 1
d_seconds_bucket{x="1",le="1.0"} 1
d_seconds_bucket{x="1",le="+Inf"} 3 # {trace_id="f00"} 4 1.5
d_seconds_sum{x="1"} 9
d_seconds_count{x="1"} 3
# EOF
`);
});

test("made in slices it is the same, with pauses in between", async () => {
  const labels = { x: "1", y: 'a"b' };
  const many = Array.from({ length: 3_000 }, (_, index) => ({ shared: labelText(labels), labels: { z: `${index}` } }));
  const metrics: readonly Metric[] = [
    ...METRICS,
    { type: "gauge", name: "many", help: "Of many.", samples: many.map((sample) => ({ ...sample, value: 1 })) },
  ];
  for (const accept of [undefined, OPEN]) {
    let ran = 0;
    const pause = async () => {
      ran++;
    };
    const { body, ...rest } = await exposeInSlices(metrics, accept, pause);
    expect({ ...rest, body: body.toString() }).toEqual(expose(metrics, accept));
    expect(ran).toBeGreaterThanOrEqual(6);
  }
  expect(expose(metrics, undefined).body).toContain('many{x="1",y="a\\"b",z="2999"} 1\n');
});

test("who refuses OpenMetrics, or wants anything, gets the text format", () => {
  for (const accept of ["*/*", "text/plain", "application/openmetrics-text;q=0", "application/json, */*;q=0.1"])
    expect(expose(METRICS, accept).type, accept).toContain("text/plain");
});

describe("whatever a label says", () => {
  test("the text can be read, and has it", () => {
    fc.assert(
      fc.property(anyText(), fc.boolean(), (value, open) => {
        const metric: Metric = { type: "gauge", name: "g", help: "G.", samples: [{ labels: { x: value }, value: 7 }] };
        const { body } = expose([metric], open ? OPEN : undefined);
        const [key] = [...(parseExposition(body, open).get("g")?.series.keys() ?? [])];
        const escaped = value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
        expect(key).toBe(value === "" ? "g{}" : `g{x="${escaped}"}`);
      }),
    );
  });
});

test("a histogram of durations has each in its bucket", () => {
  const histogram = new DurationHistogram();
  for (const ms of [1, 1.5, 40_000]) histogram.note(ms);
  const { body } = expose([histogram.metric("h_seconds", "H.")], undefined);
  const at = (le: string) => sumOfSeries(body, "h_seconds_bucket", { le });
  expect([at("0.001"), at("0.0025"), at("30"), at("+Inf")]).toEqual([1, 2, 2, 3]);
  expect(sumOfSeries(body, "h_seconds_sum")).toBeCloseTo(40.0025);
});
