import { execFileSync, spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../model/testkit/any-text.ts";
import { ratesOf } from "../traffic/traffic-rates.ts";
import { NO_COUNTS } from "../traffic/traffic-report.ts";
import { graphDot, graphMermaid, graphText } from "./graph-formats.ts";
import type { ServiceGraph } from "./service-graph.ts";
import { parseDot } from "./testkit/dot-parser.ts";
import { parseMermaid } from "./testkit/mermaid-parser.ts";

const EDGE = { source: "", servicePort: "", backend: "", protocol: "http" } as const;
const durations = [4, ...NO_COUNTS.durations.slice(1)];
const fine = { ...EDGE, ...NO_COUNTS, exchanges: [0, 0, 4, 0, 0, 0], durations };
const failing = { ...fine, exchanges: [0, 0, 3, 0, 0, 1] };
const denied = { ...fine, exchanges: [0, 0, 0, 0, 4, 0], failures: { AccessDenied: 4 } };
const audited = { ...EDGE, ...NO_COUNTS, protocol: "tcp", flowsOpened: 6, audited: 2 } as const;

const GRAPH: ServiceGraph = {
  calls: [
    { from: "", to: "shop/web:80", protocol: "http", rates: ratesOf([denied], 2) },
    { from: "shop/client", to: "shop/db:5432", protocol: "tcp", rates: ratesOf([audited], 2) },
    { from: "shop/client", to: "shop/web:80", protocol: "http", rates: ratesOf([failing], 2) },
    { from: "shop/web", to: "", protocol: "http", rates: ratesOf([fine], 2) },
  ],
  splits: [
    { from: "shop/web:80", to: "shop/old:80", measured: 1.25 },
    { from: "shop/web:80", to: "shop/web-v1:80", origin: "TrafficSplit shop/web", weight: 90, measured: 88 },
    { from: "shop/web:80", to: "shop/web-v2:80", origin: "TrafficSplit shop/web", weight: 10 },
  ],
  serves: [{ service: "shop/web:80", workload: "shop/web" }],
};
const perSecond = { perSecond: true };

describe("a graph is written", () => {
  test.each([
    ["txt", graphText],
    ["dot", graphDot],
    ["mermaid", graphMermaid],
  ])("as %s", async (ending, write) => {
    await expect(write(GRAPH, perSecond)).toMatchFileSnapshot(`testdata/graph.${ending}`);
  });

  test("with counts where it is since the start", () => {
    expect(graphText(GRAPH, { perSecond: false })).toContain("→ shop/db:5432  3 tcp, 1 would be denied\n");
  });

  test("as a sentence where nobody calls anybody", () => {
    expect(graphText({ calls: [], splits: [], serves: [] }, perSecond)).toBe("nobody calls anybody\n");
  });

  test.skipIf(spawnSync("dot", ["-V"]).error !== undefined)("as Graphviz takes it", () => {
    // Some versions of it write a hyphen by its number.
    const svg = execFileSync("dot", ["-Tsvg"], { input: graphDot(GRAPH, perSecond) }).toString();
    expect(svg.replaceAll("&#45;", "-")).toContain("shop/web-v1:80");
  });
});

/** As other systems and attackers might name things: quotes, brackets, comments, line ends, entities, words of the language. */
const anyName = fc.oneof(
  anyText({ minLength: 1 }),
  fc.constantFrom("end", "graph", '"]', "a\\", "a\nb", "#35;", "&lt;", "%%{init:{}}%%", "*/", "-->", "|", "`x`", "<b>"),
);
const rates = ratesOf([failing], 1);
const anyGraph: fc.Arbitrary<ServiceGraph> = fc.record({
  calls: fc.array(fc.record({ from: anyName, to: anyName, protocol: fc.constant("http"), rates: fc.constant(rates) })),
  splits: fc.array(fc.record({ from: anyName, to: anyName, origin: anyName, weight: fc.nat(100) })),
  serves: fc.array(fc.record({ service: anyName, workload: anyName })),
});

/** Names as text has them: whatever could talk to a terminal is escaped there, before it is written in another language. */
const labelOf = (name: string) => /^ {2}[→✗] (.*?) {2}/m.exec(graphText(callOf(name), perSecond))?.[1];
const callOf = (to: string): ServiceGraph => ({
  calls: [{ from: "a", to, protocol: "http", rates }],
  splits: [],
  serves: [],
});

describe.each([
  ["DOT", graphDot, parseDot],
  ["Mermaid", graphMermaid, parseMermaid],
])("%s", (_, write, parse) => {
  test("is read as the graph that it was, whatever its names are", () => {
    fc.assert(
      fc.property(anyGraph, (graph) => {
        const { nodes, links } = parse(write(graph, perSecond));
        const { calls, splits, serves } = graph;
        const expected = [
          ...calls.map(({ from, to }) => [from, to]),
          ...splits.map(({ from, to }) => [from, to]),
          ...serves.map(({ service, workload }) => [service, workload]),
        ].map((names) => names.map((name) => labelOf(name as string)));
        expect(links.map(({ from, to }) => [nodes.get(from), nodes.get(to)])).toEqual(expected);
      }),
    );
  });

  test("says on each link what its text says", () => {
    const { links } = parse(write(GRAPH, perSecond));
    expect(links.map(({ label }) => label)).toEqual([
      "2 req/s, p99 0.495ms, 2/s denied",
      "3 tcp/s, 1/s would be denied",
      "2 req/s, 25% failed, p99 0.495ms",
      "2 req/s, p99 0.495ms",
      "not configured now, was 1.3%",
      "90%, was 88%",
      "10%",
      "",
    ]);
  });
});
